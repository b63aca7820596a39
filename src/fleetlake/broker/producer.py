"""Events to Kafka: idempotent, acknowledged by all replicas, keyed by device, and never dropped in silence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType

from confluent_kafka import KafkaError, KafkaException, Message

from fleetlake.broker.queueing import ClientConfig, Queueing, best_way
from fleetlake.broker.refusals import reason
from fleetlake.broker.settings import KafkaSettings
from fleetlake.broker.topics import unreachable
from fleetlake.contracts.events import Event
from fleetlake.foundation.errors import Retryable

QUEUE_MESSAGES = 500_000
QUEUE_KBYTES = 262_144
DELIVERY_TIMEOUT_S = 30
FLUSH_POLL_S = 1.0
FULL_POLL_S = 0.005  # nothing but a failure ends a poll early, so a longer one would let the queue run dry


class EventProducer:
    """Sends batches of encoded events. Not for use by two threads at once.

    What `send` accepted is either acknowledged by the time `flush` returns, or `flush` raises Retryable with the number of records
    that were not and the broker's reason. The queue is bounded: when it is full, `send` waits for the broker.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        delivery_timeout_s: float = DELIVERY_TIMEOUT_S,
        queueing: Callable[[ClientConfig], Queueing] = best_way,
    ) -> None:
        self._settings = settings
        self._failed = 0
        self._first_failure = ""
        self._hint = ""
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
            self._queueing = queueing(settings.client_config() | tuning)
        except KafkaException as error:
            raise unreachable(settings, error) from error
        self._producer = self._queueing.client

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
        header, step, place = event.schema_header.encode(), self._queueing.at_a_time, 0
        while place < len(values):
            queued, error = self._queueing.put(event.topic, header, keys[place : place + step], values[place : place + step])
            place += queued
            if error is not None and error.code() == KafkaError._QUEUE_FULL:
                self._producer.poll(FULL_POLL_S)
            elif error is not None:
                place += 1
                self._fail(error, event.topic)
        self._producer.poll(0)

    def flush(self) -> None:
        """Waits until every record is acknowledged or given up; Retryable if any was given up."""
        while self._producer.flush(FLUSH_POLL_S):
            pass  # ends: each record is acknowledged or fails by its delivery timeout
        given_up, error = self._queueing.failures()
        self._failed += given_up
        if error is not None:
            self._note(error, error.str())
        if self._failed:
            failed, self._failed = self._failed, 0
            raise Retryable(
                f"{failed} records were not delivered: {self._refused or self._first_failure}",
                where=self._settings.bootstrap_servers,
                hint=(self._hint or "check the broker with fleetlake status") + ", then send them again: event ids make that safe",
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
        self._note(error, f"{error.str()} (topic {topic})")

    def _note(self, error: KafkaError, said: str) -> None:
        self._first_failure = self._first_failure or said
        if error.code() == KafkaError.KAFKA_STORAGE_ERROR:
            self._hint = (
                "the broker can't write to its disk, which may be full: make room there, look at its log and start it again"
            )
