"""Bronze to gold on a real catalog: what is read once, what is left out, and what survives crashes, conflicts and compaction."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.events import EVENTS, GPS, Event
from fleetlake.contracts.gold import GOLD
from fleetlake.contracts.positions import POSITIONS
from fleetlake.contracts.tables import SILVER, all_tables, bronze_of
from fleetlake.lake.catalog import Lake, LakeSettings, open_lake
from fleetlake.lake.commits import Conflict, commit
from fleetlake.lake.places import local_path
from fleetlake.lake.scan import Damaged
from fleetlake.lake.write import write_files
from fleetlake.transform import native, runner
from fleetlake.transform.marker import read_marker
from fleetlake.transform.runner import TransformReport, run_transform
from fleetlake.transform.settings import Thresholds, TransformSettings
from fleetlake.transform.silver import SilverCounts

T0 = datetime(2026, 1, 1, 8, tzinfo=UTC)
SETTINGS = TransformSettings(threads=1)
Rows = list[dict[str, Any]]


def new_lake(folder: str | Path) -> Lake:
    made = open_lake(
        LakeSettings("test", {"type": "sql", "uri": f"sqlite:///{folder}/catalog.db", "warehouse": f"file://{folder}"})
    )
    made.ensure(all_tables())
    return made


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    made = new_lake(tmp_path)
    yield made
    made.catalog.close()


def record(offset: int, at_s: float, event_id: str | None = None, *, partition: int = 0, **more: Any) -> dict[str, Any]:
    """A good bronze row: a fix in motion."""
    made = {"kafka_partition": partition, "kafka_offset": offset, "ingested_at": T0 + timedelta(days=1, seconds=offset)}
    place = {"latitude": 52.0 + at_s / 10_000, "longitude": -1.0, "speed_kmh": 50.0}
    identity = {"event_id": event_id or f"e{partition}/{offset}", "device_id": "v1", "event_time": T0 + timedelta(seconds=at_s)}
    return made | identity | place | more


def reject(offset: int, **more: Any) -> dict[str, Any]:
    made = {"kafka_partition": 0, "kafka_offset": offset, "ingested_at": T0 + timedelta(days=1, seconds=offset)}
    return made | {"reject_reason": "json: -: not JSON", "payload": b"{"} | more


def ingest(lake: Lake, rows: Rows, event: Event = GPS) -> None:
    """Appends rows to a bronze table in one commit."""
    table = lake.table(bronze_of(event).name)
    arrow = pa.Table.from_pylist(rows, schema=table_schema(bronze_of(event)))
    commit(table, added=write_files(table, arrow, folder=uuid.uuid4().hex), properties={})


def compact(lake: Lake, event: Event = GPS) -> None:
    """Writes all of a bronze table into new files, as maintenance does."""
    table = lake.table(bronze_of(event).name)
    removed = [task.file for task in table.scan().plan_files()]
    commit(table, added=write_files(table, table.scan().to_arrow(), folder=uuid.uuid4().hex), removed=removed, properties={})


def transform(lake: Lake, **more: Any) -> TransformReport:
    return run_transform(lake, SETTINGS, **more)


def gps_counts(report: TransformReport) -> SilverCounts:
    return next(counts for counts in report.silver if counts.topic == "gps_data")


def contents(lake: Lake) -> dict[str, Rows]:
    return {
        table.name: sorted(lake.table(table.name).scan().to_arrow().to_pylist(), key=lambda row: sorted(map(str, row.items())))
        for table in (*SILVER, *GOLD)
    }


def silver_ids(lake: Lake) -> list[str]:
    return sorted(row["event_id"] for row in contents(lake)["silver.gps"])


def test_an_empty_lake(tmp_path: Path) -> None:
    made = open_lake(LakeSettings("test", {"type": "sql", "uri": f"sqlite:///{tmp_path}/c.db", "warehouse": f"file://{tmp_path}"}))
    report = transform(made)
    assert sum(counts.read for counts in report.silver) == sum(counts.computed for counts in report.derived) == 0
    assert made.names() == sorted(table.name for table in all_tables())
    made.catalog.close()


def test_counts_add_up(lake: Lake) -> None:
    ingest(lake, [record(0, 0, "a"), record(1, 300, "b"), record(2, 0, "a"), reject(3), record(4, 100, "c")])
    counts = gps_counts(transform(lake))
    assert counts == SilverCounts("gps_data", "silver.gps", read=5, rejected=1, duplicates=1, inserted=3, late=1)
    ingest(lake, [record(5, 0, "a", speed_kmh=99.0), record(6, 303, "d"), reject(7)])
    counts = gps_counts(transform(lake))
    assert counts == SilverCounts("gps_data", "silver.gps", read=3, rejected=1, duplicates=1, inserted=1, late=0)
    assert silver_ids(lake) == ["a", "b", "c", "d"]
    assert {row["speed_kmh"] for row in contents(lake)["silver.gps"]} == {50.0}, "the first arrival wins"


def test_a_data_file_with_a_damaged_footer_is_named(lake: Lake) -> None:
    ingest(lake, [record(0, 0, "a")])
    (task,) = lake.table("bronze.gps").scan().plan_files()
    path = Path(local_path(task.file.file_path) or "")
    whole = path.read_bytes()
    footer = int.from_bytes(whole[-8:-4], "little") + 8
    path.write_bytes(whole[:-footer] + b"\xff" * (footer - 8) + whole[-8:])  # its length and its end mark are as they were
    with pytest.raises(Damaged, match=path.name):
        transform(lake)
    path.write_bytes(whole)
    assert gps_counts(transform(lake)).inserted == 1


def test_all_five_kinds(lake: Lake) -> None:
    required = {"camera_id": "c", "incident_type": "None", "status": "Active"}
    for event in EVENTS:
        ingest(lake, [record(0, 0, **required)], event)
    assert [(counts.topic, counts.inserted) for counts in transform(lake).silver] == [(event.topic, 1) for event in EVENTS]


def test_nothing_new_makes_no_commit(lake: Lake) -> None:
    ingest(lake, [record(0, 0), reject(1)])
    transform(lake)
    before = {name: lake.table(name).metadata.current_snapshot_id for name in lake.names()}
    assert gps_counts(transform(lake)).read == 0
    assert {name: lake.table(name).metadata.current_snapshot_id for name in lake.names()} == before


def test_rejects_alone_move_the_marker(lake: Lake) -> None:
    ingest(lake, [reject(0)])
    assert gps_counts(transform(lake)).rejected == 1
    assert gps_counts(transform(lake)).read == 0


def test_the_marker_is_in_the_commit_of_the_rows(lake: Lake) -> None:
    ingest(lake, [record(0, 0), record(4, 3, partition=1)])
    transform(lake)
    table, bronze = lake.table("silver.gps"), lake.table("bronze.gps")
    marker = read_marker(table)
    assert marker is not None
    source = marker.sources["bronze.gps"]
    assert source.offsets == {0: 1, 1: 5}
    assert (source.snapshot_id, source.sequence) == (bronze.metadata.current_snapshot_id, bronze.metadata.last_sequence_number)
    snapshot = table.current_snapshot()
    assert snapshot is not None
    assert snapshot.summary is not None
    assert marker.properties().items() <= snapshot.summary.additional_properties.items()


def test_compacted_bronze_files_are_not_read_again(lake: Lake) -> None:
    ingest(lake, [record(0, 0), record(1, 3)])
    transform(lake)
    compact(lake)
    assert gps_counts(transform(lake)).read == 0
    ingest(lake, [record(2, 6)])
    compact(lake)
    assert gps_counts(transform(lake)).read == 1
    assert silver_ids(lake) == ["e0/0", "e0/1", "e0/2"]


def test_a_run_that_dies_between_tables_is_finished_by_the_next(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest(lake, [record(offset, offset * 3) for offset in range(20)])

    def die(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runner, "refresh_derived", die)
        with pytest.raises(KeyboardInterrupt):
            transform(lake)
    assert contents(lake)["gold.trips"] == []
    assert gps_counts(transform(lake)).read == 0
    assert len(contents(lake)["gold.trips"]) == 1


def test_two_runs_at_once_count_a_row_once(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest(lake, [record(0, 0), record(1, 3)])
    written = native.write_files
    others: list[TransformReport] = []

    def overtaken(*arguments: Any, **more: Any) -> Any:
        if not others:
            others.append(TransformReport((), ()))
            others.append(transform(lake))
        return written(*arguments, **more)

    monkeypatch.setattr(native, "write_files", overtaken)
    assert gps_counts(transform(lake)).read == 0, "the other run was faster"
    assert gps_counts(others[1]).inserted == 2
    assert silver_ids(lake) == ["e0/0", "e0/1"]


def test_a_writer_that_never_lets_go_is_an_error(lake: Lake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ingest(lake, [record(0, 0)])
    written = native.write_files
    attempts: list[int] = []

    def overtaken(*arguments: Any, **more: Any) -> Any:
        attempts.append(1)
        commit(lake.table("silver.gps"), properties={"other": "writer"})
        return written(*arguments, **more)

    monkeypatch.setattr(native, "write_files", overtaken)
    with pytest.raises(Conflict):
        transform(lake)
    assert len(attempts) == SETTINGS.attempts
    assert list((tmp_path / "silver").rglob("*.parquet")) == [], "files of lost commits are taken away"


def test_full_gives_the_same_tables(lake: Lake) -> None:
    rows = [reject(offset) if offset % 20 == 7 else record(offset, (offset * 37) % 600, f"e{offset % 50}") for offset in range(60)]
    for start in range(0, 60, 20):
        ingest(lake, rows[start : start + 20])
        transform(lake)
    before = contents(lake)
    report = transform(lake, full=True)
    assert contents(lake) == before
    assert gps_counts(report) == SilverCounts("gps_data", "silver.gps", 60, 3, 9, 48, gps_counts(report).late, rebuilt=True)
    transform(lake)
    assert contents(lake) == before


def test_another_lateness_computes_silver_anew(lake: Lake) -> None:
    ingest(lake, [record(0, 300), record(1, 200)])
    assert gps_counts(transform(lake)).late == 0
    stricter = TransformSettings(Thresholds(lateness_s=60.0), threads=1)
    counts = gps_counts(run_transform(lake, stricter))
    assert (counts.rebuilt, counts.inserted, counts.late) == (True, 2, 1)
    assert gps_counts(run_transform(lake, stricter)).read == 0


def test_progress_names_the_tables(lake: Lake) -> None:
    told: list[str] = []
    transform(lake, on_progress=told.append)
    assert told == [table.name for table in (*SILVER, POSITIONS, *GOLD)]


OFFSETS = st.lists(
    st.tuples(st.integers(0, 15), st.sampled_from([0, 3, 60, 290, 310, 900]), st.sampled_from([0.0, 5.0, 60.0]), st.booleans()),
    max_size=30,
)


@settings(max_examples=10, deadline=None)
@given(OFFSETS, st.lists(st.integers(0, 30), max_size=3))
def test_any_division_into_runs_gives_the_same_tables(made: list[tuple[int, int, float, bool]], cuts: list[int]) -> None:
    rows = [
        reject(offset) if bad else record(offset, number * 200 + at_s, f"e{number}", speed_kmh=speed)
        for offset, (number, at_s, speed, bad) in enumerate(made)
    ]
    edges = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    with tempfile.TemporaryDirectory() as folder:
        lake = new_lake(folder)
        for start, end in pairwise(edges):
            if start < end:
                ingest(lake, rows[start:end])
                transform(lake)
        transform(lake)
        divided = contents(lake)
        transform(lake, full=True)
        assert contents(lake) == divided
        lake.catalog.close()
