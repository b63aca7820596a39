"""A batch of records may be small on the broker and very large, unpacked."""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import count

import pytest
from confluent_kafka import KafkaError, Producer

from fleetlake.broker.corruption import unreadable_batch
from fleetlake.broker.embedded import EmbeddedBroker
from fleetlake.broker.records_at import find_records
from fleetlake.broker.topics import ensure_topics
from fleetlake.foundation.errors import BadInput, DataLoss, Permanent
from fleetlake.ingest import reader as reader_module
from fleetlake.ingest.by_columns import ByColumns
from fleetlake.ingest.by_objects import ByObjects
from fleetlake.ingest.presence import find_present
from fleetlake.ingest.ranges import Ranges
from fleetlake.ingest.reader import PolledBatch, Reader

RECORDS, RECORD_BYTES = 110, 1_000_000  # of one batch, which is more than the 100 MB that the client takes unless told otherwise
PATIENCE_S = 60
numbers = count()


@pytest.fixture
def topic(broker: EmbeddedBroker) -> str:
    """With a batch of one record, and one of RECORDS that are one letter each, in its partition 0."""
    name = f"large-{next(numbers)}"
    ensure_topics(broker.settings, [name])
    large = {"compression.type": "zstd", "batch.size": 2**31 - 1, "message.max.bytes": 10**9, "linger.ms": 60_000}
    producer = Producer(broker.settings.client_config() | large)
    for values in ([b"first"], [b"x" * RECORD_BYTES] * RECORDS):
        for value in values:
            producer.produce(name, value, b"key", 0)
        assert producer.flush(PATIENCE_S) == 0
    return name


@pytest.fixture(params=["by columns", "by objects"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    make = ByColumns if request.param == "by columns" else lambda consumer, start: ByObjects(consumer)
    monkeypatch.setattr(reader_module, "_arriving", make)


def read(broker: EmbeddedBroker, topic: str, more: Mapping[str, str], records: int) -> tuple[list[int], PolledBatch]:
    """The records' sizes, and the batch that came last: until there are so many records or a failure."""
    reader = Reader(broker.settings.client_config() | more, group="g", start={topic: {0: 0}})
    sizes, give_up_at = list[int](), time.monotonic() + PATIENCE_S
    try:
        while True:
            batch = reader.poll(0.1)
            sizes += [len(payload) for chunk in batch.chunks for payload in chunk.rows["payload"].to_pylist()]
            if batch.failure or len(sizes) >= records:
                return sizes, batch
            assert time.monotonic() < give_up_at, sizes
    finally:
        reader.close()


@pytest.mark.usefixtures("either_way")
def test_a_batch_larger_than_the_client_takes_unless_told_is_read(broker: EmbeddedBroker, topic: str) -> None:
    sizes, _ = read(broker, topic, {}, 1 + RECORDS)
    assert sizes == [5] + [RECORD_BYTES] * RECORDS


@pytest.mark.usefixtures("either_way")
def test_a_batch_larger_than_the_user_has_the_client_take_is_not_called_corrupt(broker: EmbeddedBroker, topic: str) -> None:
    sizes, last = read(broker, topic, {"receive.message.max.bytes": "50000000"}, 1 + RECORDS)
    assert sizes == [5]
    assert isinstance(last.failure, Permanent)
    assert not isinstance(last.failure, DataLoss)
    assert last.failure.what.startswith("the Kafka client can't unpack a batch of records, whose checksum is right: ")
    assert last.failure.where == f"topic {topic}, partition 0, offset 1"
    assert "kafka.properties.receive.message.max.bytes" in last.failure.hint
    assert "delete" not in str(last.failure)


def test_looks_into_the_log_find_its_records_too(broker: EmbeddedBroker, topic: str) -> None:
    config = broker.settings.client_config()
    last = find_records(config, topic, {0: RECORDS})[0]
    assert (last.offset, len(last.value or b"")) == (RECORDS, RECORD_BYTES)
    looked = find_present(config, topic, {0: Ranges.of([(1, RECORDS + 1)])})
    assert looked[0].found.size == RECORDS


def test_a_limit_below_what_is_asked_for_is_the_users_mistake() -> None:
    config: dict[str, str | int | float | bool] = {
        "bootstrap.servers": "127.0.0.1:1",
        "receive.message.max.bytes": "1000",
    }
    with pytest.raises(BadInput, match=r"receive\.message\.max\.bytes"):
        Reader(config, group="g", start={"t": {0: 0}})


def test_a_corrupt_batch_is_called_so() -> None:
    assert isinstance(unreadable_batch("t", 0, 5, KafkaError(KafkaError._BAD_MSG)), DataLoss)
