"""What `fleetlake verify` says of a log that went back and grew again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pytest
from tests.command_line import GOOD
from tests.faults.world import local_lake

from fleetlake.broker.records_at import FoundRecord
from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.events import GPS
from fleetlake.contracts.tables import bronze_of
from fleetlake.ingest.offsets import IngestMarker, KafkaTopicState, Offsets
from fleetlake.ingest.verify import CheckState, TopicCheck
from fleetlake.lake.catalog import Lake, open_lake
from fleetlake.lake.commits import commit
from fleetlake.lake.write import write_files
from fleetlake.workflows.verify import _with_log_compared

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
