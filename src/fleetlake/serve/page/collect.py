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
from fleetlake.lake.scan import damage_named, expose

SOURCES = {"silver.gps": "event_time", "silver.vehicle": "event_time", "gold.trips": "start_time", "gold.stops": "start_time"}
EPISODE_GAP_S = 10  # peaks of a kind no further apart are one harsh event


@dataclass(frozen=True, slots=True)
class HarshThresholds:
    """m/s2 from which a device's peak counts as harsh (Teltonika's defaults)."""

    acceleration: float = 2.5
    braking: float = 2.7
    cornering: float = 3.4


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

    fixes: device_id, event_time, latitude, longitude, speed_kmh, ordered by device and time. trips, stops: gold's columns.
    harsh: device_id, event_time, kind (acceleration, braking, cornering), peak_ms2, latitude, longitude; one row an episode.
    days: day, vehicles: how many reported that day, drawn or not.
    """

    fixes: pa.Table
    trips: pa.Table
    stops: pa.Table
    harsh: pa.Table
    days: pa.Table


def collect_drives(lake: Lake, *, harsh: HarshThresholds | None = None, limits: PageLimits | None = None) -> DrivePage:
    """Reads the newest days, and no file older than these. A table that is not there yet counts as empty."""
    harsh, limits = harsh or HarshThresholds(), limits or PageLimits()
    with duckdb.connect() as con, damage_named(con):
        con.execute("SET TimeZone = 'UTC'")
        _expose(lake, con, since=None)
        oldest = con.execute(OLDEST_DAY, {"days": limits.days}).fetchall()  # all, or the connection stays busy
        _expose(lake, con, since=oldest[0][0] if oldest else None)
        con.execute(SEEN, {"days": limits.days})
        con.execute(SHOWN, {"vehicles": limits.vehicles})
        thresholds = {"acceleration": harsh.acceleration, "braking": harsh.braking, "cornering": harsh.cornering}
        return DrivePage(
            fixes=_rows(con, FIXES),
            trips=_rows(con, _of_shown("gold.trips", "start_time")),
            stops=_rows(con, _of_shown("gold.stops", "start_time")),
            harsh=_rows(con, HARSH, thresholds | {"gap": EPISODE_GAP_S}),
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

HARSH = """
    WITH peaks AS (
        SELECT device_id, event_time, latitude, longitude, kind, peak
        FROM silver.vehicle AS vehicle, LATERAL (VALUES
            ('acceleration', max_acceleration_ms2, $acceleration),
            ('braking', max_braking_ms2, $braking),
            ('cornering', max_cornering_ms2, $cornering)
        ) AS reported(kind, peak, threshold)
        WHERE peak >= threshold
            AND EXISTS (FROM shown WHERE shown.device_id = vehicle.device_id AND shown.day = vehicle.event_time::DATE)
    ),
    marked AS (
        SELECT *, epoch(event_time) - epoch(lag(event_time) OVER (PARTITION BY device_id, kind ORDER BY event_time)) AS since_s
        FROM peaks
    ),
    episodes AS (
        SELECT *, count_if(since_s IS NULL OR since_s > $gap)
            OVER (PARTITION BY device_id, kind ORDER BY event_time) AS episode
        FROM marked
    )
    SELECT device_id, min(event_time) AS event_time, kind, max(peak) AS peak_ms2,
        arg_min(latitude, event_time) AS latitude, arg_min(longitude, event_time) AS longitude
    FROM episodes GROUP BY device_id, kind, episode
    ORDER BY event_time, device_id, kind
"""
