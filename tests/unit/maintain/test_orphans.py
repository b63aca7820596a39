"""Orphans: what no table knows goes, if it is old enough; what a commit on its way or any metadata needs stays."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from fleetlake.cli.main import main
from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.events import VEHICLE
from fleetlake.contracts.iceberg import iceberg_schema, partition_spec
from fleetlake.contracts.tables import bronze_of
from fleetlake.foundation.errors import BadInput
from fleetlake.lake.catalog import Lake, LakeSettings, open_lake
from fleetlake.lake.commits import Conflict, commit
from fleetlake.lake.scan import Damaged
from fleetlake.lake.write import write_files
from fleetlake.maintain import orphans
from fleetlake.maintain.orphans import delete_orphans, require_safe_age

TABLE = bronze_of(VEHICLE)
AGE = timedelta(days=3)
OLD, YOUNG = 4 * 86_400, 2 * 86_400


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def lake(home: Path) -> Iterator[Lake]:
    uri, warehouse = f"sqlite:///{home}/catalog.db", f"file://{home}/warehouse"
    made = open_lake(LakeSettings("local", {"type": "sql", "uri": uri, "warehouse": warehouse}))
    made.ensure([TABLE])
    for offset in range(4):
        append(made, offset)
    yield made
    made.close()


def append(lake: Lake, offset: int) -> None:
    table, schema = lake.table(TABLE.name), table_schema(TABLE)
    rows = pa.Table.from_pylist([{"kafka_partition": 0, "kafka_offset": offset}], schema=schema)
    commit(table, added=write_files(table, rows, folder=uuid.uuid4().hex), properties={})


def files(home: Path) -> set[Path]:
    return {path for path in (home / "warehouse").rglob("*") if path.is_file()}


def age(paths: set[Path], seconds: float = OLD) -> None:
    for path in paths:
        os.utime(path, (time.time() - seconds,) * 2)


def stray(home: Path, name: str, seconds: float = OLD) -> Path:
    path = home / "warehouse" / "bronze" / "vehicle" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"12345")
    age({path}, seconds)
    return path


def test_what_no_metadata_knows_goes_and_all_else_stays(lake: Lake, home: Path) -> None:
    known = files(home)
    age(known)
    gone = {stray(home, "data/job/1/a#b?c %41.parquet"), stray(home, "metadata/snap-1-0-x.avro"), stray(home, "metadata/9.json")}
    young, beside = stray(home, "data/young.parquet", YOUNG), stray(home, "other/table/data/1.parquet")
    found = delete_orphans(lake, TABLE.name, AGE, dry_run=True, wait=lambda attempt: None)
    assert (found.dry_run, found.deleted, found.size_bytes) == (True, 0, 15)
    assert set(map(Path, found.files)) == gone
    assert files(home) == known | gone | {young, beside}
    done = delete_orphans(lake, TABLE.name, AGE, wait=lambda attempt: None)
    assert (done.deleted, done.files, done.size_bytes) == (3, found.files, 15)
    assert known | {young, beside} <= files(home)
    assert {path.parent.name for path in files(home) - known - {young, beside}} == {"metadata"}  # of the table that was moved on
    assert lake.table(TABLE.name).scan().to_arrow().num_rows == 4
    before = files(home)
    assert delete_orphans(lake, TABLE.name, AGE, wait=lambda attempt: None).deleted == 0
    assert files(home) == before


def test_who_slept_before_its_commit_does_not_commit_what_is_gone(lake: Lake, home: Path) -> None:
    sleeper, before = lake.table(TABLE.name), files(home)
    written = write_files(sleeper, sleeper.scan().to_arrow(), folder="asleep")
    age(files(home) - before)
    assert delete_orphans(lake, TABLE.name, AGE, wait=lambda attempt: None).deleted == 1
    with pytest.raises(Conflict):
        commit(sleeper, added=written, properties={})
    assert lake.table(TABLE.name).scan().to_arrow().num_rows == 4


def test_what_is_committed_while_it_looks_stays(lake: Lake, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by a writer that wrote its files long ago."""
    listed = orphans._listed

    def commit_meanwhile(table: Any) -> list[Any]:
        data = write_files(table, table.scan().to_arrow(), folder="slow")
        age(files(home))
        found = list(listed(table))
        commit(lake.table(TABLE.name), added=data, properties={})
        return found

    monkeypatch.setattr(orphans, "_listed", commit_meanwhile)
    assert delete_orphans(lake, TABLE.name, AGE, wait=lambda attempt: None).files == ()
    assert lake.table(TABLE.name).scan().to_arrow().num_rows == 8


@pytest.mark.parametrize("in_one_folder", [True, False])
@pytest.mark.parametrize("name", ["bronze.a_kept_copy", "bronze.z_kept_copy"])
def test_a_renamed_table_and_the_one_made_in_its_place_keep_their_files(
    lake: Lake, home: Path, name: str, in_one_folder: bool
) -> None:
    before = lake.table(TABLE.name).location()
    lake.catalog.rename_table(TABLE.name, name)
    if in_one_folder:  # as other tools make it, and an earlier release
        schema, spec = iceberg_schema(TABLE), partition_spec(TABLE)
        lake.catalog.create_table(TABLE.name, schema, location=before, partition_spec=spec)
    else:
        lake._make(TABLE)
        assert lake.table(TABLE.name).location() != before
    append(lake, 9)
    age(files(home))
    for one in (TABLE.name, name):
        assert delete_orphans(lake, one, AGE, wait=lambda attempt: None).files == ()
    assert lake.table(TABLE.name).scan().to_arrow().num_rows == 1
    assert lake.table(name).scan().to_arrow().num_rows == 4


def test_nothing_goes_if_a_manifest_is_missing(lake: Lake, home: Path) -> None:
    path = stray(home, "data/1.parquet")
    snapshot = lake.table(TABLE.name).snapshots()[0]
    Path(snapshot.manifest_list.removeprefix("file://")).unlink()
    with pytest.raises(Damaged, match=r"metadata file .*snap-.* is missing"):
        delete_orphans(lake, TABLE.name, AGE, wait=lambda attempt: None)
    assert path.is_file()


def test_files_that_are_not_the_tables_own_are_refused(lake: Lake) -> None:
    with lake.table(TABLE.name).transaction() as transaction:
        transaction.set_properties({"gc.enabled": "false"})
    with pytest.raises(BadInput, match="not to be deleted"):
        delete_orphans(lake, TABLE.name, AGE, wait=lambda attempt: None)


def test_less_than_an_hour_has_to_be_forced() -> None:
    require_safe_age(timedelta(hours=1), force=False)
    require_safe_age(timedelta(0), force=True)
    with pytest.raises(BadInput, match="allowed: 1 hour or more"):
        require_safe_age(timedelta(minutes=59), force=False)


# The command


def run(monkeypatch: pytest.MonkeyPatch, home: Path, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["fleetlake", "--home", str(home), "maintain", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_the_command_says_what_would_go_and_does_it(
    lake: Lake, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = stray(home, "data/1.parquet")
    assert run(monkeypatch, home, "orphans", "--dry-run") == 0
    assert capsys.readouterr().out == f"bronze.vehicle: 1 orphans would be deleted, 0.0 MB\n  {path}\n"
    assert run(monkeypatch, home, "orphans", "--json", "--table", TABLE.name) == 0
    report = {"table": TABLE.name, "dry_run": False, "files": [str(path)], "size_bytes": 5, "deleted": 1, "left_alone": ""}
    assert json.loads(capsys.readouterr().out) == [report]
    assert not path.exists()
    expiring = ("expire", "--keep", "2", "--keep-hourly", "0", "--dry-run")
    assert run(monkeypatch, home, *expiring) == 0
    said = "bronze.vehicle: 0 snapshots would be expired, 5 kept; 0 metadata files and 0 data files would be deleted\n"
    assert capsys.readouterr().out == said  # all are younger than a minute; one is by `orphans`


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("orphans", "--older-than", "0.5"), "--force if nothing writes"),
        (("expire", "--table", "bronze.nothing"), "there is no table bronze.nothing; at --table; allowed: bronze.vehicle"),
        (("run", "--table", "bronze.nothing"), "there is no table bronze.nothing"),
    ],
)
def test_what_can_not_be_done_is_told(
    lake: Lake,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    said: str,
) -> None:
    assert run(monkeypatch, home, *arguments) == 2
    assert said in capsys.readouterr().err
