"""Is a topic still the one its table was filled from? Spark's own Kafka client asks, which is let in as Spark is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from fleetlake.foundation.errors import DataLoss
from fleetlake.ingest.offsets import KafkaTopicState

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ANSWER_MS = 2_000
AS_LIBRDKAFKA = str.maketrans("-_", "+/")  # Java writes an id in the other alphabet of base64


def require_same(session: SparkSession, kafka: Mapping[str, str], sources: Iterable[KafkaTopicState]) -> None:
    """DataLoss if a topic was deleted and made again. Nothing where the broker does not answer, or does not know the topic (yet).

    kafka: settings of the Java client.
    """
    sources = list(sources)
    ids = _topic_ids(session, kafka, [source.topic for source in sources])
    for source in sources:
        if ids.get(source.topic, source.topic_id) != source.topic_id:
            raise DataLoss(
                f"the topic was deleted or made again while it was read: it is {ids[source.topic]}, the table was filled from "
                f"{source.topic_id}",
                where=f"topic {source.topic}",
                hint="its offsets mean other records now; ingest into a new lake",
            )


def _topic_ids(session: SparkSession, kafka: Mapping[str, str], topics: list[str]) -> dict[str, str]:
    """Of the topics that the broker knows."""
    jvm: Any = session.sparkContext._jvm
    settings = jvm.java.util.Properties()
    for name, value in ({"default.api.timeout.ms": str(ANSWER_MS), "request.timeout.ms": str(ANSWER_MS)} | dict(kafka)).items():
        settings.setProperty(name, value)
    found: dict[str, str] = {}
    try:
        admin = jvm.org.apache.kafka.clients.admin.Admin.create(settings)
    except Exception:  # of py4j: the JVM is going, and the queries will say so
        return found
    try:
        for topic, future in dict(admin.describeTopics(topics).topicNameValues()).items():
            try:
                found[topic] = str(future.get().topicId()).translate(AS_LIBRDKAFKA)
            except Exception:  # noqa: S112  # of py4j, around Kafka's
                continue
    finally:
        admin.close()
    return found
