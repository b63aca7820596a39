"""The page's tables as the JSON its script reads: few points, and these as small whole numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import date
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
LIMIT_STEP_M = 100.0
DIGITS = {"lat": 5, "lon": 5, "km": 4}  # km: they are summed before they are rounded
Indices = npt.NDArray[np.intp]


def payload(page: DrivePage, counts: Sequence[TopicCounts], limits: PageLimits, day: date | None = None) -> dict[str, Any]:
    """What JSON.parse gives the script. Times are whole seconds since midnight UTC of the day, speeds km/h, null where unknown.

    tracks: one a vehicle and day; t, lat, lon (1e-5 degrees) and way (10 m driven so far) are differences to the point before,
    v are values, legs the points that come after a silence of more than GAP_S. marks: stops and driving events by time; a stop has
    no kind. days: newest first. first: the day to open with, which the counts are of.
    """
    days = [{"day": str(row["day"]), "vehicles": row["vehicles"]} for row in page.days.to_pylist()]
    return {
        "days": days,
        "first": str(day) if day else days[0]["day"] if days else "",
        "tracks": tracks(page.fixes, limits.points),
        "trips": _rows(
            page.trips,
            start="start_time", end="end_time", seconds="duration_s", km="distance_km", average="average_speed_kmh",
            top="top_speed_kmh", open="is_open",
        ),
        "marks": marks(page.stops, page.events),
        "counts": [asdict(count) for count in counts],
    }  # fmt: skip


def marks(stops: pa.Table, events: pa.Table) -> list[dict[str, Any]]:
    """Rows of gold.stops and gold.driving_events as the map knows them, by time."""
    made = _rows(stops, start="start_time", seconds="duration_s", lat="latitude", lon="longitude", open="is_open")
    driving = _rows(
        events, start="start_time", seconds="duration_s", lat="latitude", lon="longitude", open="is_open", kind="kind",
        peak="peak_ms2", speed="peak_speed_kmh", limit="speed_limit_kmh",
    )  # fmt: skip
    made += [mark | {"kind": mark["kind"].removeprefix("harsh_")} for mark in driving]
    return sorted(made, key=lambda mark: (mark["day"], mark["start"], mark["device"]))


def tracks(fixes: pa.Table, most: int) -> list[dict[str, Any]]:
    """fixes: ordered by device and time. most: points of all tracks together."""
    if not fixes.num_rows:
        return []
    time_s = _epoch_s(fixes["event_time"])
    new_track = _new_track(fixes, time_s)
    new_leg = new_track | (np.diff(time_s, prepend=-np.inf) > GAP_S)
    way_m = _way_m(new_leg, new_track, *(fixes[name].to_numpy() for name in ("latitude", "longitude")))
    return [made for _, made in _drawn(fixes, time_s, new_leg, new_track, way_m, most)]


def measured_tracks(positions: pa.Table, most: int) -> list[dict[str, Any]]:
    """Tracks whose legs and way are those of silver.positions, with its speed limits.

    positions: good ones, ordered by device and time; leg_m, null for the first of a leg, and speed_limit_kmh beside the columns of
    fixes. limits: [from, to, km/h] in 10 m along the way where the road's limit is known.
    """
    if not positions.num_rows:
        return []
    time_s, leg_m = _epoch_s(positions["event_time"]), positions["leg_m"].to_numpy()
    new_track = _new_track(positions, time_s)
    new_leg = new_track | np.isnan(leg_m)
    way_m = _since_start(np.cumsum(np.where(new_leg, 0, leg_m)), new_track)
    limit = positions["speed_limit_kmh"].to_numpy()
    ends = np.append(np.flatnonzero(new_track), len(time_s))
    return [
        made | {"limits": _limits(way_m[ends[number] : ends[number + 1]], limit[ends[number] : ends[number + 1]])}
        for number, made in _drawn(positions, time_s, new_leg, new_track, way_m, most)
    ]


def _drawn(
    fixes: pa.Table,
    time_s: Floats,
    new_leg: npt.NDArray[np.bool_],
    new_track: npt.NDArray[np.bool_],
    way_m: Floats,
    most: int,
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each track by its number, thinned."""
    latitude, longitude, speed = (fixes[name].to_numpy() for name in ("latitude", "longitude", "speed_kmh"))
    kept = thin(new_leg, time_s, latitude, longitude, speed, tolerance=Tolerance(), most=most)
    for number, points in enumerate(np.split(kept, np.flatnonzero(np.diff(np.cumsum(new_track)[kept])) + 1)):
        first = points[0]
        day = int(time_s[first] // DAY_S)
        yield number, {
            "device": fixes["device_id"][int(first)].as_py(),
            "day": _iso(np.array([day]))[0],
            "t": _steps(time_s[points] - day * DAY_S),
            "lat": _steps(latitude[points] * DEGREE),
            "lon": _steps(longitude[points] * DEGREE),
            "way": _steps(way_m[points] / DECAMETRE),
            "v": [None if np.isnan(value) else int(value) for value in np.rint(speed[points])],
            "legs": np.flatnonzero(new_leg[points])[1:].tolist(),
        }  # fmt: skip


def _epoch_s(times: pa.ChunkedArray) -> Floats:
    seconds: Floats = times.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy() / 1e6
    return seconds


def _new_track(fixes: pa.Table, time_s: Floats) -> npt.NDArray[np.bool_]:
    """Where another vehicle's or day's fixes begin."""
    code = fixes["device_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    return _changes(code) | _changes((time_s // DAY_S).astype(np.int64))


def _limits(way_m: Floats, limit_kmh: Floats) -> list[list[int]]:
    """Stretches of a track's way with one known limit, looked at every LIMIT_STEP_M: a single fix beside its road is no step."""
    _, at = np.unique(way_m // LIMIT_STEP_M, return_index=True)
    known = np.nan_to_num(limit_kmh[at], nan=-1.0)
    steps = np.flatnonzero(np.append(True, known[1:] != known[:-1]))
    place = np.append(np.rint(way_m[at[steps]] / DECAMETRE), np.rint(way_m[-1] / DECAMETRE)).astype(int)
    return [
        [int(place[number]), int(place[number + 1]), int(known[step])]
        for number, step in enumerate(steps)
        if known[step] >= 0 and place[number + 1] > place[number]
    ]


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
    return _since_start(np.cumsum(np.where(new_leg, 0, np.hypot(north, east) * METRES_PER_DEGREE)), new_track)


def _since_start(driven_m: Floats, new_track: npt.NDArray[np.bool_]) -> Floats:
    result: Floats = driven_m - driven_m[new_track][np.cumsum(new_track) - 1]
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
