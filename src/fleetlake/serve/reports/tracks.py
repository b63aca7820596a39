"""What a report's map and speed profiles are drawn from: good positions, stops and driving events of the period."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fleetlake.contracts.gold import DRIVING_EVENTS, STOPS
from fleetlake.contracts.positions import POSITIONS
from fleetlake.contracts.table import Table
from fleetlake.lake.catalog import Lake, builder_of
from fleetlake.serve.page.payload import marks, measured_tracks
from fleetlake.serve.page.thin import Tolerance
from fleetlake.serve.reports.definition import Selection
from fleetlake.serve.reports.read import CHOSEN, expose_tables
from fleetlake.serve.session import fetch, reading_session


@dataclass(frozen=True, slots=True)
class MapLimits:
    """What is drawn at most. days: the newest, and of one device alone. vehicles: of a day, those with the most positions.

    positions: read, points: drawn, of all tracks together; marks: the newest.
    """

    days: int = 7
    days_of_one: int = 14
    vehicles: int = 100
    positions: int = 2_000_000
    points: int = 60_000
    marks: int = 2_000


@dataclass(frozen=True, slots=True)
class Drawing:
    """data: what the page's script reads. notes: sentences on what is drawn and what is not."""

    data: Mapping[str, Any]
    notes: Sequence[str]

    @property
    def has_tracks(self) -> bool:
        return bool(self.data["tracks"])

    @property
    def device(self) -> str:
        """The only device drawn, empty if there are several or none."""
        return str(self.data["device"])


def draw(lake: Lake, selection: Selection, limits: MapLimits | None = None) -> Drawing:
    """Reads a selection's tracks and marks, no more than the limits. A table that is not there yet counts as empty."""
    limits = limits or MapLimits()
    with reading_session(lambda con: expose_tables(con, lake, (POSITIONS, STOPS, DRIVING_EVENTS), selection)) as con:
        (there,) = fetch(con, _COUNTS, parameters=selection.parameters).to_pylist()
        days = limits.days_of_one if there["devices"] == 1 else limits.days
        chosen = {"days": days, "vehicles": limits.vehicles, "positions": limits.positions} | selection.parameters
        positions = fetch(con, f"{_SHOWN} {_POSITIONS}", parameters=chosen)
        stops, events = (fetch(con, f"{_SHOWN} {_of_shown(table)}", parameters=chosen) for table in (STOPS, DRIVING_EVENTS))
    if not positions.num_rows and not lake.has(POSITIONS.name):
        return Drawing(NOTHING, [f"There is no map: {POSITIONS.name} is not made yet, {builder_of(POSITIONS.name)} makes it."])
    tracks, all_marks = measured_tracks(positions, limits.points), marks(stops, events)
    data = {
        "tracks": tracks,
        "marks": all_marks[-limits.marks :],
        "device": there["device"] if there["devices"] == 1 else "",
        "spansDays": len({track["day"] for track in tracks}) > 1,
    }
    return Drawing(data, list(_notes(data, limits, days, there["days"], positions.num_rows, len(all_marks))))


def _notes(
    data: Mapping[str, Any], limits: MapLimits, days: int, device_days: int, positions: int, all_marks: int
) -> Iterator[str]:
    """device_days, positions, all_marks: how many there are to draw."""
    drawn, points, tolerance = len(data["tracks"]), sum(len(track["t"]) for track in data["tracks"]), Tolerance()
    if not drawn:
        return
    within = f"{tolerance.position_m:.0f} m and {tolerance.speed_kmh:.0f} km/h"
    yield f"The lines go through {points:,} of {positions:,} positions " + (
        f"and are within {within} of the others." if points < limits.points - 1 else f"and may be further than {within} off."
    )
    if drawn < device_days:
        busiest = "" if data["device"] else f", of each the {limits.vehicles} vehicles with most positions"
        yield (
            f"Drawn are {drawn:,} of {device_days:,} days of vehicles: the newest {days} days{busiest}, and "
            f"{limits.positions:,} positions at most."
        )
    if len(data["marks"]) < all_marks:
        yield f"The newest {len(data['marks']):,} of {all_marks:,} stops and driving events are marked."


NOTHING: Mapping[str, Any] = {"tracks": [], "marks": [], "device": "", "spansDays": False}
_GOOD = "quality IS NULL AND latitude IS NOT NULL AND longitude IS NOT NULL"
_SEEN = f"""
    SELECT event_time::DATE AS day, device_id, count(*) AS positions
    FROM silver.positions WHERE {_GOOD} AND {CHOSEN.format(time="event_time")}
    GROUP BY 1, 2
"""
_COUNTS = f"SELECT count(DISTINCT device_id) AS devices, min(device_id) AS device, count(*) AS days FROM ({_SEEN})"
_SHOWN = f"""
    WITH busiest AS (
        FROM ({_SEEN}) QUALIFY dense_rank() OVER (ORDER BY day DESC) <= $days
            AND row_number() OVER (PARTITION BY day ORDER BY positions DESC, device_id) <= $vehicles
    ),
    shown AS (
        SELECT day, device_id FROM busiest
        WINDOW so_far AS (ORDER BY day DESC, positions DESC, device_id ROWS UNBOUNDED PRECEDING)
        QUALIFY sum(positions) OVER so_far <= $positions OR row_number() OVER so_far = 1
    )
"""
_POSITIONS = f"""
    SELECT device_id, event_time, latitude, longitude, speed_kmh, leg_m, speed_limit_kmh
    FROM silver.positions AS rows
    WHERE {_GOOD} AND {CHOSEN.format(time="event_time")}
        AND EXISTS (FROM shown WHERE shown.device_id = rows.device_id AND shown.day = rows.event_time::DATE)
    ORDER BY device_id, event_time, event_id
"""


def _of_shown(table: Table) -> str:
    return f"""
        SELECT * FROM {table.name} AS rows WHERE {CHOSEN.format(time="start_time")}
            AND EXISTS (FROM shown WHERE shown.device_id = rows.device_id AND shown.day = rows.start_time::DATE)
    """
