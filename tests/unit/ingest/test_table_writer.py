"""The writer of one table, on a real catalog whose commits fail on purpose: nothing is lost, nothing is doubled."""

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyiceberg.table.update import AssertTableUUID, SetSnapshotRefUpdate
from tests.catalog_faults import Faults

from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.events import VEHICLE
from fleetlake.contracts.tables import bronze_of
from fleetlake.foundation.errors import BadInput, DataLoss, Fenced, Permanent, Retryable
from fleetlake.foundation.steps import Step
from fleetlake.ingest.accounts import account_of
from fleetlake.ingest.fingerprints import Fingerprint, digest_value
from fleetlake.ingest.offsets import PROPERTY, IngestMarker, KafkaTopicState
from fleetlake.ingest.table_writer import TableWriter
from fleetlake.lake.catalog import Lake, LakeSettings, open_lake
from fleetlake.lake.commits import commit
from fleetlake.lake.digest import digest_of
from fleetlake.lake.snapshots import wall_clock_ms
from fleetlake.maintain.orphans import SHORTEST_AGE, delete_orphans

TABLE = bronze_of(VEHICLE)
PRINTS = {0: Fingerprint(4, 1_767_600_000_000, digest_value(b"e4"), 2)}
SOURCE = KafkaTopicState("vehicle_data", "cluster", "topic", {0: (0, 1000)})


def rows(first: int, after: int) -> pa.Table:
    columns = {name: [None] * (after - first) for name in table_schema(TABLE).names}
    return pa.table(
        columns | {"kafka_partition": [0] * (after - first), "kafka_offset": range(first, after)}, schema=table_schema(TABLE)
    )


def writer(lake: Lake, wait: Callable[[int], None] = lambda attempt: None) -> TableWriter:
    return TableWriter(lake, TABLE.name, job="test", wait=wait)


def offsets(lake: Lake) -> list[int]:
    scanned: list[int] = lake.table(TABLE.name).scan(selected_fields=("kafka_offset",)).to_arrow()["kafka_offset"].to_pylist()
    return sorted(scanned)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    made = make_lake(tmp_path)
    yield made
    made.close()


def make_lake(folder: Path) -> Lake:
    lake = open_lake(LakeSettings("test", {"type": "sql", "uri": f"sqlite:///{folder}/c.db", "warehouse": f"file://{folder}/w"}))
    lake.ensure([TABLE])
    return lake


def test_rows_and_offsets_land_together(lake: Lake) -> None:
    w = writer(lake)
    assert w.take_over(SOURCE) == {0: 0}
    w.append([rows(0, 3), rows(3, 5)], {0: 5}, 7, PRINTS)
    table = lake.table(TABLE.name)
    snapshot = table.current_snapshot()
    assert offsets(lake) == [0, 1, 2, 3, 4]
    assert snapshot is not None
    assert snapshot.summary is not None
    assert IngestMarker.of(table.properties) == replace(w.marker, start=w.marker.next)
    moved = json.loads(snapshot.summary["fleetlake.ingest"] or "")
    assert (moved["commit_id"], moved["epoch"], moved["moves"]) == (w.marker.commit_id, 1, [[0, 0, 5]])
    assert (w.marker.start, w.marker.next, w.marker.ingested_at_us) == ({0: 0}, {0: 5}, 7)


def test_a_second_writer_goes_on_and_fences_the_first(lake: Lake) -> None:
    first, second = writer(lake), writer(lake)
    first.take_over(SOURCE)
    first.append([rows(0, 5)], {0: 5}, 0)
    assert second.take_over(SOURCE) == {0: 5}
    with pytest.raises(Fenced):
        first.append([rows(5, 9)], {0: 9}, 0)
    second.append([rows(5, 7)], {0: 7}, 0)
    assert offsets(lake) == list(range(7))


def test_a_topic_looked_at_too_long_ago_is_no_data_loss(lake: Lake) -> None:
    """A writer slept between looking at its topic and taking the table over; another one has read further meanwhile."""
    sleeper, other = writer(lake), writer(lake)
    other.take_over(SOURCE)
    other.append([rows(0, 5)], {0: 5}, 0)
    too_old = KafkaTopicState(SOURCE.topic, SOURCE.cluster_id, SOURCE.topic_id, {0: (0, 3)})
    with pytest.raises(Retryable, match="another ingest moved the table on"):
        sleeper.take_over(too_old)
    with pytest.raises(DataLoss, match="the topic ends at 2"):
        writer(lake).take_over(too_old)


def test_a_loss_that_is_accepted_is_told_once(lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    w = writer(lake)
    w.take_over(SOURCE)
    w.append([rows(0, 5)], {0: 5}, 0)
    cut = KafkaTopicState(SOURCE.topic, SOURCE.cluster_id, SOURCE.topic_id, {0: (8, 1000)})
    for _ in range(2):
        assert writer(lake).take_over(cut, accept_gaps=True) == {0: 8}
    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith("offsets 5 to 7 of topic vehicle_data, partition 0 are lost")


def set_back(lake: Lake, to: int) -> None:
    """What PyIceberg, Spark or Athena do to roll back."""
    table = lake.table(TABLE.name)
    main = SetSnapshotRefUpdate.model_validate({"ref-name": "main", "type": "branch", "snapshot-id": to})
    lake.catalog.commit_table(table, (AssertTableUUID(uuid=table.metadata.table_uuid),), (main,))


@pytest.mark.parametrize("compacted", [False, True])
def test_a_table_that_was_set_back_is_not_written_on(lake: Lake, compacted: bool) -> None:
    w = writer(lake)
    w.take_over(SOURCE)
    w.append([rows(0, 3)], {0: 3}, 0)
    if compacted:
        commit(lake.table(TABLE.name), properties={"maintenance": "ran"}, summary={})
    older = lake.table(TABLE.name).metadata.current_snapshot_id
    w.append([rows(3, 5)], {0: 5}, 0)
    newer = lake.table(TABLE.name).metadata.current_snapshot_id
    assert older is not None
    assert newer is not None
    set_back(lake, older)
    with pytest.raises(Permanent, match=f"set back to an older snapshot.*set it to snapshot {newer} again"):
        w.append([rows(5, 6)], {0: 6}, 0)
    with pytest.raises(Permanent, match="set back"):
        writer(lake).take_over(SOURCE)
    set_back(lake, newer)
    assert writer(lake).take_over(SOURCE) == {0: 5}


def test_a_table_with_rows_and_no_marker_is_not_read_from_the_start_again(lake: Lake) -> None:
    """Of a table made anew by CREATE TABLE AS SELECT, which leaves properties out."""
    w = writer(lake)
    w.take_over(SOURCE)
    w.append([rows(0, 3)], {0: 3}, 0)
    with lake.table(TABLE.name).transaction() as change:
        change.remove_properties(PROPERTY)
    with pytest.raises(BadInput, match=r"has 3 rows, but its property fleetlake\.ingest.* is gone"):
        writer(lake).take_over(SOURCE)
    assert offsets(lake) == [0, 1, 2]


def test_a_conflict_with_maintenance_is_retried(lake: Lake) -> None:
    w = writer(lake)
    w.take_over(SOURCE)
    commit(lake.table(TABLE.name), properties={"maintenance": "ran"})
    w.append([rows(0, 5)], {0: 5}, 0)
    assert offsets(lake) == list(range(5))


@pytest.mark.parametrize("outcome", ["given", "lost", "late"])
def test_a_writer_that_sleeps_for_hours_before_its_commit_writes_its_files_anew(lake: Lake, tmp_path: Path, outcome: str) -> None:
    """Maintenance has taken them for unused ones meanwhile."""
    asleep_s, deleted = [0], list[str]()

    def sleep(step: str) -> None:
        if step != Step.FILES_WRITTEN or deleted:
            return
        asleep_s[0] = 7200
        for path in tmp_path.rglob("*.parquet"):
            os.utime(path, (time.time() - 7200,) * 2)
        deleted.extend(delete_orphans(lake, TABLE.name, SHORTEST_AGE, wait=lambda attempt: None).files)
        faults.plan = [outcome] if outcome != "given" else []

    w = TableWriter(
        lake, TABLE.name, job="test", wait=lambda attempt: None, at=sleep, clock=lambda: wall_clock_ms() + asleep_s[0] * 1000
    )
    w.take_over(SOURCE)
    faults = Faults(lake)
    w.append([rows(0, 3)], {0: 3}, 0)
    assert [Path(path).suffix for path in deleted] == [".parquet"]
    faults.deliver_late()
    w.append([rows(3, 5)], {0: 5}, 0)
    assert offsets(lake) == list(range(5))


def test_a_late_commit_can_not_land_behind_its_retry(lake: Lake) -> None:
    faults, w = Faults(lake), writer(lake)
    w.take_over(SOURCE)
    faults.plan = ["late"]
    w.append([rows(0, 5)], {0: 5}, 0)
    assert w.marker.epoch == 2
    assert faults.deliver_late() == 0
    assert offsets(lake) == list(range(5))


@pytest.mark.parametrize("fault", ["none", "conflict", "lost", "landed", "late"])
def test_offsets_without_rows_are_committed_as_rows_are(lake: Lake, fault: str) -> None:
    faults, w = Faults(lake), writer(lake)
    w.take_over(SOURCE)
    w.append([rows(0, 5)], {0: 5}, 7)
    faults.plan = [fault]
    w.pass_offsets({0: 9})
    assert faults.deliver_late() == 0
    assert (w.marker.next, w.marker.ingested_at_us) == ({0: 9}, 7)
    assert writer(lake).take_over(KafkaTopicState(SOURCE.topic, SOURCE.cluster_id, SOURCE.topic_id, {0: (9, 9)})) == {0: 9}
    assert offsets(lake) == list(range(5))
    with pytest.raises(Fenced):
        w.pass_offsets({0: 12})


def test_a_catalog_that_always_refuses_ends_in_an_error_after_waiting(lake: Lake) -> None:
    waits: list[int] = []
    faults, w = Faults(lake), writer(lake, waits.append)
    w.take_over(SOURCE)
    faults.plan = ["conflict"] * 100
    with pytest.raises(Retryable, match="refused 10 times, at last: the table was changed by another writer"):
        w.append([rows(0, 5)], {0: 5}, 0)
    assert waits == list(range(1, 10))
    assert offsets(lake) == []


FAULTS = st.lists(st.sampled_from(["none", "conflict", "lost", "landed", "late"]), max_size=6)


@given(FAULTS, FAULTS, st.integers(0, 3))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_faults_lose_and_double_nothing(
    tmp_path_factory: pytest.TempPathFactory, first: list[str], second: list[str], deliver_after: int
) -> None:
    lake = make_lake(tmp_path_factory.mktemp("lake"))
    try:
        faults, w = Faults(lake), writer(lake)
        faults.plan = list(first)
        position = w.take_over(SOURCE)[0]
        for step, size in enumerate((3, 4, 2)):
            faults.plan = list(second) if step == 1 else faults.plan
            w.append([rows(position, position + size)], {0: position + size}, 0)
            position += size
            if step == deliver_after:
                faults.deliver_late()
        faults.plan.clear()
        try:
            w.append([rows(position, position + 1)], {0: position + 1}, 0)
        except Fenced:  # a take-over of this very writer may have arrived late: another writer to it
            assert writer(lake).take_over(SOURCE)[0] == position
        else:
            position += 1
        faults.deliver_late()
        assert offsets(lake) == list(range(position))
        table = lake.table(TABLE.name)
        account = account_of(table)
        assert account is not None
        assert account.digest == digest_of(table.scan().to_arrow(), table.schema())
    finally:
        lake.close()
