"""Topics: making them, and what the broker says of them. Every driver error becomes one of ours."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ClusterMetadata, NewTopic, OffsetSpec, TopicDescription, TopicMetadata

from fleetlake.broker.refusals import refusal
from fleetlake.broker.settings import KafkaSettings
from fleetlake.foundation.errors import BadInput, FleetlakeError, Missing, Retryable

Answer = TypeVar("Answer")
TIMEOUT_S = 10.0
FIRST_TRY_S = 0.5
RETRY_S = 0.05
NO_ANSWER = (KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN)
# What a broker says of a partition that it has only just made, is about to move, or has just come to lead.
SETTLING = (
    KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE, KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.UNKNOWN_LEADER_EPOCH, KafkaError.FENCED_LEADER_EPOCH, KafkaError.OFFSET_NOT_AVAILABLE,
)  # fmt: skip
SILENT = logging.getLogger("fleetlake.kafka")  # the client's own lines; what matters reaches the user as an error
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False


def cluster_id(settings: KafkaSettings, *, timeout_s: float = TIMEOUT_S) -> str:
    """The cluster's id. Missing if no broker answers within `timeout_s`, BadInput at once if one refuses us; so do all of these."""
    with _admin(settings, timeout_s) as (_, cluster):
        return str(cluster.cluster_id)


def ensure_topics(settings: KafkaSettings, topics: Iterable[str], *, config: Mapping[str, str] | None = None) -> None:
    """Makes the topics that are absent, with `settings.partitions` partitions; those there stay as they are.

    Returns when the broker shows them all, each partition with a leader. Retryable if that takes longer than `TIMEOUT_S`.
    """
    topics = list(topics)
    with _admin(settings) as (admin, cluster):
        known = cluster.topics
        wanted = [NewTopic(topic, settings.partitions, config=dict(config or {})) for topic in topics if topic not in known]
        for topic, future in (admin.create_topics(wanted) if wanted else {}).items():
            try:
                _result(future)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise Retryable(f"topic {topic} could not be made: {error.args[0].str()}") from error
        if wanted:
            _wait_until_shown(admin, topics)


def _wait_until_shown(admin: AdminClient, topics: list[str]) -> None:
    """A topic is made before every part of the broker knows of it."""
    give_up_at = time.monotonic() + TIMEOUT_S
    while True:
        shown = admin.list_topics(timeout=TIMEOUT_S).topics
        waiting = [topic for topic in topics if topic not in shown or not _is_led(shown[topic])]
        if not waiting:
            return
        if time.monotonic() > give_up_at:
            raise Retryable(f"topic {waiting[0]} was made, but the broker does not show it", hint="try again")
        time.sleep(RETRY_S)


def _is_led(topic: TopicMetadata) -> bool:
    return topic.error is None and all(partition.leader >= 0 for partition in topic.partitions.values())


def topic_ids(settings: KafkaSettings, topics: Iterable[str]) -> dict[str, str]:
    """Each topic's id; one that is deleted and made again has another. Missing if a topic is not there."""
    names = list(topics)
    with _admin(settings) as (admin, _):
        futures = admin.describe_topics(TopicCollection(names), request_timeout=TIMEOUT_S)
        return {name: str(_found(name, settings, future).topic_id) for name, future in futures.items()}


def watermarks(settings: KafkaSettings, topics: Iterable[str]) -> dict[str, dict[int, tuple[int, int]]]:
    """Topic to partition to (lowest offset kept, offset after the last). Missing if a topic is not there."""
    names = list(topics)
    with _admin(settings) as (admin, cluster):
        known = cluster.topics
        if absent := [name for name in names if name not in known]:
            raise _no_topic(absent[0], settings)
        partitions = [TopicPartition(name, partition) for name in names for partition in sorted(known[name].partitions)]
        lows, highs = (_offsets(admin, partitions, spec) for spec in (OffsetSpec.earliest(), OffsetSpec.latest()))
    found: dict[str, dict[int, tuple[int, int]]] = {name: {} for name in names}
    for part, low, high in zip(partitions, lows, highs, strict=True):
        found[part.topic][part.partition] = (low, high)
    return found


def stable_ends(settings: KafkaSettings, partitions: Mapping[str, Iterable[int]]) -> dict[str, dict[int, int]]:
    """Topic to partition to where its first open transaction begins, or the offset after the last if none is open."""
    parts = [TopicPartition(topic, partition) for topic, of in partitions.items() for partition in of]
    with _admin(settings) as (admin, _):
        ends = _offsets(admin, parts, OffsetSpec.latest(), IsolationLevel.READ_COMMITTED)
    found: dict[str, dict[int, int]] = {topic: {} for topic in partitions}
    for part, end in zip(parts, ends, strict=True):
        found[part.topic][part.partition] = end
    return found


def commit_group_offsets(settings: KafkaSettings, group: str, offsets: Mapping[str, Mapping[int, int]]) -> None:
    """Says for a consumer group without members how far it has read (topic to partition to next offset): for lag monitors."""
    partitions = [TopicPartition(topic, partition, next_) for topic, of in offsets.items() for partition, next_ in of.items()]
    with _admin(settings) as (admin, _):
        for future in admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, partitions)]).values():
            _result(future)


def _offsets(
    admin: AdminClient,
    partitions: list[TopicPartition],
    spec: OffsetSpec,
    isolation: IsolationLevel = IsolationLevel.READ_UNCOMMITTED,
) -> list[int]:
    """An offset of each partition. A partition that was just made has no leader for a moment, so it is asked for again.

    So it is where a connection broke before the answer came: the client gives an offset below 0 then, and no error.
    """
    give_up_at = time.monotonic() + TIMEOUT_S
    while True:
        futures = admin.list_offsets(dict.fromkeys(partitions, spec), isolation_level=isolation, request_timeout=TIMEOUT_S)
        try:
            found = [int(_result(futures[part]).offset) for part in partitions]
        except KafkaException as error:
            if error.args[0].code() not in SETTLING or time.monotonic() > give_up_at:
                raise
        else:
            if min(found, default=0) >= 0:
                return found
            if time.monotonic() > give_up_at:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "not all partitions were answered for"))
        time.sleep(RETRY_S)


def _result(future: Future[Answer]) -> Answer:
    """What the client answers. Its own time is up first, as a rule; KafkaException as well where it says nothing at all."""
    try:
        return future.result(2 * TIMEOUT_S)
    except TimeoutError as error:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "no answer")) from error


@contextmanager
def _admin(settings: KafkaSettings, timeout_s: float = TIMEOUT_S) -> Iterator[tuple[AdminClient, ClusterMetadata]]:
    """A client that a broker has answered, and what it said of the cluster."""
    with _answered(settings):
        errors: list[KafkaError] = []
        config: dict[str, Any] = {**settings.client_config(), "error_cb": errors.append}
        admin = AdminClient(config, logger=SILENT)
        yield admin, _first_answer(admin, settings, errors, timeout_s)


def _first_answer(admin: AdminClient, settings: KafkaSettings, errors: list[KafkaError], timeout_s: float) -> ClusterMetadata:
    """Asks for ever longer: asked once, the client would try until the time is up, whatever the reason.

    errors: where the client's callback puts what it reports, which it does in `poll`.
    """
    give_up_at, try_s = time.monotonic() + timeout_s, FIRST_TRY_S
    while True:
        try:
            return admin.list_topics(timeout=max(RETRY_S, min(try_s, give_up_at - time.monotonic())))
        except KafkaException as error:
            admin.poll(0)
            if error.args[0].code() not in NO_ANSWER:
                raise
            if refused_us := refusal(settings, errors):
                raise refused_us from error
            if time.monotonic() > give_up_at:
                raise
        errors.clear()
        time.sleep(RETRY_S)
        try_s *= 2


@contextmanager
def _answered(settings: KafkaSettings) -> Iterator[None]:
    """Turns the client's exceptions into ours."""
    try:
        yield
    except KafkaException as error:
        raise unreachable(settings, error) from error


def unreachable(settings: KafkaSettings, error: KafkaException) -> FleetlakeError:
    """The error for a broker that does not answer, or for a configuration the client does not take."""
    said = error.args[0].str()
    if error.args[0].code() in (KafkaError._INVALID_ARG, KafkaError._CONFLICT, KafkaError._NOT_IMPLEMENTED):
        return refused(error)
    start = "fleetlake up, or fleetlake --set kafka.bootstrap_servers=HOST:PORT for another Kafka"
    elsewhere = "start it, or fleetlake config show for where its address and how to log in come from"
    return Missing(
        f"Kafka does not answer: {said}", where=settings.bootstrap_servers, hint=start if settings.embedded else elsewhere
    )


def refused(error: KafkaException) -> BadInput:
    """The error for a configuration that the client does not take, a mistyped property for example."""
    return BadInput(
        f"the Kafka client does not take its configuration: {error.args[0].str()}",
        where="kafka.properties",
        allowed="what librdkafka's CONFIGURATION.md lists",
        hint="fleetlake config show",
    )


def _found(name: str, settings: KafkaSettings, future: Future[TopicDescription]) -> TopicDescription:
    try:
        return _result(future)
    except KafkaException as error:
        if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise _no_topic(name, settings) from error
        raise


def _no_topic(name: str, settings: KafkaSettings) -> Missing:
    return Missing(f"there is no topic {name}", where=settings.bootstrap_servers, hint="fleetlake up makes the topics there")
