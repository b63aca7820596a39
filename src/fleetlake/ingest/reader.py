"""From Kafka to Arrow: what has arrived, from given offsets on, while brokers come and go."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from fleetlake.broker.corruption import UNREADABLE, unreadable_batch
from fleetlake.broker.librdkafka import require_possible
from fleetlake.broker.looking import ANY_BATCH
from fleetlake.broker.refusals import reason
from fleetlake.broker.topics import SILENT, refused
from fleetlake.foundation.errors import BadInput, DataLoss, Permanent, Retryable
from fleetlake.ingest.arrivals import ENOUGH_BYTES, Arrivals, Arriving, Chunk, Trouble, keep_before
from fleetlake.ingest.by_columns import ByColumns
from fleetlake.ingest.by_objects import ByObjects
from fleetlake.ingest.offsets import Offsets
from fleetlake.runtime.compiled import NotPossible

LOG = logging.getLogger(__name__)  # its warnings reach stderr, a line each
OUTAGE = (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._RESOLVE)
# Said at once of what the broker does not show. One that has just started may do so of any topic: watch.py asks until that is sure.
ABSENT = (KafkaError._UNKNOWN_PARTITION, KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.UNKNOWN_TOPIC_ID)
ASK_EVERY_S, ASK_FOR_S = 1.0, 0.5
BATCH_MESSAGES = 20_000
DRAIN_S = 0.5  # for what the client has of records with large keys or headers
MAX_QUEUED_KB = 16_384  # of values; see `Reader.rest`
FETCH_BYTES = 24 * 1024
# The loop asks in batches and never seeks, so the client may fetch far ahead; what it holds is bounded in bytes. A broker serves
# its files as they lie on its disk, so the checksum is compared here. Records of aborted transactions are never given.
TUNING: Mapping[str, str | int | bool] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
    "check.crcs": True,
    "isolation.level": "read_committed",
    "queued.min.messages": 1_000_000,
    "queued.max.messages.kbytes": MAX_QUEUED_KB,
    "fetch.wait.max.ms": 100,
    "fetch.queue.backoff.ms": 5,
    "session.timeout.ms": 6_000,  # we join no group; it only bounds how long close() waits for a broker that is gone
}


@dataclass(frozen=True, slots=True)
class PolledBatch:
    """What one poll brought.

    ends: (topic, partition) to the offset at which the client saw the end of the partition. failure: why there is no reading on
    after these records. interrupted: whether a connection was lost since the poll before, so that what arrives next may be of a log
    that was replaced.
    """

    chunks: Sequence[Chunk]
    ends: Mapping[tuple[str, int], int]
    is_full: bool  # so that there is more
    failure: Permanent | None = None
    interrupted: bool = False


class Reader:
    """Reads topics from given offsets on. Belongs to one thread, but for `note_committed`.

    While no broker answers it waits; it says so once, and once more when one is back. fetch_bytes: of an answer of a broker, as it
    travels; a larger batch comes alone. The client decompresses an answer at once, some hundred times as large or more.
    """

    def __init__(
        self,
        client_config: Mapping[str, str | int | float | bool],
        *,
        group: str,
        start: Mapping[str, Offsets],
        fetch_bytes: int = FETCH_BYTES,
    ) -> None:
        self._notes: deque[Mapping[str, Offsets]] = deque()
        self._suspicious = False  # the client reported an outage, perhaps of one broker among many
        self._interrupted = False  # it has, since the last poll
        self._committed: dict[str, dict[int, int]] = {topic: dict(offsets) for topic, offsets in start.items()}
        self._lost_at: float | None = None
        self._strange_times: set[str] = set()  # topics of which it has been said
        self._refused = ""  # why a broker does not let us in, so that it is said once
        self._forbidden: KafkaError | None = None
        self._asked_at = -ASK_EVERY_S
        self._servers, self._a_topic = client_config.get("bootstrap.servers", ""), next(iter(start))
        tuned = dict(ANY_BATCH) | dict(client_config) | dict(TUNING) | _answers_of(fetch_bytes) | {"group.id": group}
        try:
            self._consumer = Consumer(tuned | {"error_cb": self._on_error}, logger=SILENT)
        except KafkaException as error:
            raise refused(error) from error
        self._arriving = _arriving(self._consumer, start)
        self._resting = False
        self._partitions = [(topic, partition) for topic, of in start.items() for partition in of]
        self._consumer.assign(_partitions(start))

    def poll(self, timeout_s: float) -> PolledBatch:
        """The records that have arrived, waiting up to `timeout_s` for BATCH_MESSAGES of them or ENOUGH_BYTES.

        A batch of records that can't be read is the `failure` of the Batch, which has all that precedes it. DataLoss if the broker
        no longer has an offset asked for, BadInput if we may not read a topic; Retryable for other errors it reports. Of a topic or
        partition that the broker does not show nothing is said: it may have just started.
        """
        self._tell_group()
        arrived = self._take(timeout_s)
        if self._forbidden:
            raise _forbidden(self._forbidden)
        interrupted, self._interrupted = self._interrupted, False
        if self._suspicious:
            self._look_for_broker(answers=bool(arrived.chunks or arrived.troubles))
        if batch := next((t for t in arrived.troubles if t.error.code() in UNREADABLE), None):
            chunks = [rest for chunk in arrived.chunks if (rest := keep_before(chunk, batch))]
            failure = unreadable_batch(batch.topic, batch.partition, batch.offset, batch.error)
            return PolledBatch(chunks, {}, is_full=False, failure=failure, interrupted=interrupted)
        self._tell_of_strange_times(arrived.chunks)
        ends = {(t.topic, t.partition): t.offset for t in arrived.troubles if _is_end(t)}
        return PolledBatch(arrived.chunks, ends, arrived.is_full, interrupted=interrupted)

    def rest(self) -> None:
        """Has the client fetch nothing until the next `poll`, and let go of what it has fetched, which is fetched again then.

        The client counts what it holds by values alone: beside large keys or headers it is not bounded while nobody takes it.
        """
        if not self._resting:
            self._consumer.pause([TopicPartition(*place) for place in self._partitions])
            self._resting = True

    def _take(self, timeout_s: float) -> Arrivals:
        """What has arrived; of large keys or headers all that is there, a part at a time, and then the client rests."""
        if self._resting:
            self._consumer.resume([TopicPartition(*place) for place in self._partitions])
            self._resting = False
        arrived = self._arriving.take(BATCH_MESSAGES, timeout_s)
        until = time.monotonic() + DRAIN_S
        while arrived.is_mostly_dropped and arrived.bytes < ENOUGH_BYTES and time.monotonic() < until:
            more = self._arriving.take(BATCH_MESSAGES, 0)
            arrived += more
            if not more.is_full:
                break
        if arrived.is_mostly_dropped:
            self.rest()
        return arrived

    def add(self, topic: str, offsets: Offsets) -> None:
        """Reads more partitions of a topic, from these offsets on; the others go on undisturbed."""
        self._partitions += [(topic, partition) for partition in offsets]
        self._arriving.add(topic, offsets)
        self._consumer.incremental_assign(_partitions({topic: offsets}))

    def _tell_of_strange_times(self, chunks: Sequence[Chunk]) -> None:
        for chunk in chunks:
            if (first := chunk.strange_time) and chunk.topic not in self._strange_times:
                self._strange_times.add(chunk.topic)
                LOG.warning(
                    "%s has records whose time in Kafka is no date, first at partition %d, offset %d: %d ms since 1970. Their "
                    "kafka_timestamp is null in bronze; they are read as any other. Is a producer's clock wrong, or its unit?",
                    chunk.topic, first.partition, first.offset, first.time_ms,
                )  # fmt: skip

    def _on_error(self, error: KafkaError) -> None:
        """Called by `consume` for what concerns no partition, and by ByObjects for what concerns a topic as well."""
        if error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            self._forbidden = error
        if error.code() in OUTAGE:
            self._suspicious = self._interrupted = True
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

    def note_committed(self, offsets: Mapping[str, Offsets]) -> None:
        """Has the consumer group told, for lag monitors, at the next `poll` or `close`. For any thread.

        Nothing is ever resumed from it. The thread that reads tells it: another one's call waits for as long as this one consumes.
        """
        self._notes.append(offsets)

    def close(self) -> None:
        self._tell_group()
        self._arriving.close()

    def _tell_group(self) -> None:
        notes = [self._notes.popleft() for _ in range(len(self._notes))]
        newest = {topic: offsets for note in notes for topic, offsets in note.items()}
        moved = {topic: dict(offsets.items() - self._committed.get(topic, {}).items()) for topic, offsets in newest.items()}
        if any(moved.values()):
            self._committed.update({topic: dict(offsets) for topic, offsets in newest.items()})
            with suppress(KafkaException):  # a failure does not matter
                self._consumer.commit(offsets=_partitions(moved), asynchronous=True)


def _answers_of(size_bytes: int) -> dict[str, int]:
    """The client raises fetch.max.bytes to message.max.bytes; a larger record is read all the same."""
    return dict.fromkeys(("fetch.max.bytes", "fetch.message.max.bytes", "message.max.bytes"), size_bytes)


def _arriving(consumer: Consumer, start: Mapping[str, Offsets]) -> Arriving:
    try:
        require_possible()
    except NotPossible as reason:
        LOG.warning("records are taken one by one, which costs three times the CPU: %s", reason)
        return ByObjects(consumer)
    return ByColumns(consumer, start)


def _partitions(offsets: Mapping[str, Offsets]) -> list[TopicPartition]:
    return [TopicPartition(topic, partition, offset) for topic, of in offsets.items() for partition, offset in of.items()]


def _is_end(trouble: Trouble) -> bool:
    """Whether it is the end of a partition; False too for one that the broker does not show. Raises for everything else."""
    error = trouble.error
    if error.code() == KafkaError._PARTITION_EOF:
        return True
    if error.code() in ABSENT:
        return False
    if error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
        raise _forbidden(error, trouble.topic)
    where = f"topic {trouble.topic}, partition {trouble.partition}, offset {trouble.offset}" if trouble.topic else ""
    if error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._LOG_TRUNCATION):
        raise DataLoss(
            f"the broker has not got the offset to read on from: {error.str()}",
            where=where,
            hint="run the ingest again, which compares the log with the table and says what is missing",
        )
    raise Retryable(f"the broker reported: {error.str()}", where=where) from KafkaException(error)


def _forbidden(error: KafkaError, topic: str = "") -> BadInput:
    return BadInput(
        f"Kafka does not let us read: {error.str()}",
        where=f"topic {topic}" if topic else "",
        hint="let the user of kafka.properties read the topic and its group (kafka-acls.sh); nothing is lost",
    )
