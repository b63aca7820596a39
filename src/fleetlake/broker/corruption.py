"""Batches of records that are not what their producer sent: a disk flipped a bit, and the batch's checksum says so."""

from __future__ import annotations

from confluent_kafka import KafkaError

from fleetlake.foundation.errors import DataLoss

CORRUPT = (KafkaError._BAD_MSG, KafkaError._BAD_COMPRESSION, KafkaError.INVALID_MSG)  # the client's words for it, and the broker's


def corrupt_batch(topic: str, partition: int, offset: int, said: str) -> DataLoss:
    """Returns the error for a batch that can't be read, which begins at the offset. said: by the client."""
    return DataLoss(
        f"a batch of records is corrupt on the broker's disk: {said}",
        where=f"topic {topic}, partition {partition}, offset {offset}",
        hint="restore the partition from a replica or a backup; where there is none, delete its records up to the end of the batch "
        "(kafka-delete-records.sh), and fleetlake ingest --accept-gaps writes the loss down",
    )
