"""Single records, fetched by their offsets: to see whether the broker still holds what was read."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from fleetlake.broker.absence import vanished_partitions
from fleetlake.broker.corruption import UNREADABLE
from fleetlake.broker.looking import REMOVED, looking_consumer
from fleetlake.foundation.errors import Retryable

ANSWER_S, METADATA_S = 20.0, 5.0
PARTITIONS_AT_A_TIME = 1_000  # each may bring a batch of records, of which one is looked at
POLL_S = 0.1
# A record of a batch that can't be read can't be shown, so that nothing can be compared with it: who reads on there is told.
NO_RECORD = (*REMOVED, *UNREADABLE, KafkaError._PARTITION_EOF)
READING: Mapping[str, str | int | bool] = {
    "isolation.level": "read_uncommitted",  # what stands at an offset, whatever became of its transaction
    "queued.min.messages": 1,
}


@dataclass(frozen=True, slots=True)
class FoundRecord:
    """A record as the broker has it. timestamp_ms: since 1970. leader_epoch: None if the client does not say."""

    offset: int
    timestamp_ms: int
    value: bytes | None
    leader_epoch: int | None


def find_records(
    client_config: Mapping[str, str | int | float | bool], topic: str, offsets: Mapping[int, int], *, answer_s: float = ANSWER_S
) -> dict[int, FoundRecord]:
    """Return of each partition the first record at or after the offset; none of a partition that has no such record (any more),
    or has it in a batch that can't be read.

    Every call has a client of its own, which knows nothing of the log from before. Retryable if partitions did not answer within
    `answer_s`; DataLoss if the topic is there without them.
    """
    found: dict[int, FoundRecord] = {}
    if not offsets:
        return found
    wanted = sorted(offsets.items())
    with looking_consumer(client_config, READING) as consumer:
        for first in range(0, len(wanted), PARTITIONS_AT_A_TIME):
            some = dict(wanted[first : first + PARTITIONS_AT_A_TIME])
            found.update(_find(consumer, topic, some, time.monotonic() + answer_s))
    return found


def _find(consumer: Consumer, topic: str, offsets: dict[int, int], give_up_at: float) -> Iterator[tuple[int, FoundRecord]]:
    consumer.assign([TopicPartition(topic, partition, offset) for partition, offset in offsets.items()])
    waiting = set(offsets)
    while waiting:
        if time.monotonic() > give_up_at:
            _require_shown(consumer, topic, waiting)
            raise Retryable(
                "the broker did not show the records that were read last", where=f"topic {topic}, partition {min(waiting)}",
                hint="are all of the partition's replicas down?",
            )  # fmt: skip
        answered = []
        for message in consumer.consume(len(waiting), POLL_S):
            partition, error = message.partition(), message.error()
            if partition is None or partition not in waiting or (error is not None and error.code() not in NO_RECORD):
                continue
            waiting.discard(partition)
            answered.append(TopicPartition(topic, partition))
            if error is None:
                yield partition, FoundRecord(message.offset() or 0, message.timestamp()[1], message.value(), message.leader_epoch())
        if answered and waiting:
            consumer.incremental_unassign(answered)  # so that the others' records find room


def _require_shown(consumer: Consumer, topic: str, partitions: set[int]) -> None:
    with suppress(KafkaException):
        shown = consumer.list_topics(topic, timeout=METADATA_S).topics[topic].partitions
        if shown and (absent := sorted(partitions - shown.keys())):
            raise vanished_partitions(topic, absent)
