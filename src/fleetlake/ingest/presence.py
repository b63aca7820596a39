"""Whether Kafka has records where bronze has none: it is asked itself, since not every offset is a record's.

Markers of transactions have offsets, aborted records keep theirs, and compaction leaves holes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from fleetlake.broker.corruption import UNREADABLE, unreadable_batch
from fleetlake.broker.looking import REMOVED, looking_consumer
from fleetlake.foundation.errors import Retryable
from fleetlake.ingest.ranges import Offsets64, Ranges

MOST_FOUND = 1_000  # records of a partition: enough to say that bronze lacks some

OnProgress = Callable[[str, int, int], None]
ANSWER_S, POLL_S = 30.0, 0.2
MESSAGES = 10_000
READ_THROUGH = 20_000  # offsets between two holes that are read rather than jumped over, which costs a request
READING: Mapping[str, str | int | bool] = {
    "isolation.level": "read_committed",
    "queued.min.messages": MESSAGES,
    "queued.max.messages.kbytes": 16_384,
}


class RecordsRemoved(Retryable):
    """Retention took records while they were looked for."""


@dataclass(frozen=True, slots=True)
class Looked:
    """found: offsets of records, of those that were asked for. up_to: the offset before which all of them are found."""

    found: Ranges
    up_to: int


LookUp = Callable[[str, Mapping[int, Ranges]], Mapping[int, Looked]]


def every_offset(topic: str, asked: Mapping[int, Ranges]) -> Mapping[int, Looked]:
    """The LookUp for a topic without transactions and compaction: each offset is a record's."""
    return {partition: Looked(ranges, ranges.after) for partition, ranges in asked.items()}


def find_present(
    client_config: Mapping[str, str | int | float | bool],
    topic: str,
    asked: Mapping[int, Ranges],
    on_progress: OnProgress = lambda topic, done, of: None,
) -> Mapping[int, Looked]:
    """Return at which of the offsets asked for Kafka has a record that a reader of committed records is given.

    Every offset has to lie between a partition's low watermark and its last stable offset. Partitions are read one after the other,
    each in ascending order until MOST_FOUND records are found, so memory grows neither with the records nor with the holes.
    on_progress: called now and then with the topic, and how many of how many offsets have been looked at. Retryable if the broker
    does not answer, or if retention comes in between; as `unreadable_batch` says.
    """
    of, done, looked = sum(ranges.size for ranges in asked.values()), 0, dict[int, Looked]()
    with looking_consumer(client_config, READING) as consumer:
        for partition, ranges in sorted(asked.items()):
            found = Ranges()
            for position, offsets in _read(consumer, topic, partition, ranges):
                these = ranges.holding(offsets)
                found |= Ranges.merged(these, these + 1)
                looked[partition] = Looked(found, min(position, ranges.after))
                on_progress(topic, done + ranges.between(0, position).size, of)
                if found.size >= MOST_FOUND:
                    break
            done += ranges.size
    return looked


def _read(consumer: Consumer, topic: str, partition: int, ranges: Ranges) -> Iterator[tuple[int, Offsets64]]:
    """How far the partition has been read, and the offsets of the records that were there, until all ranges are behind."""
    position, where = ranges.first, f"topic {topic}, partition {partition}"
    consumer.assign([TopicPartition(topic, partition, position)])
    answered_at = time.monotonic()
    while position < ranges.after:
        messages = consumer.consume(MESSAGES, POLL_S)
        offsets = [message.offset() or 0 for message in messages if message.error() is None]
        ends = [message.offset() or 0 for message in messages if _is_end(message, where)]
        if not offsets and max(ends, default=0) <= position:
            if time.monotonic() - answered_at > ANSWER_S:
                raise Retryable("Kafka did not say whether it has a record there", where=f"{where}, offset {position}")
            continue
        answered_at = time.monotonic()
        position = max(position, *(offset + 1 for offset in offsets[-1:]), *ends)
        yield position, np.array(offsets, np.int64)
        left = ranges.between(position, ranges.after)
        if left and left.first - position > READ_THROUGH:
            position = left.first
            consumer.assign([TopicPartition(topic, partition, position)])


def _is_end(message: Message, where: str) -> bool:
    error = message.error()
    if error is None:
        return False
    if error.code() in UNREADABLE:
        raise unreadable_batch(message.topic() or "", message.partition() or 0, message.offset() or 0, error)
    if error.code() in REMOVED:
        raise RecordsRemoved("Kafka removed records while they were looked for", where=where, hint="fleetlake verify again")
    if error.code() == KafkaError._PARTITION_EOF:
        return True
    if error.retriable() or error.code() in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN):
        return False
    raise Retryable(f"the broker reported: {error.str()}", where=where) from KafkaException(error)
