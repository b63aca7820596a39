"""Both ways to hand records to the client keep the same promises, against a real broker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from random import Random

import pytest
from confluent_kafka import Consumer, Message, TopicPartition
from tests.conftest import free_ports

from fleetlake.broker import librdkafka, queueing
from fleetlake.broker import producer as module
from fleetlake.broker.embedded import EmbeddedBroker
from fleetlake.broker.producer import EventProducer
from fleetlake.broker.queueing import ByBatch, ByRecord, ClientConfig, Queueing, best_way
from fleetlake.broker.settings import KafkaSettings
from fleetlake.broker.topics import ensure_topics, watermarks
from fleetlake.contracts.events import Event
from fleetlake.foundation.errors import Retryable
from fleetlake.runtime.texts import Texts

TOO_LARGE = b"x" * 2_000_000
Way = Callable[[ClientConfig], Queueing]
numbers = count()


@pytest.fixture(params=[ByBatch, ByRecord])
def way(request: pytest.FixtureRequest) -> Way:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def event(broker: EmbeddedBroker) -> Event:
    """One of a topic of its own, with four partitions."""
    made = Event("gps", f"producing-{next(numbers)}", "", ())
    ensure_topics(broker.settings, [made.topic])
    return made


def arrived(settings: KafkaSettings, topic: str) -> dict[int, list[Message]]:
    """The messages of each partition."""
    ends = watermarks(settings, [topic])[topic]
    consumer = Consumer(settings.client_config() | {"group.id": "g"})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in ends])
    found: dict[int, list[Message]] = {partition: [] for partition in ends}
    for message in consumer.consume(sum(high for _, high in ends.values()), 30):
        assert message.error() is None
        found[message.partition() or 0].append(message)
    consumer.close()
    return found


@pytest.mark.parametrize("sequence", [list, Texts.of])
@pytest.mark.parametrize("room", [7, 1_000_000])
def test_all_arrive_as_they_were_sent_also_when_the_queue_fills_up(
    broker: EmbeddedBroker,
    event: Event,
    way: Way,
    monkeypatch: pytest.MonkeyPatch,
    room: int,
    sequence: Callable[[Sequence[bytes]], Sequence[bytes]],
) -> None:
    monkeypatch.setattr(module, "QUEUE_MESSAGES", room)
    keys = [b"veh-%d" % (i % 9) for i in range(400 if room == 7 else 12_000)]
    values = [b"" if i % 50 == 3 else b"%d \x00\xff" % i for i in range(len(keys))]
    with EventProducer(broker.settings, queueing=way) as producer:
        producer.send(event, keys[:10], values[:10])
        producer.send(event, [], [])
        producer.send(event, sequence(keys[10:]), sequence(values[10:]))
    found = arrived(broker.settings, event.topic)
    assert sum(map(len, found.values())) == len(keys)
    for device in set(keys):  # those of a device lie in one partition, in their order
        of_device = [[m.value() for m in messages if m.key() == device] for messages in found.values()]
        assert [part for part in of_device if part] == [[v for k, v in zip(keys, values, strict=True) if k == device]]
    assert {str(m.headers()) for messages in found.values() for m in messages} == {"[('schema', b'gps/1')]"}


def test_the_partition_of_a_device_is_the_same_both_ways(broker: EmbeddedBroker, event: Event) -> None:
    keys = [b"veh-%d" % i for i in range(40)]
    for way in (ByBatch, ByRecord):
        with EventProducer(broker.settings, queueing=way) as producer:
            producer.send(event, keys, keys)
    for messages in arrived(broker.settings, event.topic).values():
        half = [message.key() for message in messages[: len(messages) // 2]]
        assert [message.key() for message in messages] == half * 2


def test_a_record_that_is_too_large_is_reported_and_the_others_arrive(broker: EmbeddedBroker, event: Event, way: Way) -> None:
    producer = EventProducer(broker.settings, queueing=way)
    producer.send(event, [b"a", b"b", b"c"], [b"1", TOO_LARGE, b"3"])
    with pytest.raises(Retryable, match=r"^1 records were not delivered: .*too large"):
        producer.flush()
    producer.send(event, [b"d"], [b"4"])
    producer.close()  # what was reported is not reported again
    assert sorted(m.value() or b"" for messages in arrived(broker.settings, event.topic).values() for m in messages) == [
        b"1",
        b"3",
        b"4",
    ]


def test_records_that_no_broker_takes_are_reported(event: Event, way: Way) -> None:
    producer = EventProducer(KafkaSettings(f"127.0.0.1:{free_ports()}"), delivery_timeout_s=1, queueing=way)
    producer.send(event, [b"a"] * 3, [b"{}"] * 3)
    with pytest.raises(Retryable, match=r"^3 records were not delivered: .*timed out"):
        producer.close()
    producer.send(event, [b"a"] * 2, [b"{}"] * 2)
    with pytest.raises(Retryable, match=r"^2 records were not delivered"):
        producer.close()


def test_records_that_the_broker_refuses_are_reported(broker: EmbeddedBroker, way: Way) -> None:
    """By its answer to a batch, rather than by the client."""
    event = Event("gps", f"producing-{next(numbers)}", "", ())
    ensure_topics(broker.settings, [event.topic], config={"max.message.bytes": "1000"})
    producer = EventProducer(broker.settings, queueing=way)
    producer.send(event, [b"a"], [Random(7).randbytes(4_000)])  # which compression doesn't make smaller
    with pytest.raises(Retryable, match=r"^1 records were not delivered: .*[Mm]essage"):
        producer.close()


def test_batches_are_the_way_with_the_locked_client_and_records_with_another(monkeypatch: pytest.MonkeyPatch) -> None:
    config = {"bootstrap.servers": f"127.0.0.1:{free_ports()}"}
    assert isinstance(best_way(config), ByBatch)
    with monkeypatch.context() as patch:
        patch.setattr(librdkafka, "KNOWN_CLIENTS", {"1.0"})
        assert isinstance(best_way(config), ByRecord)
    monkeypatch.setattr(queueing, "PATH", Path("/a;b/_compiled.so"))  # librdkafka would look for two plugins
    assert isinstance(best_way(config), ByRecord)
