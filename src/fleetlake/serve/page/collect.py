"""What the page shows, read from silver and gold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import duckdb

from fleetlake.lake.catalog import Lake
from fleetlake.lake.scan import expose

DAYS, POINTS = 7, 400  # newest days shown, and points kept of a vehicle's day
TABLES = ("silver.gps", "silver.vehicle", "gold.trips", "gold.stops")


@dataclass(frozen=True, slots=True)
class HarshThresholds:
    """m/s2 from which a device's peak counts as harsh (Teltonika's defaults)."""

    acceleration: float = 2.5
    braking: float = 2.7
    cornering: float = 3.4


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
    """Plain data, ready for JSON. day: ISO date, UTC. Times in seconds of the day, speeds in km/h, places in degrees.

    tracks: device, day, t, lat, lon, v (lists of equal length). stops, harsh: one marker each. trips: one row each.
    """

    tracks: list[dict[str, Any]]
    stops: list[dict[str, Any]]
    harsh: list[dict[str, Any]]
    trips: list[dict[str, Any]]


def collect_drives(lake: Lake, *, harsh: HarshThresholds = HarshThresholds()) -> DrivePage:
    """The newest DAYS days, each vehicle's day thinned to about POINTS points; its first and last fix are kept.

    Tables that are not there yet count as empty.
    """
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        there = [name for name in TABLES if lake.has(name)]
        for name in there:
            expose(con, lake.table(name), name)
        return DrivePage(
            tracks=_rows(con, TRACKS, {"days": DAYS, "points": POINTS}) if "silver.gps" in there else [],
            stops=_rows(con, STOPS, {"days": DAYS}) if "gold.stops" in there else [],
            harsh=_rows(con, HARSH, {"days": DAYS, "a": harsh.acceleration, "b": harsh.braking, "c": harsh.cornering})
            if "silver.vehicle" in there
            else [],
            trips=_rows(con, TRIPS, {"days": DAYS}) if "gold.trips" in there else [],
        )


def _rows(con: duckdb.DuckDBPyConnection, sql: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    result = con.execute(sql, parameters)
    names = [column[0] for column in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


TRACKS = """
    WITH fixes AS (
        SELECT device_id, event_time::DATE AS date, epoch(event_time - date_trunc('day', event_time)) AS second,
            latitude, longitude, speed_kmh,
            row_number() OVER drive AS number, count(*) OVER (PARTITION BY device_id, event_time::DATE) AS fixes
        FROM silver.gps
        WHERE latitude IS NOT NULL
        WINDOW drive AS (PARTITION BY device_id, event_time::DATE ORDER BY event_time, event_id)
        QUALIFY dense_rank() OVER (ORDER BY date DESC) <= $days
    )
    SELECT device_id AS device, date::VARCHAR AS day,
        list(second::INTEGER ORDER BY number) AS t,
        list(round(latitude, 5) ORDER BY number) AS lat,
        list(round(longitude, 5) ORDER BY number) AS lon,
        list(round(coalesce(speed_kmh, 0))::INTEGER ORDER BY number) AS v
    FROM fixes
    WHERE number = 1 OR number = fixes OR number % greatest(1, fixes // $points) = 0
    GROUP BY ALL ORDER BY day DESC, device
"""

STOPS = """
    SELECT device_id AS device, start_time::DATE::VARCHAR AS day, strftime(start_time, '%H:%M:%S') AS clock,
        round(latitude, 5) AS lat, round(longitude, 5) AS lon, round(duration_s)::INTEGER AS seconds
    FROM gold.stops QUALIFY dense_rank() OVER (ORDER BY start_time::DATE DESC) <= $days
    ORDER BY start_time, device_id
"""

HARSH = """
    WITH peaks AS (
        SELECT device_id, event_time, latitude, longitude, kind, peak
        FROM silver.vehicle, LATERAL (VALUES
            ('acceleration', max_acceleration_ms2, $a), ('braking', max_braking_ms2, $b), ('cornering', max_cornering_ms2, $c)
        ) AS seen(kind, peak, threshold)
        WHERE peak >= threshold
    ),
    marked AS (
        SELECT *, event_time - lag(event_time) OVER (PARTITION BY device_id, kind ORDER BY event_time) AS since
        FROM peaks
    ),
    episodes AS (
        SELECT *, sum(CASE WHEN since IS NULL OR since > INTERVAL 10 SECOND THEN 1 ELSE 0 END)
            OVER (PARTITION BY device_id, kind ORDER BY event_time) AS episode
        FROM marked
    )
    SELECT device_id AS device, min(event_time)::DATE::VARCHAR AS day, strftime(min(event_time), '%H:%M:%S') AS clock, kind,
        round(max(peak), 1) AS peak, round(arg_min(latitude, event_time), 5) AS lat, round(arg_min(longitude, event_time), 5) AS lon
    FROM episodes GROUP BY device_id, kind, episode
    QUALIFY dense_rank() OVER (ORDER BY min(event_time)::DATE DESC) <= $days
    ORDER BY day, clock, device
"""

TRIPS = """
    SELECT device_id AS device, start_time::DATE::VARCHAR AS day, strftime(start_time, '%H:%M:%S') AS began,
        strftime(end_time, '%H:%M:%S') AS ended, round(duration_s)::INTEGER AS seconds, round(distance_km, 1) AS km,
        round(average_speed_kmh)::INTEGER AS average, round(top_speed_kmh)::INTEGER AS top, is_open AS open
    FROM gold.trips QUALIFY dense_rank() OVER (ORDER BY start_time::DATE DESC) <= $days
    ORDER BY start_time, device_id
"""
