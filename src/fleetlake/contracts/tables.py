"""Every table of the lake: raw, bronze and silver follow from the events, gold is listed in gold.py."""

from __future__ import annotations

from fleetlake.contracts.columns import Column, Type
from fleetlake.contracts.events import EVENTS, Event
from fleetlake.contracts.gold import GOLD
from fleetlake.contracts.positions import POSITIONS
from fleetlake.contracts.table import Table

KAFKA_PARTITION = Column("kafka_partition", Type.INTEGER, "Partition of the topic", required=True)
KAFKA_OFFSET = Column("kafka_offset", Type.LONG, "Offset in the partition", required=True)
LATEST_TIME_MS = 253_402_300_799_999  # the end of the year 9999, the last that Python and every SQL engine can show
KAFKA_TIMESTAMP = Column(
    "kafka_timestamp",
    Type.TIMESTAMP,
    "Time the producer or broker gave the record; null where it is no date of 1970 to 9999",
)
INGESTED_AT = Column("ingested_at", Type.TIMESTAMP, "When the ingest decoded the record; never falls from commit to commit")
REJECT_REASON = Column("reject_reason", Type.STRING, "rule: field: what was seen. Null for a good record")
PAYLOAD = Column("payload", Type.BINARY, "The record's bytes, kept only where it was rejected")
SOURCE_FILE = Column("source_file", Type.STRING, "URI of the landing's file it is from; s3a:// is written s3://", required=True)
IS_LATE = Column(
    "is_late",
    Type.BOOLEAN,
    "Arrived when its device had already reported a later time, by more than the lateness",
    required=True,
)
LATE_BY = Column("late_by_s", Type.DOUBLE, "How far behind the device's latest time it arrived, 0 if in order", "s", required=True)

BRONZE = tuple(
    Table(
        "bronze", event.kind, f"Every record of topic {event.topic} exactly once, good or bad. {event.description}.",
        (KAFKA_PARTITION, KAFKA_OFFSET, KAFKA_TIMESTAMP, INGESTED_AT, REJECT_REASON, PAYLOAD,
         *(column.nullable() for column in event.columns)),
        partition_by="event_time", event=event,
    )
    for event in EVENTS
)  # fmt: skip

RAW = tuple(
    Table(
        "raw", event.kind, f"Every record of the files in the raw landing of topic {event.topic}, once. {event.description}.",
        (SOURCE_FILE, KAFKA_PARTITION.nullable(), KAFKA_OFFSET.nullable(), KAFKA_TIMESTAMP, INGESTED_AT, REJECT_REASON, PAYLOAD,
         *(column.nullable() for column in event.columns)),
        partition_by="event_time", event=event,
    )
    for event in EVENTS
)  # fmt: skip

SILVER = tuple(
    Table(
        "silver", event.kind, f"One row per event_id, the first arrival; rejects left out. {event.description}.",
        (KAFKA_PARTITION, KAFKA_OFFSET, INGESTED_AT, IS_LATE, LATE_BY, *event.columns),
        partition_by="event_time", sort=("device_id", "event_time"), event=event,
    )
    for event in EVENTS
)  # fmt: skip

ERASED = Table(
    "bronze", "erased", "Places in Kafka of records that `fleetlake erase` took out of bronze; nothing of what they held",
    (Column("topic", Type.STRING, "The topic", required=True), KAFKA_PARTITION, KAFKA_OFFSET,
     Column("erased_at", Type.TIMESTAMP, "When they were taken out, or were about to be", required=True)),
    partition_by="erased_at",
)  # fmt: skip


def raw_of(event: Event) -> Table:
    return next(table for table in RAW if table.event is event)


def bronze_of(event: Event) -> Table:
    return next(table for table in BRONZE if table.event is event)


def silver_of(event: Event) -> Table:
    return next(table for table in SILVER if table.event is event)


def contract_of(name: str) -> Table | None:
    """Returns the definition of the table `layer.kind`; None if it is none of fleetlake's."""
    return next((table for table in (*all_tables(), *RAW, ERASED) if table.name == name), None)


def all_tables() -> tuple[Table, ...]:
    """Bronze, silver and gold, in the order they are filled. The raw tables are none of them: only `fleetlake etl` makes those."""
    return (*BRONZE, *SILVER, POSITIONS, *GOLD)
