"""What the page shows, read from silver and gold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import duckdb
import pyarrow as pa
from pyiceberg.expressions.parser import parse

from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.tables import all_tables
from fleetlake.lake.catalog import Lake
from fleetlake.lake.memory_database import memory_database
from fleetlake.lake.scan import damage_named, expose

SOURCES = {"silver.gps": "event_time", "gold.trips": "start_time", "gold.stops": "start_time", "gold.driving_events": "start_time"}


@dataclass(frozen=True, slots=True)
class PageLimits:
    """days: the newest with fixes. vehicles: of a day, those with the most fixes. points: drawn on the whole page."""

    days: int = 7
    vehicles: int = 100
    points: int = 60_000


@dataclass(frozen=True, slots=True)
class TopicCounts:
    """One topic's row in the page's head, in records."""

    topic: str
    produced: int
    landed: int
    quarantined: int
    deduplicated: int


@dataclass(frozen=True, slots=True)
class DrivePage:
    """Arrow tables, times UTC, each row of a day (UTC) and vehicle that `fixes` has.

    fixes: device_id, event_time, latitude, longitude, speed_kmh, ordered by device and time. trips, stops, events: gold's columns.
    days: day, vehicles: how many reported that day, drawn or not.
    """

    fixes: pa.Table
    trips: pa.Table
    stops: pa.Table
    events: pa.Table
    days: pa.Table


def collect_drives(lake: Lake, *, limits: PageLimits | None = None) -> DrivePage:
    """Reads the newest days, and no file older than these. A table that is not there yet counts as empty."""
    limits = limits or PageLimits()
    with memory_database("page") as con, damage_named(con):
        _expose(lake, con, since=None)
        oldest = con.execute(OLDEST_DAY, {"days": limits.days}).fetchall()  # all, or the connection stays busy
        _expose(lake, con, since=oldest[0][0] if oldest else None)
        con.execute(SEEN, {"days": limits.days})
        con.execute(SHOWN, {"vehicles": limits.vehicles})
        return DrivePage(
            fixes=_rows(con, FIXES),
            trips=_rows(con, _of_shown("gold.trips", "start_time")),
            stops=_rows(con, _of_shown("gold.stops", "start_time")),
            events=_rows(con, _of_shown("gold.driving_events", "start_time")),
            days=_rows(con, DAYS),
        )


def _expose(lake: Lake, con: duckdb.DuckDBPyConnection, *, since: date | None) -> None:
    """Makes a view of every source; since: leaves out files of earlier days."""
    for name, time in SOURCES.items():
        if lake.has(name):
            newer = parse(f"{time} >= '{since}T00:00:00+00:00'") if since else None
            expose(con, lake.table(name), name, row_filter=newer)
        else:
            _expose_nothing(con, name)


def _expose_nothing(con: duckdb.DuckDBPyConnection, name: str) -> None:
    """A view of no rows with the columns of the contract."""
    (contract,) = (table for table in all_tables() if table.name == name)
    schema, _, kind = name.partition(".")
    con.register(f"no_{kind}", table_schema(contract).empty_table())
    con.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    con.execute(f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM no_{kind}")


def _rows(con: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, object] | None = None) -> pa.Table:
    return con.sql(sql, params=dict(parameters) if parameters else None).to_arrow_table()


def _of_shown(table: str, time: str) -> str:
    return f"""
        SELECT * FROM {table} AS rows
        WHERE EXISTS (FROM shown WHERE shown.device_id = rows.device_id AND shown.day = rows.{time}::DATE)
        ORDER BY {time}, device_id
    """


OLDEST_DAY = """
    SELECT DISTINCT event_time::DATE AS day FROM silver.gps WHERE latitude IS NOT NULL
    QUALIFY dense_rank() OVER (ORDER BY day DESC) <= $days ORDER BY day LIMIT 1
"""

SEEN = """
    CREATE TEMP TABLE seen AS
    SELECT event_time::DATE AS day, device_id, count(*) AS fixes FROM silver.gps WHERE latitude IS NOT NULL GROUP BY 1, 2
    QUALIFY dense_rank() OVER (ORDER BY day DESC) <= $days
"""

SHOWN = """
    CREATE TEMP TABLE shown AS
    SELECT day, device_id FROM seen
    QUALIFY row_number() OVER (PARTITION BY day ORDER BY fixes DESC, device_id) <= $vehicles
"""

FIXES = """
    SELECT device_id, event_time, latitude, longitude, speed_kmh
    FROM silver.gps AS fixes
    WHERE latitude IS NOT NULL
        AND EXISTS (FROM shown WHERE shown.device_id = fixes.device_id AND shown.day = fixes.event_time::DATE)
    ORDER BY device_id, event_time, event_id
"""

DAYS = "SELECT day, count(*) AS vehicles FROM seen GROUP BY day ORDER BY day DESC"
