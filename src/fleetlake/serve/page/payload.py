"""The page's tables as the JSON its script reads: few points, and these as small whole numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fleetlake.serve.page.collect import DrivePage, PageLimits, TopicCounts
from fleetlake.serve.page.thin import METRES_PER_DEGREE, Floats, Tolerance, thin

GAP_S = 300.0  # a longer silence ends a leg
DAY_S = 86_400
DEGREE = 100_000  # places are sent in 1e-5 degrees: 1.1 m
DECAMETRE = 10.0
DIGITS = {"lat": 5, "lon": 5, "km": 4}  # km: they are summed before they are rounded
Indices = npt.NDArray[np.intp]


def payload(page: DrivePage, counts: Sequence[TopicCounts], limits: PageLimits) -> dict[str, Any]:
    """What JSON.parse gives the script. Times are whole seconds since midnight UTC of the day, speeds km/h, null where unknown.

    tracks: one a vehicle and day; t, lat, lon (1e-5 degrees) and way (10 m driven so far) are differences to the point before,
    v are values, legs the points that come after a silence of more than GAP_S. days: newest first.
    """
    return {
        "days": [{"day": str(row["day"]), "vehicles": row["vehicles"]} for row in page.days.to_pylist()],
        "tracks": tracks(page.fixes, limits.points),
        "trips": _rows(
            page.trips,
            start="start_time", end="end_time", seconds="duration_s", km="distance_km", average="average_speed_kmh",
            top="top_speed_kmh", open="is_open",
        ),
        "stops": _rows(page.stops, start="start_time", seconds="duration_s", lat="latitude", lon="longitude", open="is_open"),
        "harsh": _rows(page.harsh, start="event_time", kind="kind", peak="peak_ms2", lat="latitude", lon="longitude"),
        "counts": [asdict(count) for count in counts],
    }  # fmt: skip


def tracks(fixes: pa.Table, most: int) -> list[dict[str, Any]]:
    """fixes: ordered by device and time. most: points of all tracks together."""
    if not fixes.num_rows:
        return []
    device = fixes["device_id"].combine_chunks().dictionary_encode()
    code = device.indices.to_numpy()
    time_s = fixes["event_time"].cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy() / 1e6
    day = (time_s // DAY_S).astype(np.int64)
    latitude, longitude, speed = (fixes[name].to_numpy() for name in ("latitude", "longitude", "speed_kmh"))
    new_track = _changes(code) | _changes(day)
    new_leg = new_track | (np.diff(time_s, prepend=-np.inf) > GAP_S)
    way_m = _way_m(new_leg, new_track, latitude, longitude)
    kept = thin(new_leg, time_s, latitude, longitude, speed, tolerance=Tolerance(), most=most)
    made = []
    for points in np.split(kept, np.flatnonzero(np.diff(np.cumsum(new_track)[kept])) + 1):
        first = points[0]
        made.append({
            "device": device.dictionary[int(code[first])].as_py(),
            "day": _iso(day[[first]])[0],
            "t": _steps(time_s[points] - day[first] * DAY_S),
            "lat": _steps(latitude[points] * DEGREE),
            "lon": _steps(longitude[points] * DEGREE),
            "way": _steps(way_m[points] / DECAMETRE),
            "v": [None if np.isnan(value) else int(value) for value in np.rint(speed[points])],
            "legs": np.flatnonzero(new_leg[points])[1:].tolist(),
        })  # fmt: skip
    return made


def _changes(values: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    return np.concatenate(([True], values[1:] != values[:-1]))


def _steps(values: Floats) -> list[int]:
    """Rounded, as differences; they add up to the rounded values."""
    steps: list[int] = np.diff(np.rint(values).astype(np.int64), prepend=0).tolist()
    return steps


def _way_m(new_leg: npt.NDArray[np.bool_], new_track: npt.NDArray[np.bool_], latitude: Floats, longitude: Floats) -> Floats:
    """Metres driven since the track's first fix. Fixes are so near each other that the earth between them is flat."""
    north = np.diff(latitude, prepend=latitude[0])
    east = ((np.diff(longitude, prepend=longitude[0]) + 180) % 360 - 180) * np.cos(np.radians(latitude))
    driven = np.cumsum(np.where(new_leg, 0, np.hypot(north, east) * METRES_PER_DEGREE))
    result: Floats = driven - driven[new_track][np.cumsum(new_track) - 1]
    return result


def _rows(table: pa.Table, **columns: str) -> list[dict[str, Any]]:
    """Rows as objects: the device, the day of the start, and the columns by their short names."""
    day = _seconds(table[columns["start"]]) // DAY_S
    short = {"device": table["device_id"], "day": _iso(day)}
    for name, column in columns.items():
        values = table[column]
        if pa.types.is_timestamp(values.type):
            values = _seconds(values) - day * DAY_S
        elif pa.types.is_floating(values.type):
            values = pc.round(values, DIGITS.get(name, 1))
        short[name] = values
    rows: list[dict[str, Any]] = pa.table(short).to_pylist()
    return rows


def _seconds(times: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Whole seconds since 1970."""
    seconds: npt.NDArray[np.int64] = times.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy() // 1_000_000
    return seconds


def _iso(day: npt.NDArray[np.int64]) -> list[str]:
    """Days since 1970 as ISO dates."""
    dates: list[str] = np.datetime_as_string(day.astype("datetime64[D]")).tolist()
    return dates
