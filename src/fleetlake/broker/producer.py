"""Events to Kafka: idempotent, acknowledged by all replicas, keyed by device, and never dropped in silence."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import repeat
from operator import length_hint
from types import TracebackType

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from fleetlake.broker.refusals import reason
from fleetlake.broker.settings import KafkaSettings
from fleetlake.broker.topics import SILENT, unreachable
from fleetlake.contracts.events import Event
from fleetlake.foundation.errors import Retryable

QUEUE_MESSAGES = 500_000
QUEUE_KBYTES = 262_144
DELIVERY_TIMEOUT_S = 30
FLUSH_POLL_S = 1.0
AT_A_TIME = 500  # records that other threads wait for
ANY_PARTITION, NOW = -1, 0  # the client's defaults
FULL_POLL_S = 0.005  # nothing but a failure ends a poll early, so a longer one would let the queue run dry


class EventProducer:
    """Sends batches of encoded events. Not for use by two threads at once.

    What `send` accepted is either acknowledged by the time `flush` returns, or `flush` raises Retryable with the number of records
    that were not and the broker's reason. The queue is bounded: when it is full, `send` waits for the broker.
    """

    def __init__(self, settings: KafkaSettings, *, delivery_timeout_s: float = DELIVERY_TIMEOUT_S) -> None:
        self._settings = settings
        self._failed = 0
        self._first_failure = ""
        self._refused = ""  # why the broker does not let us in: of the records the client only says that their time was up
        tuning = {
            "enable.idempotence": True,
            "acks": "all",
            "compression.type": "lz4",
            "linger.ms": 20,
            "batch.size": 1_000_000,
            "batch.num.messages": 10_000,
            "queue.buffering.max.messages": QUEUE_MESSAGES,
            "queue.buffering.max.kbytes": QUEUE_KBYTES,
            "message.timeout.ms": int(delivery_timeout_s * 1000),
            "delivery.report.only.error": True,
            "on_delivery": self._on_failure,
            "error_cb": self._on_error,
        }
        try:
            self._producer = Producer(settings.client_config() | tuning, logger=SILENT)
        except KafkaException as error:
            raise unreachable(settings, error) from error

    def __enter__(self) -> EventProducer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self._producer.purge()

    def send(self, event: Event, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        """Queues one record per key and value, in order."""
        if len(keys) != len(values):
            raise ValueError(f"{len(keys)} keys of {len(values)} values")
        headers: list[tuple[str, str | bytes | None]] = [("schema", event.schema_header.encode())]
        produce, place = self._producer.produce, 0
        # By place: by name costs the client 0.6 us a record more; and in a loop that is not Python's, 0.2 us less.
        always = [repeat(argument) for argument in (ANY_PARTITION, None, None, NOW, headers)]
        while place < len(values):
            end = min(place + AT_A_TIME, len(values))
            left = iter(values[place:end])
            try:
                deque(map(produce, repeat(event.topic), left, keys[place:end], *always), maxlen=0)
                place = end
            except BufferError:
                place = end - length_hint(left) - 1  # the one that was refused comes again
                self._producer.poll(FULL_POLL_S)
            except KafkaException as error:  # too large, for example: refused before it was queued
                place = end - length_hint(left)
                self._fail(error.args[0], event.topic)
        self._producer.poll(0)

    def flush(self) -> None:
        """Waits until every record is acknowledged or given up; Retryable if any was given up."""
        while self._producer.flush(FLUSH_POLL_S):
            pass  # ends: each record is acknowledged or fails by its delivery timeout
        if self._failed:
            failed, self._failed = self._failed, 0
            raise Retryable(
                f"{failed} records were not delivered: {self._refused or self._first_failure}",
                where=self._settings.bootstrap_servers,
                hint="check the broker with fleetlake status, then send them again: event ids make that safe",
            )

    def close(self) -> None:
        self.flush()

    def _on_error(self, error: KafkaError) -> None:
        self._refused = reason(error) or self._refused

    def _on_failure(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._fail(error, message.topic() or "")

    def _fail(self, error: KafkaError, topic: str) -> None:
        self._failed += 1
        self._first_failure = self._first_failure or f"{error.str()} (topic {topic})"
