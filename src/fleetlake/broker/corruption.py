"""Batches of records that can't be read: a disk flipped a bit, or the client can't unpack what is as its producer sent it."""

from __future__ import annotations

from confluent_kafka import KafkaError

from fleetlake.foundation.errors import DataLoss, Permanent

CORRUPT = (KafkaError._BAD_MSG, KafkaError.INVALID_MSG)  # the client's word for it, and the broker's
UNREADABLE = (*CORRUPT, KafkaError._BAD_COMPRESSION)


def unreadable_batch(topic: str, partition: int, offset: int, error: KafkaError) -> Permanent:
    """Return the error for a batch that begins at the offset, of which the client reported one of UNREADABLE.

    DataLoss only if the batch is corrupt. The client looks at the checksum before it unpacks, so one that it can't unpack is not.
    """
    where = f"topic {topic}, partition {partition}, offset {offset}"
    if error.code() in CORRUPT:
        return DataLoss(
            f"a batch of records is corrupt on the broker's disk: {error.str()}",
            where=where,
            hint="restore the partition from a replica or a backup; where there is none, delete its records up to the end of the "
            "batch (kafka-delete-records.sh), and fleetlake ingest --accept-gaps writes the loss down",
        )
    return Permanent(
        f"the Kafka client can't unpack a batch of records, whose checksum is right: {error.str()}",
        where=where,
        hint="nothing is lost, Kafka has the batch as it was sent. Is it larger, unpacked, than "
        "kafka.properties.receive.message.max.bytes (2147483647 unless set)? Kafka's Java client may read it, into a new lake: "
        "fleetlake --home DIR ingest --engine spark",
    )
