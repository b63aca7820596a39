"""Compaction beside a writer and before a transform: rows, marker and what is new stay; each byte is rewritten few times."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import pairwise
from math import log2
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetlake.cli.main import main
from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.events import VEHICLE
from fleetlake.contracts.tables import bronze_of, silver_of
from fleetlake.foundation.errors import Permanent, Retryable
from fleetlake.ingest.offsets import KafkaTopicState
from fleetlake.ingest.table_writer import TableWriter
from fleetlake.lake import rewrite
from fleetlake.lake.catalog import Lake, LakeSettings, open_lake
from fleetlake.lake.commits import commit
from fleetlake.lake.memory_database import OutOfMemory
from fleetlake.lake.rewrite import payload_bytes, rewrite_files
from fleetlake.lake.scan import Damaged, added_files, numbered_files
from fleetlake.lake.write import write_files
from fleetlake.maintain import compaction
from fleetlake.maintain.compaction import Compacted, CompactionPolicy, LiveFile, compact, plan
from fleetlake.transform.native import native_engine
from fleetlake.transform.settings import Thresholds, TransformSettings
from fleetlake.transform.silver import SilverCounts, refresh_silver

BRONZE, SILVER = bronze_of(VEHICLE), silver_of(VEHICLE)
POLICY = CompactionPolicy()
DAY_US = 86_400_000_000


def opened(folder: Path) -> Lake:
    return open_lake(LakeSettings("test", {"type": "sql", "uri": f"sqlite:///{folder}/c.db", "warehouse": f"file://{folder}/w"}))


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    made = opened(tmp_path)
    made.ensure([BRONZE, SILVER])
    yield made
    made.close()


def writer_of(lake: Lake) -> TableWriter:
    made = TableWriter(lake, BRONZE.name, job="test", wait=lambda attempt: None)
    made.take_over(KafkaTopicState("vehicle_data", "cluster", "topic", {0: (0, 1000)}))
    return made


def rows(first: int, after: int) -> pa.Table:
    """One record an hour, written in the opposite order."""
    made = [
        {
            "kafka_partition": 0, "kafka_offset": at, "ingested_at": 0, "event_id": f"{at:06}", "device_id": f"v{at % 3}",
            "event_time": at * DAY_US // 24, "payload": None, "latitude": 52.0, "longitude": -1.0, "speed_kmh": 50.0,
        }
        for at in reversed(range(first, after))
    ]  # fmt: skip
    schema = table_schema(BRONZE)
    return pa.Table.from_pylist([{name: one.get(name) for name in schema.names} for one in made], schema=schema)


def append(writer: TableWriter, first: int, after: int, step: int = 1) -> None:
    for at in range(first, after, step):
        writer.append([rows(at, at + step)], {0: at + step}, 0)


def offsets(lake: Lake, snapshot_id: int | None = None) -> list[int]:
    scan = lake.table(BRONZE.name).scan(selected_fields=("kafka_offset",), snapshot_id=snapshot_id)
    return sorted(scan.to_arrow()["kafka_offset"].to_pylist())


def run(lake: Lake, name: str = BRONZE.name, **more: Any) -> Compacted:
    return compact(lake, name, POLICY, wait=lambda attempt: None, **more)


def files_of(lake: Lake) -> list[Path]:
    return sorted(Path(lake.table(BRONZE.name).location().removeprefix("file://"), "data").rglob("*.parquet"))


def columns_of(file: pq.ParquetFile) -> list[Any]:
    group = file.metadata.row_group(0)
    return [group.column(at) for at in range(group.num_columns)]


def test_a_day_is_one_file_in_order_of_arrival(lake: Lake) -> None:
    append(writer_of(lake), 0, 40, 2)
    before = lake.table(BRONZE.name)
    inputs, planned = files_of(lake), run(lake, dry_run=True)
    assert lake.table(BRONZE.name).metadata == before.metadata
    done = run(lake)
    table = lake.table(BRONZE.name)
    files = [file for file, _ in numbered_files(table)]
    assert [pq.read_table(file.file_path.removeprefix("file://"))["kafka_offset"].to_pylist() for file in files] in (
        [list(range(24)), list(range(24, 40))], [list(range(24, 40)), list(range(24))],
    )  # fmt: skip
    (old, *_), (new, *_) = (map(pq.ParquetFile, paths) for paths in (inputs, sorted(set(files_of(lake)) - set(inputs))))
    assert new.schema_arrow.equals(old.schema_arrow, check_metadata=True), "field ids too"
    assert [(c.compression, c.encodings) for c in columns_of(new)] == [(c.compression, c.encodings) for c in columns_of(old)]
    assert (planned.removed, done.removed, done.added, done.superseded) == (20, 20, 2, 0)
    assert planned.removed_bytes == done.removed_bytes > done.added_bytes > 0
    assert table.properties == before.properties
    again = run(lake)
    assert (again.removed, lake.table(BRONZE.name).metadata) == (0, table.metadata)


def test_rows_without_a_time_are_a_day_of_their_own(lake: Lake) -> None:
    table = lake.table(BRONZE.name)
    without = rows(0, 1).set_column(rows(0, 1).schema.get_field_index("event_time"), "event_time", [[None]])
    for folder in ("a", "b"):
        commit(lake.table(BRONZE.name), added=write_files(table, without, folder=folder), properties={})
    assert run(lake).added == 1
    assert offsets(lake) == [0, 0]
    ((file, _),) = numbered_files(lake.table(BRONZE.name))
    assert file.partition[0] is None


def test_a_writer_and_readers_go_on_meanwhile(lake: Lake, tmp_path: Path) -> None:
    writer, errors, is_enough = writer_of(lake), list[BaseException](), threading.Event()

    def write() -> None:
        try:
            while not is_enough.wait(0.05):  # six times as often as an ingest
                at = writer.marker.next[0]
                append(writer, at, at + 1)
        except BaseException as error:  # whatever it was, the test has to see it
            errors.append(error)
            is_enough.set()

    thread = threading.Thread(target=write)
    other, done = opened(tmp_path), 0
    thread.start()
    try:
        while done < 3 and not is_enough.is_set():
            with suppress(Retryable):  # on a slow machine the writer may be first each time
                done += compact(other, BRONZE.name, POLICY, wait=lambda attempt: is_enough.wait(random.random() / 20)).removed > 0
    finally:
        is_enough.set()
        thread.join()
    assert errors == []
    assert offsets(lake) == list(range(writer.marker.next[0]))
    seen = [offsets(lake, snapshot.snapshot_id) for snapshot in lake.table(BRONZE.name).snapshots()]
    assert all(found == list(range(len(found))) for found in seen)
    assert all(len(a) <= len(b) for a, b in pairwise(seen))
    other.close()


def test_an_ingest_that_loaded_the_table_before_goes_on(lake: Lake) -> None:
    writer = writer_of(lake)
    append(writer, 0, 4)
    assert run(lake).removed == 4
    append(writer, 4, 6)
    assert offsets(lake) == list(range(6))
    assert writer_of(lake).marker.next == {0: 6}


def test_what_a_reader_has_read_is_not_mixed_with_what_it_has_not(lake: Lake) -> None:
    writer = writer_of(lake)
    append(writer, 0, 4)
    read = lake.table(BRONZE.name).metadata.last_sequence_number
    append(writer, 4, 8)
    assert run(lake, read_up_to=[read]).added == 2
    assert [file.record_count for file in added_files(lake.table(BRONZE.name), read)] == [4]


def test_silver_after_a_compaction_is_silver_without(lake: Lake) -> None:
    def refresh(*, full: bool = False) -> SilverCounts:
        engines = partial(native_engine, TransformSettings(threads=1))
        return refresh_silver(lake, VEHICLE, Thresholds(), engines, full=full)

    writer = writer_of(lake)
    for at in range(0, 12, 4):
        append(writer, at, at + 4)
        assert refresh().inserted == 4
    append(writer, 12, 16)
    assert (run(lake).removed, run(lake, SILVER.name).removed) == (16, 3)
    assert refresh().inserted == 4
    snapshot = lake.table(SILVER.name).metadata.current_snapshot_id
    assert run(lake).removed == 0
    assert refresh() == SilverCounts(VEHICLE.topic, SILVER.name)
    assert lake.table(SILVER.name).metadata.current_snapshot_id == snapshot
    silver = sorted(map(repr, lake.table(SILVER.name).scan().to_arrow().to_pylist()))
    refresh(full=True)
    assert sorted(map(repr, lake.table(SILVER.name).scan().to_arrow().to_pylist())) == silver
    assert len(silver) == 16


def test_two_at_once_leave_each_row_once(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    append(writer_of(lake), 0, 4)
    real = compaction.rewrite_files

    def overtaken(*given: Any, **more: Any) -> Any:
        monkeypatch.setattr(compaction, "rewrite_files", real)
        assert run(lake).removed == 4
        return real(*given, **more)

    monkeypatch.setattr(compaction, "rewrite_files", overtaken)
    late = run(lake)
    assert (late.removed, late.added, late.superseded) == (0, 0, 1)
    assert offsets(lake) == list(range(4))
    assert len(files_of(lake)) == 4 + 1


def test_a_damaged_file_is_told_and_nothing_is_left(lake: Lake) -> None:
    append(writer_of(lake), 0, 4)
    before = files_of(lake)
    before[1].write_bytes(b"PAR1")
    with pytest.raises(Damaged, match=str(before[1])):
        run(lake)
    assert files_of(lake) == before


def test_fewer_rows_than_there_were_are_never_committed(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    append(writer_of(lake), 0, 4)
    before = files_of(lake)
    monkeypatch.setattr(
        rewrite, "expose_files", lambda con, table, view, files, real=rewrite.expose_files: real(con, table, view, files[1:])
    )
    with pytest.raises(Permanent, match="3 rows were read of 4"):
        run(lake)
    assert (files_of(lake), offsets(lake)) == (before, list(range(4)))


def test_a_file_of_the_target_size_is_followed_by_another(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    append(writer_of(lake), 0, 20, 5)
    table = lake.table(BRONZE.name)
    monkeypatch.setattr(rewrite, "ROW_GROUP_ROWS", 3)
    old = [file for file, _ in numbered_files(table)]
    written = rewrite_files(table, old, sort=["kafka_offset"], folder="new", target_bytes=1, memory_limit="100MB")
    found = [pq.read_table(file.file_path.removeprefix("file://"))["kafka_offset"].to_pylist() for file in written]
    assert found == [list(range(at, min(at + 3, 20))) for at in range(0, 20, 3)]
    assert [file.record_count for file in written] == [3] * 6 + [2]


def rejects(first: int, after: int, payload: bytes) -> pa.Table:
    made = rows(first, after).drop_columns(["payload", "event_time"])
    made = made.append_column("payload", pa.array([payload] * (after - first), pa.large_binary()))
    return made.append_column("event_time", pa.nulls(after - first, table_schema(BRONZE).field("event_time").type))


def test_files_of_large_rejects_are_put_together_as_far_as_memory_goes(lake: Lake) -> None:
    """They compress to nothing: by their sizes all would be one group, whose sort needs 240 MB at once and may have 64."""
    writer = writer_of(lake)
    for first in range(0, 240, 5):
        writer.append([rejects(first, first + 5, b"x" * 1_000_000)], {0: first + 5}, 0)
    table = lake.table(BRONZE.name)
    assert sum(file.file_size_in_bytes for file, _ in numbered_files(table)) < 1_000_000
    policy = CompactionPolicy(memory_mb=64)
    done = compact(lake, BRONZE.name, policy, wait=lambda attempt: None)
    assert (done.removed, done.added) == (48, 16)
    assert offsets(lake) == list(range(240))
    for file, _ in numbered_files(lake.table(BRONZE.name)):
        assert payload_bytes(table, file) <= policy.payload_bytes
    assert compact(lake, BRONZE.name, policy, wait=lambda attempt: None).removed == 0  # 15 MB are large enough


def test_a_group_that_memory_does_not_do_for_is_halved_and_the_last_is_told(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """As texts of good rows may be: what they take as dictionaries says nothing of it."""
    append(writer_of(lake), 0, 16)
    sizes: list[int] = []

    def rewritten(table: Any, files: Any, **given: Any) -> Any:
        sizes.append(len(files))
        if len(files) > 2 or "000000" in pq.read_table(files[0].file_path.removeprefix("file://"))["event_id"].to_pylist():
            raise OutOfMemory("compaction needs more memory than it may have")
        return rewrite_files(table, files, **given)

    monkeypatch.setattr(compaction, "rewrite_files", rewritten)
    with pytest.raises(OutOfMemory):
        run(lake)
    assert sizes == [16, 8, 4, 2, 2, 4, 2, 2, 8, 4, 2, 2, 4, 2, 2]
    assert (len(numbered_files(lake.table(BRONZE.name))), offsets(lake)) == (2 + 7, list(range(16)))


@pytest.mark.parametrize("error", [duckdb.OutOfMemoryException, OSError])
def test_too_little_memory_is_a_sentence_and_leaves_nothing(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """DuckDB raises an OSError where it runs out while its rows are taken as Arrow's."""
    append(writer_of(lake), 0, 2)
    before = files_of(lake)

    def failing(*given: Any) -> None:
        raise error("Out of Memory Error: could not allocate block of size 980.0 KiB\n\nPossible solutions:\n* Reducing")

    monkeypatch.setattr(rewrite, "expose_files", failing)
    words = r"compaction needs more memory than it may have; at Out of Memory Error: .* KiB; try: .*maintain compact --memory MB"
    with pytest.raises(OutOfMemory, match=words):
        run(lake)
    assert files_of(lake) == before


LIVE = st.builds(
    LiveFile, st.uuids().map(str), st.sampled_from([None, 1, 2]), st.integers(1, 9), st.integers(1, 300) | st.just(130),
    st.just(0) | st.integers(0, 300_000),
)  # fmt: skip


@given(st.lists(LIVE, max_size=60), st.sets(st.integers(0, 9), max_size=2))
def test_the_plan(files: list[LiveFile], read_up_to: set[int]) -> None:
    policy = CompactionPolicy(target_bytes=256, most_files=7, memory_mb=1)
    groups = plan(files, policy, read_up_to)
    taken = [file for group in groups for file in group]
    assert len(taken) == len(set(taken))
    assert set(taken) <= {file for file in files if file.size_bytes < 128 and file.payload_bytes < policy.payload_bytes / 2}
    for group in groups:
        sizes = sorted(file.size_bytes for file in group)
        assert sum(sizes) <= 256
        assert sum(file.payload_bytes for file in group) <= policy.payload_bytes
        assert 2 <= len(sizes) <= 7
        assert sum(sizes[:-1]) >= sizes[-1]
        assert len({file.day for file in group}) == 1
        assert len({tuple(file.sequence <= bound for bound in read_up_to) for file in group}) == 1


@given(st.integers(1, 7), st.sampled_from([0.3, 1.0]))
def test_each_byte_is_rewritten_few_times(added_at_once: int, least: float) -> None:
    random_size, files, rewritten, added = random.Random(added_at_once), list[LiveFile](), 0, 0
    for number in range(0, 500, added_at_once):
        files += [
            LiveFile(f"{number} {i}", 1, number, 1 + int(4 * random_size.random() * (1 - least))) for i in range(added_at_once)
        ]
        added += sum(file.size_bytes for file in files[-added_at_once:])
        for group in plan(files, CompactionPolicy(target_bytes=256)):
            size = sum(file.size_bytes for file in group)
            rewritten += size
            files = [file for file in files if file not in group] + [LiveFile(group[0].location, 1, number, size)]
    assert rewritten <= added * log2(256)
    assert len([file for file in files if file.size_bytes < 128]) < 2 * log2(256)


def test_the_command_keeps_apart_what_silver_has_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["fleetlake", "--home", str(tmp_path), "maintain", "compact", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        assert not end.value.code
        return capsys.readouterr().out

    uri, warehouse = f"sqlite:///{tmp_path}/catalog.db", f"file://{tmp_path}/warehouse"
    lake = open_lake(LakeSettings("local", {"type": "sql", "uri": uri, "warehouse": warehouse}))
    lake.ensure([BRONZE, SILVER])
    writer, engines = writer_of(lake), partial(native_engine, TransformSettings(threads=1))
    append(writer, 0, 4)
    refresh_silver(lake, VEHICLE, Thresholds(), engines, full=False)
    append(writer, 4, 8)
    assert "bronze.vehicle: 8 small files, 0.1 MB, would be put together" in command("--dry-run")
    (report,) = json.loads(command("--json", "--table", BRONZE.name))
    assert (report["table"], report["removed"], report["added"]) == (BRONZE.name, 8, 2)
    assert offsets(lake) == list(range(8))
    assert "bronze.vehicle: nothing to put together" in command()
    lake.close()
