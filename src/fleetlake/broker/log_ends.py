"""Where the logs of topics begin and end, as the brokers say now."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ListOffsetsResultInfo, OffsetSpec

from fleetlake.broker.topics import SILENT

ANSWER_S = 5.0  # also how long an ingest that is told to end may wait for it


@dataclass(frozen=True, slots=True)
class LogEnds:
    """Offsets of a partition. low: of the first record kept. stable: before any record of a transaction that is still open.

    high: after the last record. None for what was not asked for, and of a partition that did not answer, as one without a leader.
    """

    low: int | None = None
    stable: int | None = None
    high: int | None = None


def find_log_ends(
    client_config: Mapping[str, str | int | float | bool], topics: Iterable[str], known: Collection[tuple[str, int]]
) -> dict[str, dict[int, LogEnds]]:
    """Return topic to partition to its ends, for every partition there is now; topics that the brokers do not know are left out.

    known: topics and partitions whose low is not asked for. Every call has a client of its own: what that knows is not
    outdated. Raises KafkaException while no broker answers.
    """
    admin = AdminClient(dict(client_config), logger=SILENT)
    shown = admin.list_topics(timeout=ANSWER_S).topics
    partitions = [TopicPartition(topic, p) for topic in topics if topic in shown for p in sorted(shown[topic].partitions)]
    stable = _ask(admin, partitions, OffsetSpec.latest(), IsolationLevel.READ_COMMITTED)  # first: it may move meanwhile
    high = _ask(admin, partitions, OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED)
    new = [part for part in partitions if (part.topic, part.partition) not in known]
    low = _ask(admin, new, OffsetSpec.earliest(), IsolationLevel.READ_UNCOMMITTED)
    found: dict[str, dict[int, LogEnds]] = {}
    for part in partitions:
        key = part.topic, part.partition
        found.setdefault(part.topic, {})[part.partition] = LogEnds(low.get(key), stable.get(key), high.get(key))
    return found


def _ask(
    admin: AdminClient, partitions: list[TopicPartition], spec: OffsetSpec, isolation: IsolationLevel
) -> dict[tuple[str, int], int]:
    """Offsets of those that answered; one below 0 is what the client says where a connection broke before."""
    if not partitions:
        return {}
    futures = admin.list_offsets(dict.fromkeys(partitions, spec), isolation_level=isolation, request_timeout=ANSWER_S)
    answers: dict[tuple[str, int], int] = {}
    for part, future in futures.items():
        try:
            answer: ListOffsetsResultInfo = future.result(2 * ANSWER_S)
        except (KafkaException, TimeoutError):
            continue
        if answer.offset >= 0:
            answers[part.topic, part.partition] = answer.offset
    return answers
