"""Does the lake hold what Kafka holds, each record once? Counted from the tables and the broker's watermarks, not from any log."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import duckdb

from fleetlake.contracts.events import Event
from fleetlake.contracts.tables import ERASED, bronze_of, silver_of
from fleetlake.foundation.errors import DataLoss
from fleetlake.ingest.offsets import Marker, Offsets, Source, check_identity
from fleetlake.lake.catalog import Lake
from fleetlake.lake.scan import damage_named, expose

INGEST, TRANSFORM, REBUILD = "fleetlake ingest --once", "fleetlake transform", "fleetlake transform --full"


class State(StrEnum):
    """What a topic's check found."""

    OK = "ok"
    BEHIND = "behind"  # bronze is Kafka; silver has yet to read some of it
    NOT_EQUAL = "NOT EQUAL"


@dataclass(frozen=True, slots=True)
class TopicCheck:
    """One topic's books, in records.

    kafka: between the watermarks. landed: rows of bronze. rejected: those with a reason. duplicates: good rows whose event_id an
    earlier one has. silver, late: rows of silver; None before the first transform. problems: what does not add up.
    hints: what to do about it, in this order. erased: places whose record `fleetlake erase` took out.
    """

    topic: str
    kafka: int
    landed: int
    rejected: int
    duplicates: int
    silver: int | None
    late: int | None
    problems: tuple[str, ...] = ()
    state: State = State.OK
    hints: tuple[str, ...] = ()
    erased: int = 0


def check_topic(lake: Lake, event: Event, source: Source, silver_read: Offsets | None) -> TopicCheck:
    """Compares a topic with its tables; first whether it is the topic the tables were filled from.

    silver_read: the next offset of each partition the silver table has not read yet; None if there was no transform. Offsets of a
    topic without transactions and compaction are contiguous, so each partition's rows have to be, from its first offset to its end.
    """
    kafka = sum(high - low for low, high in source.watermarks.values())
    if not lake.has(bronze_of(event).name):
        if not kafka:
            return TopicCheck(source.topic, 0, 0, 0, 0, None, None)
        absent = f"{kafka} records are in Kafka, none in the lake"
        return TopicCheck(source.topic, kafka, 0, 0, 0, None, None, (absent,), State.NOT_EQUAL, (INGEST,))
    with duckdb.connect() as con, damage_named(con):
        con.execute("SET TimeZone = 'UTC'")
        return _check(con, lake, event, source, silver_read)


def _check(con: duckdb.DuckDBPyConnection, lake: Lake, event: Event, source: Source, silver_read: Offsets | None) -> TopicCheck:
    bronze = lake.table(bronze_of(event).name)
    expose(con, bronze, "bronze")
    erased = _expose_places(con, lake, source.topic)
    problems, hints = _compare_source(con, source, Marker.of(bronze.properties))
    rejected, duplicates, landed = _row(
        con,
        """SELECT count(reject_reason), count(*) FILTER (reject_reason IS NULL) - count(DISTINCT event_id)
           FILTER (reject_reason IS NULL), count(*) FROM bronze""",
    )
    silver = late = None
    waiting, wrong = 0, list[str]()
    if silver_read is not None:
        expose(con, lake.table(silver_of(event).name), "silver")
        silver, late, waiting, wrong = _compare_silver(con, silver_read)
        problems += wrong
    state = State.NOT_EQUAL if problems else State.BEHIND if waiting else State.OK
    if waiting:
        problems.append(f"silver: {waiting} bronze rows are waiting for {TRANSFORM}")
    if wrong or waiting:
        hints.append(REBUILD if wrong else TRANSFORM)
    kafka = sum(high - low for low, high in source.watermarks.values())
    return TopicCheck(source.topic, kafka, landed, rejected, duplicates, silver, late, tuple(problems), state, tuple(hints), erased)


def _expose_places(con: duckdb.DuckDBPyConnection, lake: Lake, topic: str) -> int:
    """Makes `places`: those of bronze's rows, and of the records that were erased, whose number it returns.

    An erasure that was cut off may have noted a place whose row is still there: that is bronze's.
    """
    noted = "SELECT DISTINCT kafka_partition, kafka_offset FROM noted WHERE topic = $topic"
    if lake.has(ERASED.name):
        expose(con, lake.table(ERASED.name), "noted")
        con.execute(
            f"CREATE TEMP TABLE erased AS {noted} EXCEPT SELECT kafka_partition, kafka_offset FROM bronze", {"topic": topic}
        )
    else:
        con.execute("CREATE TEMP TABLE erased (kafka_partition INTEGER, kafka_offset BIGINT)")
    con.execute("CREATE VIEW places AS SELECT kafka_partition, kafka_offset FROM bronze UNION ALL BY NAME SELECT * FROM erased")
    return _row(con, "SELECT count(*) FROM erased")[0]


def _compare_source(con: duckdb.DuckDBPyConnection, source: Source, marker: Marker | None) -> tuple[list[str], list[str]]:
    """Problems and hints. Offsets of another topic than the table's say nothing, so they are not compared then."""
    if marker is not None:
        try:
            check_identity(marker, source)
        except DataLoss as other:
            return [other.what], [other.hint]
    problems = _compare_offsets(con, source, marker)
    return problems, [INGEST] if problems else []


def _compare_offsets(con: duckdb.DuckDBPyConnection, source: Source, marker: Marker | None) -> list[str]:
    rows = con.execute(
        """SELECT kafka_partition, count(*), count(DISTINCT kafka_offset), min(kafka_offset), max(kafka_offset)
           FROM places GROUP BY ALL ORDER BY ALL"""
    ).fetchall()
    seen = {partition: counts for partition, *counts in rows}
    lost = {} if marker is None else {gap.partition: gap.after for gap in marker.gaps}
    problems = []
    for partition, (low, high) in sorted(source.watermarks.items()):
        rows_of, distinct, first, last = seen.pop(partition, (0, 0, low, low - 1))
        first, low = max(first, lost.get(partition, 0)), max(low, lost.get(partition, 0))
        where = f"partition {partition}"
        if rows_of != distinct:
            problems.append(f"{where}: {rows_of - distinct} records are in the table twice")
        if first > low:
            problems.append(f"{where}: begins at offset {first}, Kafka at {low}")
        if last != high - 1:
            problems.append(f"{where}: ends at offset {last}, Kafka at {high - 1}")
        if distinct and partition not in lost and distinct != last - first + 1:
            problems.append(f"{where}: {last - first + 1 - distinct} offsets between {first} and {last} are missing")
    problems += [f"partition {partition}: in the table, but not in the topic" for partition in seen]
    return problems


def _compare_silver(con: duckdb.DuckDBPyConnection, read: Offsets) -> tuple[int, int, int, list[str]]:
    """Silver against the good event ids of the bronze rows it has read: its rows, the late ones, bronze rows to read, problems."""
    con.execute("CREATE TEMP TABLE read (kafka_partition INTEGER, next BIGINT)")
    if read:
        con.executemany("INSERT INTO read VALUES (?, ?)", list(read.items()))
    missing, extra = _row(
        con,
        """WITH good AS (SELECT DISTINCT event_id FROM bronze JOIN read USING (kafka_partition)
                        WHERE reject_reason IS NULL AND kafka_offset < next)
           SELECT count(*) FILTER (silver.event_id IS NULL), count(*) FILTER (good.event_id IS NULL)
           FROM good FULL JOIN (SELECT DISTINCT event_id FROM silver) AS silver USING (event_id)""",
    )
    rows, distinct, late = _row(con, "SELECT count(*), count(DISTINCT event_id), count(*) FILTER (is_late) FROM silver")
    waiting = _row(
        con, "SELECT count(*) FROM bronze LEFT JOIN read USING (kafka_partition) WHERE kafka_offset >= coalesce(next, 0)"
    )[0]
    problems = []
    if rows != distinct:
        problems.append(f"silver: {rows - distinct} event ids are there twice")
    if missing:
        problems.append(f"silver: {missing} good event ids of bronze are missing")
    if extra:
        problems.append(f"silver: {extra} event ids are not in bronze")
    return rows, late, waiting, problems


def _row(con: duckdb.DuckDBPyConnection, sql: str) -> tuple[int, ...]:
    (row,) = con.execute(sql).fetchall()  # all: a result that is not read to its end keeps the connection busy
    return tuple(row)
