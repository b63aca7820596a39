"""Clients that look into topics' logs without reading on: they join no group and commit nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from confluent_kafka import Consumer, KafkaError, KafkaException

from fleetlake.broker.topics import SILENT, refused

REMOVED = (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)  # what is said of an offset that retention has passed
# The client takes no larger answer, and unpacks no zstd batch to more; 100 MB unless set. It allocates what it needs. Goes before
# the user's configuration, which may have less.
ANY_BATCH: Mapping[str, str | int | float | bool] = {"receive.message.max.bytes": 2**31 - 1}
CONFIG: Mapping[str, str | int | bool] = {
    "group.id": "fleetlake-look",  # the client asks for one
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
    "check.crcs": True,
    "fetch.wait.max.ms": 50,
    "session.timeout.ms": 6_000,  # it only bounds how long closing waits for a broker that is gone
}


@contextmanager
def looking_consumer(
    client_config: Mapping[str, str | int | float | bool], more: Mapping[str, str | int | bool]
) -> Iterator[Consumer]:
    """Makes a client of its own, which knows nothing of the logs from before, and closes it at the end of the context.

    more: its isolation level and how far it reads ahead. BadInput if the client does not take its configuration.
    """
    try:
        consumer = Consumer(dict(ANY_BATCH) | dict(client_config) | dict(CONFIG) | dict(more), logger=SILENT)
    except KafkaException as error:
        raise refused(error) from error
    try:
        yield consumer
    finally:
        consumer.close()
