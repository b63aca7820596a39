"""Reports on the gold tables."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from fleetlake.lake.catalog import Lake
from fleetlake.serve.query import UsedTables, expose_tables
from fleetlake.serve.session import fetch, reading_session

TRIPS = """
    SELECT
        device_id, start_time, end_time, duration_s, distance_km, average_speed_kmh, top_speed_kmh, moving_s, idle_s,
        fixes, is_open, trip_id
    FROM gold.trips
    WHERE ($device IS NULL OR device_id = $device)
        AND ($start IS NULL OR start_time >= $start)
        AND ($until IS NULL OR start_time < $until)
    ORDER BY start_time, device_id
"""


@dataclass(frozen=True, slots=True)
class TripTotals:
    """Sums over the trips of a report. open_trips are among `trips`."""

    trips: int
    open_trips: int
    devices: int
    distance_km: float
    duration_s: float
    idle_s: float


def trips(
    lake: Lake, *, device: str | None = None, start: datetime | None = None, until: datetime | None = None
) -> tuple[pa.Table, TripTotals]:
    """The trips that set out in [start, until), by start time, and their totals. Missing if there is no gold.trips."""
    lake.table("gold.trips")
    parameters = {"device": device, "start": start, "until": until}
    with reading_session(lambda con: expose_tables(con, lake, UsedTables(("gold.trips",)))) as con:
        rows = fetch(con, TRIPS, parameters=parameters)
        (sums,) = fetch(
            con,
            f"""
            SELECT
                count(*) AS trips, count(*) FILTER (WHERE is_open) AS open_trips, count(DISTINCT device_id) AS devices,
                coalesce(sum(distance_km), 0) AS distance_km, coalesce(sum(duration_s), 0) AS duration_s,
                coalesce(sum(idle_s), 0) AS idle_s
            FROM ({TRIPS})
            """,
            parameters=parameters,
        ).to_pylist()
    return rows, TripTotals(**sums)


def for_people(rows: pa.Table) -> pa.Table:
    """The trips of a report in columns that fit a terminal: times of day in UTC, durations as h:mm:ss."""
    return pa.Table.from_pylist(
        [
            {
                "device": row["device_id"],
                "start (UTC)": f"{row['start_time']:%Y-%m-%d %H:%M:%S}",
                "end": f"{row['end_time']:%H:%M:%S}",
                "duration": _duration(row["duration_s"]),
                "idle": _duration(row["idle_s"]),
                "km": f"{row['distance_km']:.1f}",
                "km/h": "" if row["average_speed_kmh"] is None else f"{row['average_speed_kmh']:.0f}",
                "top": "" if row["top_speed_kmh"] is None else f"{row['top_speed_kmh']:.0f}",
                "open": "open" if row["is_open"] else "",
            }
            for row in rows.to_pylist()
        ],
        schema=pa.schema([(name, pa.string()) for name in FOR_PEOPLE]),
    )


FOR_PEOPLE = ("device", "start (UTC)", "end", "duration", "idle", "km", "km/h", "top", "open")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
