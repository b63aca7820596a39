"""The order of a table's times, by clocks that go back, stand in the future, or differ."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from py4j.protocol import Py4JJavaError
from pyiceberg.table import Table as IcebergTable
from tests.faults.world import local_lake
from tests.java_reader import JavaReader

from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.events import GPS
from fleetlake.contracts.tables import bronze_of
from fleetlake.lake.catalog import Lake, open_lake
from fleetlake.lake.commits import commit
from fleetlake.lake.digest import Digest
from fleetlake.lake.replace import NewFile
from fleetlake.lake.snapshots import CLOCK, believed_times, commit_times, history, in_order
from fleetlake.lake.write import write_files
from fleetlake.maintain.erase_history import expire_all_but_current
from fleetlake.maintain.erase_name import DeviceName
from fleetlake.maintain.erase_table import Counted, Rewritten, commit_rewritten
from fleetlake.maintain.expiry import expire
from fleetlake.maintain.replacing import replace_files
from fleetlake.maintain.retention import ExpiryPolicy
from fleetlake.serve.as_of import Moment, parse_moment, snapshot_at
from fleetlake.serve.snapshots import list_snapshots

TABLE = bronze_of(GPS)
NOON_MS = 4_000_000_000_000  # far ahead, as the table itself is made by the real clock
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    """A lake whose clock says noon, PyIceberg's too."""
    set_clock(monkeypatch, NOON_MS)
    made = open_lake(local_lake(tmp_path))
    made.ensure([TABLE])
    yield made
    made.close()


@pytest.fixture(scope="module")
def java(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JavaReader]:
    made = JavaReader(tmp_path_factory.mktemp("java") / "java.log")
    yield made
    made.stop()


def set_clock(monkeypatch: pytest.MonkeyPatch, now_ms: int) -> None:
    """What PyIceberg asks for the time, as well as our own clock."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.fromtimestamp(now_ms / 1000, tz)

    monkeypatch.setattr("pyiceberg.table.update.datetime", Clock)
    monkeypatch.setattr(time, "time_ns", lambda: now_ms * 1_000_000)
    monkeypatch.setattr(time, "time", lambda: now_ms / 1000)


def append(lake: Lake, now_ms: int) -> IcebergTable:
    table = lake.table(TABLE.name)
    columns: dict[str, Any] = {name: [None] for name in table_schema(TABLE).names}
    columns |= {"kafka_partition": [0], "kafka_offset": [now_ms], "ingested_at": [datetime.now(UTC)]}
    files = write_files(table, pa.table(columns, table_schema(TABLE)), folder=uuid.uuid4().hex)
    return commit(table, added=files, properties={"written": str(now_ms)}, clock=lambda: now_ms)


def compact(lake: Lake) -> None:
    old = [task.file for task in lake.table(TABLE.name).scan().plan_files()]
    added = [NewFile(file, None) for file in write_files(lake.table(TABLE.name), rows_of(lake), folder=uuid.uuid4().hex)]
    replace_files(lake, TABLE.name, [file.file_path for file in old], added, same_rows=True, wait=lambda attempt: None)


def rows_of(lake: Lake) -> pa.Table:
    return lake.table(TABLE.name).scan().to_arrow()


def erase(lake: Lake) -> None:
    table = lake.table(TABLE.name)
    file = next(iter(table.scan().plan_files())).file
    rewritten = {file.file_path: Rewritten(file, file, Counted(), None, Digest())}
    commit_rewritten(table, rewritten, DeviceName("nobody"), {}, snapshot_id=table.metadata.new_snapshot_id())
    expire_all_but_current(lake.table(TABLE.name), lambda location: None)


def set_property(lake: Lake) -> None:
    with lake.table(TABLE.name).transaction() as transaction:
        transaction.set_properties({"x": uuid.uuid4().hex})


def add_column(lake: Lake) -> None:
    from pyiceberg.types import StringType

    with lake.table(TABLE.name).update_schema() as update:
        update.add_column(f"c{uuid.uuid4().hex}", StringType())


def expire_all(lake: Lake) -> None:
    policy = ExpiryPolicy(newest=1, planning_s=0.0, reading_s=0.0, hourly_s=0.0)
    expire(
        lake, TABLE.name, policy, wait=lambda attempt: None, now=lambda: datetime.fromtimestamp((NOON_MS + 30 * DAY_MS) / 1000, UTC)
    )


@pytest.mark.parametrize("change", [compact, erase, set_property, add_column, expire_all], ids=lambda change: change.__name__)
@pytest.mark.parametrize("back_ms", [10 * MINUTE_MS, DAY_MS], ids=["10 minutes", "a day"])
def test_java_reads_a_table_that_a_clock_set_back_has_changed(
    change: Callable[[Lake], None], back_ms: int, lake: Lake, java: JavaReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(lake, NOON_MS + 1)
    append(lake, NOON_MS + 2)
    set_clock(monkeypatch, NOON_MS - back_ms)
    change(lake)
    append(lake, NOON_MS - back_ms + 5)
    change(lake)
    table = lake.table(TABLE.name)
    assert java.count_rows(table) == (3, 3)
    require_order(table)


def require_order(table: IcebergTable) -> None:
    """Stricter than Java, which lets a minute pass."""
    metadata = table.metadata
    ordered = sorted(metadata.snapshots, key=lambda snapshot: snapshot.sequence_number or 0)
    for times in (
        [*(entry.timestamp_ms for entry in metadata.snapshot_log), metadata.last_updated_ms],
        [*(entry.timestamp_ms for entry in metadata.metadata_log), metadata.last_updated_ms],
        [snapshot.timestamp_ms for snapshot in ordered],
    ):
        assert all(before <= after for before, after in pairwise(times)), times


def test_a_table_that_an_earlier_release_left_out_of_order_is_put_right_by_the_next_commit(lake: Lake, java: JavaReader) -> None:
    append(lake, NOON_MS + 1)
    table = append(lake, NOON_MS + 2)
    log = table.metadata.snapshot_log
    late = log[0].model_copy(update={"timestamp_ms": NOON_MS + 10 * MINUTE_MS})
    broken = table.metadata.model_copy(update={"snapshot_log": [late, log[1]], "last_updated_ms": NOON_MS + 2})
    Path(table.metadata_location.removeprefix("file://")).write_text(broken.model_dump_json())
    with pytest.raises(Py4JJavaError, match="Expected sorted snapshot log entries"):
        java.count_rows(lake.table(TABLE.name))
    table = append(lake, NOON_MS + 3)
    assert java.count_rows(table) == (3, 3)


def test_a_snapshot_says_what_the_clock_said_only_if_it_is_dated_otherwise(lake: Lake) -> None:
    first, second = append(lake, NOON_MS + 5), append(lake, NOON_MS - HOUR_MS)
    third = append(lake, NOON_MS + DAY_MS)
    said = [snapshot.summary.additional_properties.get(CLOCK) for snapshot in third.snapshots() if snapshot.summary]
    assert said == [None, str(NOON_MS - HOUR_MS), None]
    assert [snapshot.timestamp_ms for snapshot in third.snapshots()] == [NOON_MS + 5, NOON_MS + 6, NOON_MS + DAY_MS]
    assert first.metadata.table_uuid == second.metadata.table_uuid


def test_metadata_in_order_is_not_made_again(lake: Lake) -> None:
    metadata = append(lake, NOON_MS + 5).metadata
    assert in_order(metadata, since_ms=NOON_MS) is metadata


@pytest.mark.parametrize(
    ("clocks", "believed"),
    [
        ([10, 20, 30], [10, 20, 30]),
        ([10, 900, 30], [10, 30, 30]),  # the second one's clock stood in the future
        ([10, 20, 900], [10, 20, 100]),
        ([10, 50, 20, 60], [10, 50, 50, 60]),  # the third one's had gone back
        ([900, 900], [100, 100]),
        ([], []),
    ],
)
def test_when_commits_were_made(clocks: list[int], believed: list[int]) -> None:
    assert believed_times(clocks, now_ms=100) == believed


@given(st.lists(st.integers(0, 2**45), max_size=30), st.integers(0, 2**45))
def test_believed_times_never_go_back_nor_lie_in_the_future(clocks: list[int], now_ms: int) -> None:
    believed = believed_times(clocks, now_ms)
    assert len(believed) == len(clocks)
    assert all(before <= after for before, after in pairwise(believed))
    assert all(at_ms <= now_ms for at_ms in believed)


def test_a_clock_that_stood_in_the_future_keeps_nothing_from_expiring_and_nobody_from_the_past(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For an hour a writer's clock was a day ahead, then it was set right; since then there was a commit every ten minutes."""
    ahead = [append(lake, NOON_MS + DAY_MS + minute * MINUTE_MS) for minute in (0, 30)]
    right = [append(lake, NOON_MS + HOUR_MS + minute * MINUTE_MS) for minute in range(0, 300, 10)]
    now_ms = NOON_MS + 6 * HOUR_MS
    metadata = right[-1].metadata
    set_clock(monkeypatch, now_ms)

    dated = [snapshot.timestamp_ms for snapshot in metadata.snapshots]
    assert dated == sorted(dated)
    assert dated[-1] > NOON_MS + DAY_MS
    ids = [snapshot.snapshot_id for snapshot in metadata.snapshots]
    times = commit_times(metadata, now_ms)
    assert [times[one] for one in ids[:3]] == [NOON_MS + HOUR_MS] * 3
    assert [times[one] for one in ids[3:6]] == [NOON_MS + HOUR_MS + minute * MINUTE_MS for minute in (10, 20, 30)]
    assert history(metadata, now_ms) == [(one, times[one]) for one in ids]

    asked_at = Moment(NOON_MS + HOUR_MS + 25 * MINUTE_MS, asked_ms=now_ms)
    assert snapshot_at(right[-1], asked_at) == ids[4]
    named = parse_moment(str(ids[4]), lake, lambda: now_ms)
    assert (named.at_ms, named.snapshot_id) == (NOON_MS + HOUR_MS + 20 * MINUTE_MS, ids[4])
    shown = list_snapshots(lake, TABLE.name, lambda: now_ms)
    assert shown[-1].committed_at == datetime.fromtimestamp((NOON_MS + HOUR_MS + 290 * MINUTE_MS) / 1000, UTC)

    policy = ExpiryPolicy(newest=1, planning_s=60.0, reading_s=3600.0, hourly_s=7200.0)
    done = expire(
        lake, TABLE.name, policy, wait=lambda attempt: None, now=lambda: datetime.fromtimestamp(now_ms / 1000, UTC), dry_run=True
    )
    assert done.expired == len(ids) - 2, "the last one of each of the last two hours stays, and nothing of the future"
    assert len(ahead) == 2
