"""What `fleetlake verify` says of a log that went back and grew again, and of a lake that others change meanwhile."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pytest
from tests.command_line import GOOD
from tests.faults.world import local_lake

from fleetlake.broker.records_at import FoundRecord
from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.events import GPS
from fleetlake.contracts.table import Table
from fleetlake.contracts.tables import ERASED, bronze_of, silver_of
from fleetlake.ingest.offsets import IngestMarker, KafkaTopicState, Offsets
from fleetlake.ingest.presence import Looked, LookUp, RecordsRemoved, every_offset
from fleetlake.ingest.ranges import Ranges
from fleetlake.ingest.verify import CheckState, TopicCheck
from fleetlake.lake.catalog import Lake, open_lake
from fleetlake.lake.commits import commit
from fleetlake.lake.scan import Damaged
from fleetlake.lake.write import write_files
from fleetlake.transform.marker import ReadTable, TransformMarker
from fleetlake.workflows.verify import LOOKS, _Broker, _look, _with_log_compared

TABLE, TIME_MS = bronze_of(GPS), 1_767_600_000_000
SOURCE = KafkaTopicState(GPS.topic, "cluster", "topic", {0: (0, 5)})
FINE = TopicCheck(GPS.topic, 5, 5, 0, 0, None, None)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    """One record, e4, at offset 4 of partition 0."""
    made = open_lake(local_lake(tmp_path))
    made.ensure([TABLE])
    table, schema = made.table(TABLE.name), table_schema(TABLE)
    row = {
        "kafka_partition": 0,
        "kafka_offset": 4,
        "kafka_timestamp": TIME_MS * 1000,
        "ingested_at": TIME_MS * 1000,
        "event_id": "e4",
        "event_time": TIME_MS * 1000,
        "device_id": "v",
    }
    rows = pa.Table.from_pylist([dict.fromkeys(schema.names) | row], schema=schema)
    marker = IngestMarker("job", 1, "commit", "cluster", "topic", {0: 0}, {0: 5})
    commit(table, added=write_files(table, rows, folder="f"), properties=marker.properties())
    yield made
    made.close()


def holding(event_id: str) -> Callable[[str, Offsets], Mapping[int, FoundRecord]]:
    """A topic that has this event at every offset."""
    value = json.dumps(GOOD | {"id": event_id, "deviceId": "v"}).encode()
    return lambda topic, offsets: {p: FoundRecord(offset, TIME_MS, value, 0) for p, offset in offsets.items()}


def test_the_record_that_landed_is_no_problem(lake: Lake) -> None:
    assert _with_log_compared(lake, GPS, SOURCE, FINE, holding("e4")) is FINE


def test_another_record_at_its_offset_is_named(lake: Lake) -> None:
    found = _with_log_compared(lake, GPS, SOURCE, FINE, holding("other"))
    assert found.state is CheckState.NOT_EQUAL
    assert found.problems == ("partition 0: the topic's log went back and grew again; another record is at offset 4 now",)
    assert found.hints


def test_another_topics_records_are_not_compared(lake: Lake) -> None:
    other = KafkaTopicState(GPS.topic, "cluster", "made again", SOURCE.watermarks)
    assert _with_log_compared(lake, GPS, other, FINE, holding("other")) is FINE


def put(
    lake: Lake, contract: Table, rows: list[dict[str, object]], properties: Mapping[str, str], *, instead: bool = False
) -> None:
    """One commit; `instead`: of all that the table had."""
    lake.ensure([contract])
    table, schema = lake.table(contract.name), table_schema(contract)
    old = [task.file for task in table.scan().plan_files()] if instead else []
    added = pa.Table.from_pylist([dict.fromkeys(schema.names) | row for row in rows], schema=schema)
    commit(table, added=write_files(table, added, folder=uuid.uuid4().hex), removed=old, properties=dict(properties))


def rows(offsets: range, **more: object) -> list[dict[str, object]]:
    known = dict.fromkeys(("kafka_timestamp", "ingested_at", "event_time"), TIME_MS * 1000) | {
        "device_id": "v",
        "kafka_partition": 0,
    }
    return [known | {"kafka_offset": n, "event_id": f"e{n}"} | more for n in offsets]


def land(lake: Lake, offsets: range, **more: bool) -> None:
    """One commit of an ingest."""
    marker = IngestMarker("job", 1, "commit", "cluster", "topic", {0: 4}, {0: offsets.stop})
    put(lake, TABLE, rows(offsets), marker.properties(), **more)


def transform(lake: Lake, offsets: range, **more: bool) -> None:
    """What a transform commits that has read so far."""
    marker = TransformMarker("definition", {TABLE.name: ReadTable(offsets={0: offsets.stop})})
    put(lake, silver_of(GPS), rows(offsets, is_late=False, late_by_s=0.0), marker.properties(), **more)


class Beside:
    """A lake in which something is done, once each time, just before or just after a table is loaded."""

    def __init__(self, lake: Lake) -> None:
        self._lake, self.before, self.after = lake, dict[str, list[Callable[[], None]]](), dict[str, list[Callable[[], None]]]()

    def table(self, name: str) -> object:
        for do in self._next(self.before, name):
            do()
        loaded = self._lake.table(name)
        for do in self._next(self.after, name):
            do()
        return loaded

    def has(self, name: str) -> bool:
        return self._lake.has(name)

    @staticmethod
    def _next(what: dict[str, list[Callable[[], None]]], name: str) -> list[Callable[[], None]]:
        left = what.get(name, [])
        return [left.pop(0)] if left else []


def of_kafka(end: int, *, first: int = 4) -> KafkaTopicState:
    return KafkaTopicState(GPS.topic, "cluster", "topic", {0: (first, end)})


def look(lake: object, end: int, *ends: int, look_up: LookUp = every_offset) -> TopicCheck:
    """ends: of the topic whenever it is asked again."""
    left = iter(ends)
    broker = _Broker(lambda: {GPS: of_kafka(next(left))}, look_up, lambda topic, offsets: {})
    return _look(lake, GPS, of_kafka(end), broker, transformed=True)  # type: ignore[arg-type]  # it is like a lake


def nothing() -> None:
    pass


def test_an_ingest_and_a_transform_go_on_beside_it(lake: Lake) -> None:
    transform(lake, range(4, 5))

    def go_on() -> None:
        land(lake, range(5, 8))
        transform(lake, range(5, 8))

    beside = Beside(lake)
    beside.before[TABLE.name] = [nothing, go_on]  # after silver is loaded, before bronze is
    check = look(beside, 5, 8)
    assert (check.state, check.landed, check.kafka) == (CheckState.BEHIND, 4, 4)
    assert check.problems == ("silver: 3 bronze rows are waiting for fleetlake transform",)


def test_records_on_their_way_are_waited_for(lake: Lake) -> None:
    transform(lake, range(4, 5))
    beside = Beside(lake)

    def arrive() -> None:
        land(lake, range(5, 8))
        transform(lake, range(5, 8))

    beside.after[TABLE.name] = [nothing, arrive]
    check = look(beside, 8)
    assert (check.state, check.landed) == (CheckState.OK, 4)


def test_an_erasure_that_is_between_bronze_and_silver(lake: Lake) -> None:
    transform(lake, range(4, 5))
    land(lake, range(5, 8))
    transform(lake, range(5, 8))
    noted = {"topic": GPS.topic, "kafka_partition": 0, "kafka_offset": 4, "erased_at": TIME_MS * 1000}
    put(lake, ERASED, [noted], {})
    beside = Beside(lake)
    beside.before[TABLE.name] = [nothing, lambda: land(lake, range(5, 8), instead=True)]
    beside.before[silver_of(GPS).name] = [nothing, nothing, nothing, lambda: transform(lake, range(5, 8), instead=True)]
    check = look(beside, 8)
    assert (check.state, check.landed, check.erased, check.problems) == (CheckState.OK, 3, 1, ())


def test_files_that_an_expiry_takes_are_looked_for_where_they_are_now(lake: Lake) -> None:
    transform(lake, range(4, 5))
    paths = [Path(task.file.file_path.removeprefix("file://")) for task in lake.table(TABLE.name).scan().plan_files()]

    def compact_and_expire() -> None:
        land(lake, range(4, 5), instead=True)
        for path in paths:
            path.unlink()

    beside = Beside(lake)
    beside.after[TABLE.name] = [nothing, compact_and_expire]
    assert look(beside, 5).state is CheckState.OK


def test_a_file_that_is_gone_for_good_is_told(lake: Lake) -> None:
    transform(lake, range(4, 5))
    for task in lake.table(TABLE.name).scan().plan_files():
        Path(task.file.file_path.removeprefix("file://")).unlink()
    with pytest.raises(Damaged):
        look(lake, 5)


def test_what_is_wrong_is_told_however_much_the_tables_change(lake: Lake) -> None:
    transform(lake, range(4, 5))
    beside, commits = Beside(lake), list[int]()

    def go_on() -> None:
        commits.append(1)
        land(lake, range(4, 5))  # twice

    beside.before[TABLE.name] = [go_on] * 100
    check = look(beside, 5)
    assert check.state is CheckState.NOT_EQUAL
    assert any("in the table twice" in problem for problem in check.problems)


def test_retention_that_takes_records_meanwhile(lake: Lake) -> None:
    transform(lake, range(4, 5))
    asked = list[Mapping[int, Ranges]]()

    def look_up(topic: str, ranges: Mapping[int, Ranges]) -> Mapping[int, Looked]:
        asked.append(ranges)
        raise RecordsRemoved("Kafka removed records while they were looked for")

    broker = _Broker(lambda: {GPS: of_kafka(5)}, look_up, lambda topic, offsets: {})
    assert _look(lake, GPS, of_kafka(9), broker, transformed=True).state is CheckState.OK
    assert len(asked) == 1
    with pytest.raises(RecordsRemoved):
        look(lake, 9, 9, 9, 9, look_up=look_up)
    assert len(asked) == 1 + LOOKS
