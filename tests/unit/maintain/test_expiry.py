"""Expiry: what the plan keeps, and on real lakes that no file goes which a kept snapshot or a reader in flight needs."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException

from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.events import VEHICLE
from fleetlake.contracts.tables import bronze_of
from fleetlake.foundation.errors import BadInput, Retryable
from fleetlake.lake.catalog import Lake, LakeSettings, open_lake
from fleetlake.lake.commits import Conflict, commit
from fleetlake.lake.places import local_path
from fleetlake.lake.replace import NewFile
from fleetlake.lake.scan import Damaged
from fleetlake.lake.write import write_files
from fleetlake.maintain.expiry import expire
from fleetlake.maintain.orphans import _known
from fleetlake.maintain.replacing import replace_files
from fleetlake.maintain.retention import HOUR_MS, ExpiryPolicy, Past, plan_expiry

TABLE = bronze_of(VEHICLE)
JUST_CURRENT = ExpiryPolicy(newest=1, planning_s=0, reading_s=0, hourly_s=0)
NOW_MS = 500 * HOUR_MS


def plan(past: Sequence[Past], policy: ExpiryPolicy = JUST_CURRENT, named: Sequence[int] = ()) -> list[int]:
    return plan_expiry(past, past[-1].snapshot_id if past else None, named, policy, NOW_MS)


def chain(*ages_s: float, **of_all: Any) -> list[Past]:
    """Snapshots 1, 2, ... that old, each the next one's parent."""
    return [Past(i, i - 1 or None, i, round(NOW_MS - age * 1000), **of_all) for i, age in enumerate(ages_s, 1)]


def test_number_and_age_of_what_stays() -> None:
    past = chain(90, 70, 59, 5, 4)
    assert plan(past) == [1, 2, 3, 4]
    assert plan(past, ExpiryPolicy(2, planning_s=0, reading_s=0, hourly_s=0)) == [1, 2, 3]
    # The second was current until 59 s ago: a reader may have loaded it 60 s ago, and plan on it yet.
    assert plan(past, ExpiryPolicy(1, planning_s=60, reading_s=0, hourly_s=0)) == [1]
    assert plan([]) == []


def test_the_snapshot_before_files_were_taken_away_stays_as_long_as_a_reader_may_read() -> None:
    past = chain(500, 400, 300, 200, 100)
    past[2] = Past(3, 2, 3, past[2].time_ms, takes_files=True)
    assert plan(past, ExpiryPolicy(1, planning_s=0, reading_s=301, hourly_s=0)) == [1, 4]
    assert plan(past, ExpiryPolicy(1, planning_s=0, reading_s=299, hourly_s=0)) == [1, 2, 3, 4]


def test_the_last_of_each_hour_stays_for_a_day() -> None:
    hours = [30, 29.5, 2.9, 2.1, 1.5, 0.5, 0.1]
    assert plan(chain(*(hour * 3600 for hour in hours)), ExpiryPolicy(1, 0, 0, hourly_s=86_400)) == [1, 2, 3, 6]


def test_the_last_ingest_and_what_is_named_stay() -> None:
    past = chain(5, 4, 3, 2, 1)
    past[0], past[1] = Past(1, None, 1, 0, is_ingest=True), Past(2, 1, 2, 0, is_ingest=True)
    assert plan(past) == [1, 3, 4]
    assert plan(past, named=[4]) == [1, 3]


def test_a_spark_query_finds_its_last_epoch() -> None:
    past = chain(*range(500, 0, -1))
    past[99], past[300] = Past(100, 99, 100, 0, stream="old"), Past(301, 300, 301, 0, stream="new")
    assert plan(past) == list(range(1, 301))  # the newest query's, however far back; the other one is too far back
    past[450] = Past(451, 450, 451, 0, stream="newer")
    assert plan(past) == list(range(1, 301))  # both are near
    assert plan(past[:99]) == list(range(1, 99))


PASTS = st.lists(
    st.tuples(
        st.integers(0, 2 * 86_400), st.booleans(), st.booleans(), st.sampled_from([None, None, None, "a", "b"]), st.booleans()
    ),
    max_size=40,
)
POLICIES = st.builds(
    ExpiryPolicy, st.integers(1, 10), st.floats(0, 5000), st.floats(0, 50_000), st.floats(0, 90_000)
)  # fmt: skip


@given(PASTS, POLICIES)
@settings(max_examples=150, deadline=None)
def test_the_plan_keeps_what_it_has_to(drawn: list[tuple[int, bool, bool, str | None, bool]], policy: ExpiryPolicy) -> None:
    drawn = sorted(drawn, key=lambda one: -one[0])
    past = [Past(i, i - 1 or None, i, NOW_MS - d[0] * 1000, d[1], d[2], d[3]) for i, d in enumerate(drawn, 1)]
    named = [i for i, d in enumerate(drawn, 1) if d[4]]
    going = plan(past, policy, named)
    left = {one.snapshot_id for one in past} - set(going)
    assert going == sorted(going)
    assert left >= {*named, *(one.snapshot_id for one in past[-policy.newest :])}
    for before, after in pairwise(past):
        age_s = (NOW_MS - after.time_ms) / 1000
        assert before.snapshot_id in left or (age_s >= policy.planning_s and (not after.takes_files or age_s >= policy.reading_s))
    for hour in {one.time_ms // HOUR_MS for one in past if one.time_ms >= NOW_MS - policy.hourly_s * 1000}:
        assert any(one.time_ms // HOUR_MS == hour for one in past if one.snapshot_id in left)
    if ingests := [one.snapshot_id for one in past if one.is_ingest]:
        assert ingests[-1] in left
    for stream in {one.stream for one in past if one.stream}:
        epoch = max(one.snapshot_id for one in past if one.stream == stream)
        assert left >= set(range(epoch, len(past) + 1))
    after = [one for one in past if one.snapshot_id in left]
    assert plan(after, policy, named) == []  # a second run finds nothing


# On real lakes


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    made = open_lake(
        LakeSettings("test", {"type": "sql", "uri": f"sqlite:///{tmp_path}/c.db", "warehouse": f"file://{tmp_path}/w"})
    )
    made.ensure([TABLE])
    yield made
    made.close()


def rows(*offsets: int) -> pa.Table:
    schema = table_schema(TABLE)
    columns = {name: [None] * len(offsets) for name in schema.names}
    return pa.table(columns | {"kafka_partition": [0] * len(offsets), "kafka_offset": list(offsets)}, schema=schema)


def append(lake: Lake, *offsets: int, **properties: str) -> None:
    table = lake.table(TABLE.name)
    commit(table, added=write_files(table, rows(*offsets), folder=uuid.uuid4().hex), properties=properties)


def put_together(lake: Lake) -> None:
    """All rows into one file."""
    table = lake.table(TABLE.name)
    old = [task.file for task in table.scan().plan_files()]
    new = write_files(table, table.scan().to_arrow(), folder=uuid.uuid4().hex)
    sequence = table.metadata.last_sequence_number
    added = [NewFile(file, sequence) for file in new]
    replace_files(lake, TABLE.name, [file.file_path for file in old], added, same_rows=True, wait=no_wait)


def no_wait(attempt: int) -> None:
    pass


def offsets_of(lake: Lake, snapshot_id: int | None = None) -> list[int]:
    found = lake.table(TABLE.name).scan(snapshot_id=snapshot_id, selected_fields=("kafka_offset",)).to_arrow()
    return sorted(found["kafka_offset"].to_pylist())


def on_disk(folder: Path) -> set[str]:
    return {str(path) for path in (folder / "w").rglob("*") if path.is_file()}


def known(lake: Lake) -> set[str]:
    return {str(local_path(location)) for location in _known(lake.table(TABLE.name))}


def test_files_that_no_snapshot_reaches_go_and_nothing_else(lake: Lake, tmp_path: Path) -> None:
    for offset in range(25):  # the small manifests are merged on the way
        append(lake, offset)
    put_together(lake)
    append(lake, 25)
    table = lake.table(TABLE.name)
    table.manage_snapshots().create_tag(table.snapshots()[9].snapshot_id, "tenth").commit()
    would = expire(lake, TABLE.name, JUST_CURRENT, wait=no_wait, dry_run=True)
    assert len(lake.table(TABLE.name).snapshots()) == 27
    done = expire(lake, TABLE.name, JUST_CURRENT, wait=no_wait)
    assert (done.expired, done.kept, done.manifest_lists, done.data_files) == (25, 2, 25, 15)
    assert (would.dry_run, would.expired, would.kept, would.data_files, would.manifests, would.data_bytes) == (
        True, 25, 2, 15, done.manifests, done.data_bytes,
    )  # fmt: skip
    assert on_disk(tmp_path) == known(lake)
    assert offsets_of(lake) == list(range(26))
    assert offsets_of(lake, lake.table(TABLE.name).snapshot_by_name("tenth").snapshot_id) == list(range(10))  # type: ignore[union-attr]
    assert expire(lake, TABLE.name, JUST_CURRENT, wait=no_wait).expired == 0


def test_the_table_keeps_its_properties_and_the_ingest_its_last_snapshot(lake: Lake) -> None:
    append(lake, 0, **{"fleetlake.ingest": "first"})
    append(lake, 1, **{"fleetlake.ingest": "last"})
    before = lake.table(TABLE.name).properties
    put_together(lake)
    append(lake, 2)
    assert expire(lake, TABLE.name, JUST_CURRENT, wait=no_wait).expired == 2
    table = lake.table(TABLE.name)
    assert table.properties == before
    assert [s.summary.get("fleetlake.ingest") for s in table.snapshots() if s.summary] == ["last", None]


def test_a_reader_that_planned_before_a_compaction_reads_on(lake: Lake, tmp_path: Path) -> None:
    for offset in range(5):
        append(lake, offset)
    reading = lake.table(TABLE.name).scan()
    files = [str(local_path(task.file.file_path)) for task in reading.plan_files()]
    put_together(lake)
    for offset in range(5, 9):
        append(lake, offset)
    policy, later = ExpiryPolicy(1, planning_s=0, reading_s=900, hourly_s=0), datetime.now(UTC) + timedelta(seconds=901)
    assert expire(lake, TABLE.name, policy, wait=no_wait).expired == 7
    assert [Path(file).is_file() for file in files] == [True] * 5
    assert expire(lake, TABLE.name, policy, wait=no_wait, now=lambda: later).data_files == 5
    assert [Path(file).is_file() for file in files] == [False] * 5
    assert offsets_of(lake) == list(range(9))
    assert on_disk(tmp_path) == known(lake)


def test_beside_a_writer_and_a_reader(lake: Lake, tmp_path: Path) -> None:
    for offset in range(10):
        append(lake, offset)
    last, failures, stop = 10, list[BaseException](), threading.Event()

    def write() -> None:
        nonlocal last
        try:
            while not stop.is_set():
                try:
                    append(lake, last)
                except Conflict:
                    continue
                last += 1
        except BaseException as error:
            failures.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    expired = 0
    try:
        for _ in range(5):
            expired += expire(lake, TABLE.name, ExpiryPolicy(5, planning_s=0, reading_s=0, hourly_s=0), wait=no_wait).expired
            found = offsets_of(lake)
            assert found == list(range(len(found)))
    finally:
        stop.set()
        writer.join()
    assert failures == []
    assert last > 10
    assert expired >= 5
    assert offsets_of(lake) == list(range(last))
    expire(lake, TABLE.name, JUST_CURRENT, wait=no_wait)
    assert known(lake) <= on_disk(tmp_path)
    assert offsets_of(lake) == list(range(last))


@pytest.mark.parametrize("landed", [True, False])
def test_after_a_commit_without_an_answer_no_file_of_what_may_be_gone_is_deleted(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, landed: bool
) -> None:
    for offset in range(4):
        append(lake, offset)
    before, real, plan = on_disk(tmp_path), lake.catalog.commit_table, ["fault"]

    def commit_table(*args: Any) -> object:
        if not plan:
            return real(*args)
        plan.pop()
        if landed:
            real(*args)
        raise CommitStateUnknownException("no reply")

    monkeypatch.setattr(lake.catalog, "commit_table", commit_table)
    done = expire(lake, TABLE.name, JUST_CURRENT, wait=no_wait)
    gone = before - on_disk(tmp_path)
    assert len(lake.table(TABLE.name).snapshots()) == 1
    assert (done.expired, len(gone) > 0) == ((0, False) if landed else (3, True))
    assert offsets_of(lake) == list(range(4))


def test_it_gives_up_on_a_table_that_never_holds_still(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append(lake, 0)
    append(lake, 1)
    waits, before = list[int](), on_disk(tmp_path)

    def refuse(*_: Any) -> None:
        raise CommitFailedException("refused")

    monkeypatch.setattr(lake.catalog, "commit_table", refuse)
    with pytest.raises(Retryable, match="could not be removed in 30 attempts"):
        expire(lake, TABLE.name, JUST_CURRENT, wait=waits.append)
    assert waits == list(range(1, 30))
    assert on_disk(tmp_path) == before


def test_a_snapshot_that_the_table_is_rolled_back_to_meanwhile_stays(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the plan and the commit; the catalog alone would let both through, and leave the table without a snapshot."""
    for offset in range(3):
        append(lake, offset)
    wanted, real = lake.table(TABLE.name).snapshots()[0].snapshot_id, lake.catalog.commit_table

    def move_first(*args: Any) -> object:
        monkeypatch.setattr(lake.catalog, "commit_table", real)
        rolled = lake.table(TABLE.name)
        rolled.manage_snapshots().rollback_to_snapshot(snapshot_id=wanted).commit()
        return real(*args)

    monkeypatch.setattr(lake.catalog, "commit_table", move_first)
    expire(lake, TABLE.name, JUST_CURRENT, wait=no_wait)
    assert offsets_of(lake) == [0]


def test_files_that_are_not_the_tables_own_are_refused(lake: Lake) -> None:
    with lake.table(TABLE.name).transaction() as transaction:
        transaction.set_properties({"gc.enabled": "false"})
    with pytest.raises(BadInput, match="not to be deleted"):
        expire(lake, TABLE.name, JUST_CURRENT, wait=no_wait)


def test_no_file_goes_if_a_manifest_that_is_in_use_is_missing(lake: Lake, tmp_path: Path) -> None:
    for offset in range(3):
        append(lake, offset)
    current = lake.table(TABLE.name).current_snapshot()
    assert current is not None
    Path(str(local_path(current.manifest_list))).unlink()
    before = {path for path in on_disk(tmp_path) if not path.endswith(".json")}
    with pytest.raises(Damaged, match=r"metadata file .*snap-.* is missing"):
        expire(lake, TABLE.name, JUST_CURRENT, wait=no_wait)
    assert before <= on_disk(tmp_path)
