"""Bronze to silver: the rows of one kind of event that no run has read yet, deduplicated and marked, in one commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from pyiceberg.table import Table as IcebergTable

from fleetlake.contracts.events import Event
from fleetlake.contracts.tables import bronze_of, silver_of
from fleetlake.lake.catalog import Lake
from fleetlake.lake.scan import added_files
from fleetlake.transform.bounds import between, instant
from fleetlake.transform.engine import Engines, TransformEngine
from fleetlake.transform.marker import ReadTable, TransformMarker, read_marker, source_now
from fleetlake.transform.models import table_model
from fleetlake.transform.settings import Thresholds
from fleetlake.transform.writing import write_and_commit


@dataclass(frozen=True, slots=True)
class SilverCounts:
    """Rows of one run: read = rejected + duplicates + inserted; late of those inserted."""

    topic: str
    table: str
    read: int = 0
    rejected: int = 0
    duplicates: int = 0
    inserted: int = 0
    late: int = 0
    rebuilt: bool = False


@dataclass(frozen=True, slots=True)
class Arrived:
    """The rows that arrived: counts, the offsets that follow them, and the bounds of the good ones, None if there are none."""

    read: int
    rejected: int
    offsets: Mapping[int, int]
    earliest: datetime | None
    ids: tuple[str, str] | None


def refresh_silver(lake: Lake, event: Event, thresholds: Thresholds, engines: Engines, *, full: bool) -> SilverCounts:
    """Brings the silver table of an event up to its bronze table, by one commit or, if bronze has nothing new, by none.

    Bronze files are read only if they were added since the last run, and of them only the rows from the stored offsets on: files
    that a compaction wrote hold rows read before. The offsets and the rows are committed together, so each bronze row is accounted
    for once whenever a run is killed. `full`, or another model than the one silver was made with, replaces all rows.
    Raises Conflict if silver was changed meanwhile; nothing was changed then.
    """
    table, bronze_name = silver_of(event), bronze_of(event).name
    silver = lake.table(
        table.name
    )  # first: if rows go from bronze after it is read, an erasure moves silver on, and this conflicts
    bronze = lake.table(bronze_name)
    model = table_model(table, thresholds)
    before = read_marker(silver)
    rebuild = full or (before is not None and before.definition != model.digest)
    start = before.sources[bronze_name] if before and not rebuild else ReadTable()
    counts = SilverCounts(event.topic, table.name, rebuilt=rebuild)
    if not rebuild and source_now(bronze).sequence == start.sequence:
        return counts
    with engines() as engine:
        arrived = _expose_arrived(engine, bronze, start)
        if arrived.offsets == start.offsets and not rebuild:
            return counts
        _expose_silver(engine, silver, arrived, empty=rebuild)
        engine.materialise("fresh", model.sql, model.settings)
        ((inserted, late),) = engine.rows("SELECT count(*), count(*) FILTER (WHERE is_late) FROM fresh")
        marker = TransformMarker(model.digest, {bronze_name: source_now(bronze, arrived.offsets)})
        removed = [task.file for task in silver.scan().plan_files()] if rebuild else []
        write_and_commit(engine, "fresh" if inserted else None, silver, table.sort, marker, removed)
    duplicates = arrived.read - arrived.rejected - inserted
    return replace(
        counts, read=arrived.read, rejected=arrived.rejected, duplicates=duplicates, inserted=inserted, late=late
    )  # fmt: skip


def _expose_arrived(engine: TransformEngine, bronze: IcebergTable, start: ReadTable) -> Arrived:
    """Makes the relation `arrived` of the rows from `start` on."""
    engine.expose_files("bronze.added", bronze, added_files(bronze, start.sequence))
    read_before = " ".join(f"WHEN {partition} THEN {offset}" for partition, offset in start.offsets.items())
    next_offset = f"CASE kafka_partition {read_before} ELSE 0 END" if read_before else "0"
    engine.define("arrived", f"SELECT * FROM bronze.added WHERE kafka_offset >= {next_offset}")
    found = engine.rows("""
        SELECT
            kafka_partition, max(kafka_offset) + 1, count(*), count(reject_reason),
            micros(min(event_time) FILTER (WHERE reject_reason IS NULL)),
            min(event_id) FILTER (WHERE reject_reason IS NULL),
            max(event_id) FILTER (WHERE reject_reason IS NULL)
        FROM arrived
        GROUP BY kafka_partition
    """)
    good = [row for row in found if row[4] is not None]
    return Arrived(
        read=sum(row[2] for row in found),
        rejected=sum(row[3] for row in found),
        offsets={**start.offsets, **{row[0]: row[1] for row in found}},
        earliest=instant(min(row[4] for row in good)) if good else None,
        ids=(min(row[5] for row in good), max(row[6] for row in good)) if good else None,
    )


def _expose_silver(engine: TransformEngine, silver: IcebergTable, arrived: Arrived, *, empty: bool) -> None:
    """Makes the relations `seen` and `latest`: what the model has to know of the rows silver has.

    Event ids begin with a time, as a rule, so that their bounds leave out most of silver's files and row groups.
    """
    if empty or arrived.earliest is None or arrived.ids is None:
        engine.define("seen", "SELECT CAST(NULL AS VARCHAR) AS event_id WHERE false")
        engine.define("latest", "SELECT CAST(NULL AS VARCHAR) AS device_id, CAST(NULL AS TIMESTAMPTZ) AS event_time WHERE false")
        return
    first, last = arrived.ids
    engine.expose("silver.near_ids", silver, between("event_id", first, last))
    engine.materialise(
        "seen",
        """
        SELECT event_id FROM silver.near_ids
        WHERE event_id BETWEEN $first AND $last
            AND EXISTS (SELECT 1 FROM arrived WHERE reject_reason IS NULL AND arrived.event_id = near_ids.event_id)
        """,
        {"first": first, "last": last},
    )
    # A device whose latest time is before all that arrived makes none of it late.
    earliest = arrived.earliest.isoformat()
    engine.expose("silver.recent", silver, between("event_time", earliest, None))
    engine.materialise(
        "latest",
        """
        SELECT device_id, max(event_time) AS event_time FROM silver.recent
        WHERE event_time >= CAST($earliest AS TIMESTAMPTZ)
        GROUP BY device_id
        """,
        {"earliest": earliest},
    )
