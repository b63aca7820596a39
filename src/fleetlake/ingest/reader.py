"""From Kafka to Arrow: the one place where there is an object per message, the client's own."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
import pyarrow as pa
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from fleetlake.broker.refusals import reason
from fleetlake.broker.topics import SILENT, refused
from fleetlake.foundation.errors import DataLoss, Retryable
from fleetlake.ingest.decode import RAW_SCHEMA
from fleetlake.ingest.offsets import Offsets

LOG = logging.getLogger(__name__)  # its warnings reach stderr, a line each
OUTAGE = (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._RESOLVE)
ASK_EVERY_S, ASK_FOR_S = 1.0, 0.5
BATCH_MESSAGES = 5_000
MAX_QUEUED_KB = 65_536
MAX_ARRAY_BYTES = 2**31 - 1  # Arrow's 32-bit offsets
# The loop asks in batches and never seeks, so the client may fetch far ahead; what it holds is bounded in bytes. Checksums are the
# broker's and TCP's business on the way to us.
TUNING: Mapping[str, str | int | bool] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
    "check.crcs": False,
    "queued.min.messages": 1_000_000,
    "queued.max.messages.kbytes": MAX_QUEUED_KB,
    "fetch.message.max.bytes": 8 * 1024 * 1024,
    "fetch.wait.max.ms": 100,
    "fetch.queue.backoff.ms": 5,
    "session.timeout.ms": 6_000,  # we join no group; it only bounds how long close() waits for a broker that is gone
}


@dataclass(frozen=True, slots=True)
class Chunk:
    """Records of one topic, in the order of their partitions' offsets.

    rows: a table of decode.RAW_SCHEMA. read: partition to (first, last) offset in it.
    """

    topic: str
    rows: pa.Table
    read: Mapping[int, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one poll brought. ends: (topic, partition) to the offset at which the client saw the end of the partition."""

    chunks: Sequence[Chunk]
    ends: Mapping[tuple[str, int], int]
    messages: int


class Reader:
    """Reads topics from given offsets on. Belongs to one thread, but for `note_committed`.

    While no broker answers it waits; it says so once, and once more when one is back.
    """

    def __init__(self, client_config: Mapping[str, str | int | float | bool], *, group: str, start: Mapping[str, Offsets]) -> None:
        self._notes: deque[Mapping[str, Offsets]] = deque()
        self._suspicious = False  # the client reported an outage, perhaps of one broker among many
        self._lost_at: float | None = None
        self._refused = ""  # why a broker does not let us in, so that it is said once
        self._asked_at = -ASK_EVERY_S
        self._servers, self._a_topic = client_config.get("bootstrap.servers", ""), next(iter(start))
        tuned = dict(client_config) | dict(TUNING) | {"group.id": group, "error_cb": self._on_error}
        try:
            self._consumer = Consumer(tuned, logger=SILENT)
        except KafkaException as error:
            raise refused(error) from error
        self._consumer.assign(_partitions(start))
        self._only_topic = next(iter(start)) if len(start) == 1 else None

    def poll(self, timeout_s: float) -> Batch:
        """The records that have arrived, waiting up to `timeout_s` for BATCH_MESSAGES of them.

        DataLoss if the broker no longer has an offset asked for; Retryable for other errors it reports.
        """
        self._tell_group()
        messages = self._consumer.consume(BATCH_MESSAGES, timeout_s)
        if self._suspicious:
            self._look_for_broker(answers=bool(messages))
        ends: dict[tuple[str, int], int] = {}
        if any(map(Message.error, messages)):
            ends = {_place(m)[:2]: _place(m)[2] for m in messages if _is_end(m)}
            messages = [m for m in messages if m.error() is None]
        return Batch([_chunk(topic, part) for topic, part in self._by_topic(messages)], ends, len(messages))

    def _on_error(self, error: KafkaError) -> None:
        """Called by `consume` for what concerns no partition."""
        self._suspicious = self._suspicious or error.code() in OUTAGE
        if (why := reason(error)) and why != self._refused:
            self._suspicious, self._refused = True, why
            LOG.warning("%s; trying again until it lets us in", why)

    def _look_for_broker(self, *, answers: bool) -> None:
        """Asks, unless something arrived, at most every ASK_EVERY_S; says what has changed."""
        now = time.monotonic()
        if not answers:
            if now - self._asked_at < ASK_EVERY_S:
                return
            self._asked_at = now
            with suppress(KafkaException):
                answers = bool(self._consumer.list_topics(self._a_topic, timeout=ASK_FOR_S).brokers)
        if not answers and self._lost_at is None:
            self._lost_at = now
            LOG.warning("Kafka is lost: no broker answers at %s; waiting for it", self._servers)
        elif answers:
            if self._lost_at is not None:
                LOG.warning("Kafka is back, after %.0f s", now - self._lost_at)
            self._suspicious, self._lost_at, self._refused = False, None, ""

    def _by_topic(self, messages: list[Message]) -> list[tuple[str, list[Message]]]:
        if self._only_topic is not None:
            return [(self._only_topic, messages)] if messages else []
        return _by_topic(messages)

    def note_committed(self, offsets: Mapping[str, Offsets]) -> None:
        """Has the consumer group told, for lag monitors, at the next `poll` or `close`. For any thread.

        Nothing is ever resumed from it. The thread that reads tells it: another one's call waits for as long as this one consumes.
        """
        self._notes.append(offsets)

    def close(self) -> None:
        self._tell_group()
        self._consumer.close()

    def _tell_group(self) -> None:
        notes = [self._notes.popleft() for _ in range(len(self._notes))]
        if notes:
            newest = {topic: offsets for note in notes for topic, offsets in note.items()}
            with suppress(KafkaException):  # a failure does not matter
                self._consumer.commit(offsets=_partitions(newest), asynchronous=True)


def _partitions(offsets: Mapping[str, Offsets]) -> list[TopicPartition]:
    return [TopicPartition(topic, partition, offset) for topic, of in offsets.items() for partition, offset in of.items()]


def _place(message: Message) -> tuple[str, int, int]:
    """Topic, partition and offset, which a consumed message always has, though its type does not say so."""
    return message.topic() or "", message.partition() or 0, message.offset() or 0


def _is_end(message: Message) -> bool:
    """Whether it is the end of a partition rather than a record. Raises for every other error."""
    error = message.error()
    if error is None:
        return False
    if error.code() == KafkaError._PARTITION_EOF:
        return True
    where = "topic {}, partition {}, offset {}".format(*_place(message))
    if error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
        raise DataLoss(f"the broker has not got the offset to read on from: {error.str()}", where=where)
    raise Retryable(f"the broker reported: {error.str()}", where=where) from KafkaException(error)


def _by_topic(messages: list[Message]) -> list[tuple[str, list[Message]]]:
    """Messages by their topic, in their order."""
    topics = [topic or "" for topic in map(Message.topic, messages)]
    names = sorted(set(topics))
    if len(names) == 1:
        return [(names[0], messages)]
    return [(name, [m for m, topic in zip(messages, topics, strict=True) if topic == name]) for name in names]


def _chunk(topic: str, messages: list[Message]) -> Chunk:
    partitions = np.fromiter(map(Message.partition, messages), np.int32, len(messages))
    offsets = np.fromiter(map(Message.offset, messages), np.int64, len(messages))
    times = np.fromiter(map(itemgetter(1), map(Message.timestamp, messages)), np.int64, len(messages))
    rows = pa.table(
        [
            pa.array(partitions),
            pa.array(offsets),
            pa.array(times * 1000, pa.timestamp("us", tz="UTC"), mask=times < 0),
            _binary(list(map(Message.value, messages))),
        ],
        schema=RAW_SCHEMA,
    )
    return Chunk(topic, rows, {int(p): _span(offsets[partitions == p]) for p in np.unique(partitions)})


def _binary(values: list[bytes | None]) -> pa.Array:
    """The values as one Arrow array. Joining them is five times as fast as letting Arrow take them one by one."""
    try:
        data = b"".join(values)  # type: ignore[arg-type]  # a None is what the except is for
    except TypeError:
        return pa.array(values, pa.binary())
    if len(data) >= MAX_ARRAY_BYTES:
        return pa.chunked_array([pa.array([value], pa.binary()) for value in values])
    ends = np.zeros(len(values) + 1, np.int32)
    np.cumsum(np.fromiter(map(len, values), np.int32, len(values)), out=ends[1:])  # type: ignore[arg-type]  # none is None here
    return pa.Array.from_buffers(pa.binary(), len(values), [None, pa.py_buffer(ends), pa.py_buffer(data)])


def _span(offsets: np.ndarray[tuple[int], np.dtype[np.int64]]) -> tuple[int, int]:
    if len(offsets) > 1 and not (np.diff(offsets) > 0).all():
        raise Retryable("the Kafka client returned records out of order", hint="run the ingest again")
    return int(offsets[0]), int(offsets[-1])
