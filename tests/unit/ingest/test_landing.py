"""Which files of a landing are new, decided from names alone."""

import pytest

from fleetlake.foundation.errors import Missing
from fleetlake.ingest.landing import LandingFormat, LandingPlan, format_of, named_in, names_after, path_of, plan, source_name

FOLDER = "file:/lake/landing/gps_data"
DAY = f"{FOLDER}/ingest_date=2026-01-01"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("part-0.c000.zstd.parquet", LandingFormat.PARQUET),
        ("events.json", LandingFormat.JSON),
        ("events.json.gz", LandingFormat.JSON),
        ("events.ndjson", LandingFormat.JSON),
        ("events.csv", None),
        ("parquet", None),
        ("events.json.part", None),
    ],
)
def test_the_format_follows_from_the_name(name: str, kind: LandingFormat | None) -> None:
    assert format_of(f"{DAY}/{name}") is kind


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("s3a://bucket/a%20b.json", "s3://bucket/a%20b.json"),
        ("s3n://bucket/a.json", "s3://bucket/a.json"),
        ("s3://bucket/s3a://a.json", "s3://bucket/s3a://a.json"),
        ("file:///lake/a.json", "file:/lake/a.json"),
        ("file:/lake/a.json", "file:/lake/a.json"),
        ("hdfs://host:8020/a.json", "hdfs://host:8020/a.json"),
    ],
)
def test_a_file_has_one_name_whichever_way_it_was_read(uri: str, name: str) -> None:
    assert source_name(uri) == name


def test_a_path_is_decoded_and_holds_no_pattern() -> None:
    assert path_of("file:/lake/a%20b+c/%5B1%5D%7Bx%7D*?.json") == r"file:/lake/a b+c/\[1\]\{x\}\*\?.json"


def test_files_of_both_formats_that_were_not_loaded_are_new() -> None:
    listed = [f"{FOLDER}/b.json", f"{DAY}/2.parquet", f"{DAY}/1.parquet", f"{FOLDER}/a.ndjson", f"{FOLDER}/readme.txt"]
    assert plan(FOLDER, listed, None, {f"{DAY}/1.parquet", f"{FOLDER}/a.ndjson"}) == LandingPlan(
        (f"{DAY}/2.parquet",), (f"{FOLDER}/b.json",)
    )
    assert plan(FOLDER, listed, None, listed) == LandingPlan()
    assert plan(FOLDER, [], None, []) == LandingPlan()


def test_a_log_leaves_out_parquet_files_it_does_not_name() -> None:
    listed = [f"{DAY}/1.parquet", f"{DAY}/left-by-a-crash.parquet", f"{FOLDER}/a.json"]
    assert plan(FOLDER, listed, [f"{DAY}/1.parquet"], ()) == LandingPlan((f"{DAY}/1.parquet",), (f"{FOLDER}/a.json",))


def test_a_landing_copied_to_another_place_keeps_its_log() -> None:
    folder = "s3a://bucket/gps_data/landing/gps_data/"
    committed = ["file:///lake/gps_data/x/gps_data/ingest_date=2026-01-01/1.parquet"]
    listed = [f"{folder}ingest_date=2026-01-01/1.parquet"]
    assert plan(folder, listed, committed, ()) == LandingPlan((listed[0],))
    assert (
        plan(folder, listed, committed, {"s3://bucket/gps_data/landing/gps_data/ingest_date=2026-01-01/1.parquet"}) == LandingPlan()
    )


def test_a_file_of_the_log_may_go_once_it_was_loaded_and_not_before() -> None:
    assert plan(FOLDER, [], [f"{DAY}/1.parquet"], {f"{DAY}/1.parquet"}) == LandingPlan()
    with pytest.raises(Missing, match=r"1 files .* not there; at file:/lake/landing/gps_data/ingest_date=2026-01-01/2\.parquet"):
        plan(FOLDER, [], [f"{DAY}/1.parquet", f"{DAY}/2.parquet"], {f"{DAY}/1.parquet"})


def test_an_error_is_traced_to_the_file_it_names() -> None:
    uris = [f"{FOLDER}/a%20b.json.gz", f"{FOLDER}/c.json"]
    assert named_in("Encountered error while reading file file:///lake/landing/gps_data/a b.json.gz", uris) == uris[:1]
    assert named_in("reading file:///lake/landing/gps_data/a%20b.json.gz", uris) == uris[:1]
    assert named_in("Connection refused", uris) == []


def test_names_of_files_whose_folder_was_moved_twice_are_known() -> None:
    names = {"file:/a%20home/landing/1.json", "s3://b/2.json"}
    moved = names_after(names, [("/a home", "/b"), ("/b", "/c ü")])
    assert moved == names | {"file:/b/landing/1.json", "file:/c%20ü/landing/1.json"}
