"""What the client refuses halfway through a batch: a full queue is waited for, a bad record is counted, all else stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from fleetlake.broker import queueing as module
from fleetlake.broker.producer import EventProducer
from fleetlake.broker.queueing import ByRecord
from fleetlake.broker.settings import KafkaSettings
from fleetlake.contracts.events import GPS
from fleetlake.foundation.errors import Retryable

TOO_LARGE = b"too large"
AT_A_TIME = ByRecord.at_a_time
ROWS = 2 * AT_A_TIME + 7


class Client:
    """Takes what the client takes, into a queue of `room` records that a poll empties."""

    room = AT_A_TIME + 3

    def __init__(self, config: Mapping[str, Any], logger: object) -> None:
        self.taken: list[tuple[str, bytes, bytes]] = []
        self.headers: list[object] = []
        self.queued = self.polls = 0

    def produce(
        self,
        topic: str,
        value: bytes,
        key: bytes,
        partition: int,
        callback: None,
        on_delivery: None,
        timestamp: int,
        headers: object,
    ) -> None:
        if value == TOO_LARGE:
            raise KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
        if self.queued >= self.room:
            raise BufferError("Local: Queue full")
        assert (partition, timestamp) == (-1, 0)
        self.queued += 1
        self.taken.append((topic, key, value))
        self.headers.append(headers)

    def poll(self, timeout_s: float) -> int:
        self.polls += 1
        self.queued = 0
        return 0

    def flush(self, timeout_s: float) -> int:
        return 0


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> type[Client]:
    monkeypatch.setattr(module, "Producer", Client)
    return Client


def records(rows: int) -> tuple[list[bytes], list[bytes]]:
    return [b"k%d" % i for i in range(rows)], [b"v%d" % i for i in range(rows)]


@pytest.mark.parametrize("room", [1, 2, AT_A_TIME - 1, AT_A_TIME, AT_A_TIME + 1, 10 * ROWS])
def test_a_full_queue_is_waited_for_and_the_order_kept(client: type[Client], monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    monkeypatch.setattr(client, "room", room)
    producer = EventProducer(KafkaSettings(), queueing=ByRecord)
    keys, values = records(ROWS)
    producer.send(GPS, keys, values)
    producer.flush()
    taken: Client = producer._producer  # type: ignore[assignment]
    assert taken.taken == [(GPS.topic, key, value) for key, value in zip(keys, values, strict=True)]
    assert taken.polls >= (ROWS - 1) // room
    assert taken.headers == [[("schema", GPS.schema_header.encode())]] * ROWS


@pytest.mark.parametrize("bad", [{0}, {ROWS - 1}, {AT_A_TIME - 1, AT_A_TIME}, {3, 4, 5, AT_A_TIME + 3}])
def test_a_record_the_client_refuses_is_counted_and_the_others_are_sent(client: type[Client], bad: set[int]) -> None:
    producer = EventProducer(KafkaSettings(), queueing=ByRecord)
    keys, values = records(ROWS)
    producer.send(GPS, keys, [TOO_LARGE if i in bad else value for i, value in enumerate(values)])
    taken: Client = producer._producer  # type: ignore[assignment]
    assert taken.taken == [(GPS.topic, keys[i], values[i]) for i in range(ROWS) if i not in bad]
    with pytest.raises(Retryable, match=f"^{len(bad)} records were not delivered"):
        producer.flush()
    producer.flush()


def test_keys_and_values_belong_together(client: type[Client]) -> None:
    producer = EventProducer(KafkaSettings(), queueing=ByRecord)
    with pytest.raises(ValueError, match="1 keys of 2 values"):
        producer.send(GPS, [b"k"], [b"v", b"w"])
