"""Rows of a bronze table against the records that Kafka has at their places: is the topic's log still the one they came from?

The table itself is what is compared, so this holds for both engines and for tables of earlier versions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from pyiceberg.table import Table as IcebergTable

from fleetlake.broker.records_at import FoundRecord
from fleetlake.contracts.events import Event
from fleetlake.contracts.tables import ERASED, bronze_of
from fleetlake.contracts.validation import parse
from fleetlake.foundation.errors import DataLoss
from fleetlake.ingest.fingerprints import HINT
from fleetlake.ingest.offsets import Offsets
from fleetlake.lake.catalog import Lake
from fleetlake.lake.memory_database import memory_database
from fleetlake.lake.scan import damage_named, expose_files, numbered_files

NEWEST_FILES = 100
RANKS = (1, 2, 4, 8, 16, 32)  # of a partition's newest batches: the last row of each of these
FindRecords = Callable[[str, Offsets], Mapping[int, FoundRecord]]


@dataclass(frozen=True, slots=True)
class LandedRow:
    """A row of bronze. rank: 1 for the newest batch of its partition. time_us: Kafka's, since 1970. payload: of a reject."""

    partition: int
    offset: int
    rank: int
    time_us: int | None
    event_id: str | None
    payload: bytes | None


def require_landed_records(lake: Lake, event: Event, topic: str, find: FindRecords) -> None:
    """Raise DataLoss if the topic holds other records than the event's bronze table where that ends; see `find_replaced`."""
    for row in find_replaced(lake, event, topic, find):
        raise DataLoss(
            f"the topic's log went back and grew again: the record at offset {row.offset} that is in the table is not the one that "
            "the broker has there now",
            where=f"topic {topic}, partition {row.partition}, offset {row.offset} and some before it",
            hint=HINT,
        )


def find_replaced(lake: Lake, event: Event, topic: str, find: FindRecords) -> Iterator[LandedRow]:
    """Yield rows among those that landed last whose place in the topic another record has now.

    Looked at are the last rows of some of each partition's newest batches, in the table's NEWEST_FILES newest files. A record that
    the broker has removed proves nothing. Where a device was erased, what is left of others' fields may be masked, so that Kafka's
    time alone is compared. find: as `find_records` of one cluster; what it raises passes through.
    """
    by_time_alone = lake.has(ERASED.name)
    rows = last_rows(lake.table(bronze_of(event).name))
    for rank in RANKS:
        these = {row.partition: row for row in rows if row.rank == rank}
        found = find(topic, {partition: row.offset for partition, row in these.items()})
        for partition, row in sorted(these.items()):
            record = found.get(partition)
            if record is not None and record.offset == row.offset and not is_of(row, record, event, by_time_alone=by_time_alone):
                yield row


def is_of(row: LandedRow, record: FoundRecord, event: Event, *, by_time_alone: bool = False) -> bool:
    """Return whether the row can have come from the record. One that the contract rejects by now tells by its time alone."""
    if row.time_us is not None and row.time_us != record.timestamp_ms * 1000:
        return False
    if by_time_alone:
        return True
    if record.value is None or row.payload is not None:
        return row.event_id is None and row.payload == record.value
    parsed = parse(event, record.value)
    return parsed.reject_reason is not None or row.event_id == parsed.values["event_id"]


def last_rows(table: IcebergTable) -> list[LandedRow]:
    """Return the last row of each of RANKS among the newest batches of each partition, as far as the newest files have them."""
    newest = sorted(numbered_files(table), key=lambda numbered: numbered[1])[-NEWEST_FILES:]
    with memory_database("ingest") as con, damage_named(con):
        expose_files(con, table, "landed", [file for file, _ in newest])
        found = con.execute(
            """WITH batches AS (
                 SELECT kafka_partition AS partition, max(kafka_offset) AS last,
                        arg_max({'time': epoch_us(kafka_timestamp), 'id': event_id, 'payload': payload}, kafka_offset) AS of
                 FROM landed GROUP BY kafka_partition, ingested_at),
               ranked AS (SELECT *, row_number() OVER (PARTITION BY partition ORDER BY last DESC) AS rank FROM batches)
               SELECT partition, last, rank, of.time, of.id, of.payload FROM ranked WHERE rank IN (SELECT unnest($ranks))""",
            {"ranks": list(RANKS)},
        ).fetchall()
    return [LandedRow(*row) for row in found]
