"""Replacing files beside a writer and under failing commits: the rows stay what they are, sequence numbers and marker too."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException
from pyiceberg.manifest import ManifestFile
from pyiceberg.table.snapshots import Operation
from tests.catalog_faults import Faults

from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.events import VEHICLE
from fleetlake.contracts.tables import bronze_of
from fleetlake.foundation.errors import Retryable
from fleetlake.ingest.offsets import PROPERTY, KafkaTopicState
from fleetlake.ingest.table_writer import TableWriter
from fleetlake.lake.catalog import Lake, LakeSettings, open_lake
from fleetlake.lake.replace import NewFile, Superseded
from fleetlake.lake.scan import added_files
from fleetlake.lake.snapshots import wall_clock_ms
from fleetlake.lake.write import write_files
from fleetlake.maintain.replacing import replace_files

TABLE = bronze_of(VEHICLE)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    made = open_lake(
        LakeSettings("test", {"type": "sql", "uri": f"sqlite:///{tmp_path}/c.db", "warehouse": f"file://{tmp_path}/w"})
    )
    made.ensure([TABLE])
    yield made
    made.close()


@pytest.fixture
def writer(lake: Lake) -> TableWriter:
    made = TableWriter(lake, TABLE.name, job="test", wait=lambda attempt: None)
    made.take_over(KafkaTopicState("vehicle_data", "cluster", "topic", {0: (0, 1000)}))
    for first in range(0, 6, 2):
        made.append([rows(first, first + 2)], {0: first + 2}, 0)
    return made


def rows(first: int, after: int) -> pa.Table:
    columns = {name: [None] * (after - first) for name in table_schema(TABLE).names}
    return pa.table(columns | {"kafka_partition": [0] * (after - first), "kafka_offset": range(first, after)}, table_schema(TABLE))


def offsets(lake: Lake) -> list[int]:
    scanned: list[int] = lake.table(TABLE.name).scan(selected_fields=("kafka_offset",)).to_arrow()["kafka_offset"].to_pylist()
    return sorted(scanned)


def replace(lake: Lake, wait: Callable[[int], None] = lambda attempt: None, folder: str = "compacted") -> str:
    """Offsets 0 to 3, in two files, into one; returns where it is."""
    table = lake.table(TABLE.name)
    sequence = (table.snapshots()[-1].sequence_number or 0) - 1
    last = {file.file_path for file in added_files(table, sequence)}
    old = [file.file_path for file in added_files(table, 0) if file.file_path not in last]
    (file,) = write_files(table, rows(0, 4), folder=folder)
    replace_files(lake, TABLE.name, old, [NewFile(file, sequence)], same_rows=True, wait=wait)
    return file.file_path


def test_files_that_waited_too_long_are_not_committed(lake: Lake, writer: TableWriter, tmp_path: Path) -> None:
    """An erasure or `orphans` may have deleted them meanwhile."""
    table = lake.table(TABLE.name)
    old = [file.file_path for file in added_files(table, 0)]
    new = write_files(table, rows(0, 6), folder="compacted")
    before = lake.table(TABLE.name).metadata_location
    with pytest.raises(Retryable, match="may be taken for unused ones"):
        replace_files(
            lake, TABLE.name, old, [NewFile(file, 4) for file in new], same_rows=True, wait=lambda attempt: None,
            since_ms=wall_clock_ms() - 31 * 60_000,
        )  # fmt: skip
    assert lake.table(TABLE.name).metadata_location == before
    assert not list(tmp_path.rglob("compacted/*"))
    assert offsets(lake) == list(range(6))


def test_rows_stay_and_readers_find_nothing_new(lake: Lake, writer: TableWriter) -> None:
    before = lake.table(TABLE.name)
    read = before.snapshots()[-1].sequence_number or 0
    replace(lake)
    table = lake.table(TABLE.name)
    snapshot = table.current_snapshot()
    assert offsets(lake) == list(range(6))
    assert added_files(table, read) == []
    assert len(added_files(table, read - 1)) == 1, "what was not read before is found, what is replaced is not"
    assert len(added_files(table, 0)) == 2
    assert snapshot is not None
    assert snapshot.summary is not None
    assert (snapshot.summary.operation, snapshot.summary["total-records"]) == (Operation.REPLACE, "6")
    assert PROPERTY not in snapshot.summary.additional_properties
    assert table.properties == before.properties
    writer.append([rows(6, 8)], {0: 8}, 0)
    assert offsets(lake) == list(range(8))
    assert len(added_files(lake.table(TABLE.name), read)) == 1


def faulty(lake: Lake, monkeypatch: pytest.MonkeyPatch, *steps: Callable[..., Any]) -> None:
    real, left = lake.catalog.commit_table, list(steps)
    monkeypatch.setattr(lake.catalog, "commit_table", lambda *given: left.pop(0)(real, *given) if left else real(*given))


def refused(*_: Any) -> None:
    raise CommitFailedException("refused")


def lost(*_: Any) -> None:
    raise CommitStateUnknownException("never arrived")


def landed(real: Callable[..., Any], *given: Any) -> None:
    real(*given)
    raise CommitStateUnknownException("landed, but the reply was lost")


@pytest.mark.parametrize("steps", [(refused,), (lost,), (landed,), (refused, lost, landed)])
def test_any_fault_leaves_each_row_once(
    lake: Lake, writer: TableWriter, monkeypatch: pytest.MonkeyPatch, steps: tuple[Callable[..., Any], ...]
) -> None:
    faulty(lake, monkeypatch, *steps)
    replace(lake)
    assert offsets(lake) == list(range(6))
    assert len(added_files(lake.table(TABLE.name), 0)) == 2


@pytest.mark.parametrize("plan", ["late", "late landed", "late conflict lost"])
@pytest.mark.parametrize("arrives", ["in between", "at the end"])
def test_a_commit_that_lands_late_finds_its_files(lake: Lake, writer: TableWriter, plan: str, arrives: str) -> None:
    faults = Faults(lake)
    faults.plan = plan.split()
    replace(lake, lambda attempt: None if arrives == "at the end" else faults.deliver_late() and None)
    faults.deliver_late()
    assert offsets(lake) == list(range(6))
    assert len(added_files(lake.table(TABLE.name), 0)) == 2


def test_an_ingest_that_wins_keeps_its_rows(lake: Lake, writer: TableWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    def overtaken(real: Callable[..., Any], *given: Any) -> Any:
        writer.append([rows(6, 9)], {0: 9}, 0)
        return real(*given)

    faulty(lake, monkeypatch, overtaken)
    waits: list[int] = []
    replace(lake, waits.append)
    assert offsets(lake) == list(range(9))
    assert waits == [1]


def test_files_that_are_gone_are_not_replaced_again(lake: Lake, writer: TableWriter) -> None:
    table = lake.table(TABLE.name)
    old = [file.file_path for file in added_files(table, 0)]
    replace(lake)
    (file,) = write_files(table, rows(0, 6), folder="late")
    with pytest.raises(Superseded, match="2 of 3 files"):
        replace_files(lake, TABLE.name, old, [NewFile(file, 4)], same_rows=True, wait=lambda attempt: None)
    assert offsets(lake) == list(range(6))
    assert not Path(file.file_path.removeprefix("file://")).exists()


@pytest.mark.parametrize(("step", "stays"), [(refused, False), (lost, True)])
def test_after_giving_up_only_what_surely_did_not_land_is_deleted(
    lake: Lake, writer: TableWriter, monkeypatch: pytest.MonkeyPatch, step: Callable[..., Any], stays: bool
) -> None:
    faulty(lake, monkeypatch, *[step] * 100)
    with pytest.raises(Retryable, match="15 attempts"):
        replace(lake)
    folder = Path(lake.table(TABLE.name).location().removeprefix("file://"), "data", "compacted")
    assert bool(list(folder.glob("*.parquet"))) is stays
    assert offsets(lake) == list(range(6))


def test_manifests_of_other_files_are_read_once(lake: Lake, writer: TableWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    faulty(lake, monkeypatch, refused, refused)
    real, read = ManifestFile.fetch_manifest_entry, list[str]()

    def counted(manifest: ManifestFile, *given: Any, **more: Any) -> Any:
        read.append(manifest.manifest_path)
        return real(manifest, *given, **more)

    files = added_files(lake.table(TABLE.name), 0)
    (new,) = write_files(lake.table(TABLE.name), rows(0, 2), folder="new")
    (first,) = [file.file_path for file in files if file.lower_bounds[2] == (0).to_bytes(8, "little")]
    monkeypatch.setattr(ManifestFile, "fetch_manifest_entry", counted)
    replace_files(lake, TABLE.name, [first], [NewFile(new, 2)], same_rows=True, wait=lambda attempt: None)
    assert sorted(read.count(path) for path in set(read)) == [1, 1, 3]
    monkeypatch.undo()
    assert offsets(lake) == list(range(6))
