"""Known roads with their speed limits, laid out so that a model finds the nearest one to a position."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import pyarrow as pa

from fleetlake.foundation.errors import BadInput

LONDON_BIRMINGHAM = "london_birmingham_route.csv"
COLUMNS = ("latitude", "longitude", "road", "speed_limit_mph")
KMH_PER_MPH = 1.609344
CELLS_PER_DEGREE = 100
REACH_M = 200.0  # positions up to so far from a road find it in their cell
DEGREE_M = 111_195.0  # of latitude, on the sphere distances are measured on

SEGMENT = pa.struct(
    [
        pa.field("number", pa.int64()),
        pa.field("latitude", pa.float64()),
        pa.field("longitude", pa.float64()),
        pa.field("north_deg", pa.float64()),
        pa.field("east_deg", pa.float64()),
    ]
)
CELL_SCHEMA = pa.schema([("cell_north", pa.int64()), ("cell_east", pa.int64()), ("segments", pa.list_(SEGMENT))])
ROAD_SCHEMA = pa.schema(
    [("number", pa.int64()), ("road", pa.string()), ("road_class", pa.string()), ("speed_limit_kmh", pa.float64())]
)


@dataclass(frozen=True, slots=True)
class RoadPoint:
    """road, speed_limit_mph: of the stretch that begins here and ends at the next point."""

    latitude: float
    longitude: float
    road: str
    speed_limit_mph: float


def read_road(path: Path | None = None) -> list[RoadPoint]:
    """The points of a line of roads, in their order; the road from London to Birmingham unless a CSV file is given.

    An empty line in the file ends one line of roads and begins another: its two points are not joined (they come with an empty
    road). BadInput names the line that is wrong.
    """
    where = str(path or LONDON_BIRMINGHAM)
    text = _read(path) if path else files(__package__).joinpath(LONDON_BIRMINGHAM).read_text()
    reader = csv.reader(io.StringIO(text))
    header = next(reader, [])
    if missing := [name for name in COLUMNS if name not in header]:
        raise BadInput(f"no column {', '.join(missing)}", where=where, allowed=f"a header with {', '.join(COLUMNS)}")
    points: list[RoadPoint] = []
    for row in reader:
        if any(row):
            points.append(_point(dict(zip(header, row, strict=False)), f"{where}:{reader.line_num}"))
        elif points:
            last = points[-1]
            points[-1] = RoadPoint(last.latitude, last.longitude, "", last.speed_limit_mph)
    if len(points) < 2:
        raise BadInput("no road", where=where, allowed="two points or more")
    return points


def road_tables(points: Sequence[RoadPoint]) -> tuple[pa.Table, pa.Table]:
    """(road_cells, roads): per cell of 1/100 degree the segments within REACH_M of it, and what each segment is, by its number.

    A segment is where it begins and how far it goes, in degrees. No segment may cross the antimeridian.
    """
    cells: dict[tuple[int, int], list[dict[str, float]]] = {}
    roads = []
    for number, (a, b) in enumerate(pairwise(points)):
        if not a.road:
            continue
        roads.append(
            {
                "number": number,
                "road": a.road,
                "road_class": road_class(a.road),
                "speed_limit_kmh": round(a.speed_limit_mph * KMH_PER_MPH, 4),
            }
        )
        segment = {
            "number": number, "latitude": a.latitude, "longitude": a.longitude,
            "north_deg": b.latitude - a.latitude, "east_deg": b.longitude - a.longitude,
        }  # fmt: skip
        for cell in _cells_near(a, b):
            cells.setdefault(cell, []).append(segment)
    rows = [{"cell_north": north, "cell_east": east, "segments": near} for (north, east), near in sorted(cells.items())]
    return pa.Table.from_pylist(rows, schema=CELL_SCHEMA), pa.Table.from_pylist(roads, schema=ROAD_SCHEMA)


def road_class(road: str) -> str:
    """By the British way of numbering: M40 and A38(M) are motorways, A40 is a main road, anything else is local."""
    if road.startswith("M") or road.endswith("(M)"):
        return "motorway"
    return "main" if road.startswith("A") else "local"


def _cells_near(a: RoadPoint, b: RoadPoint) -> Iterator[tuple[int, int]]:
    """The cells that points of the segment, every half a cell, lie in or within REACH_M of."""
    steps = max(1, math.ceil(2 * CELLS_PER_DEGREE * max(abs(b.latitude - a.latitude), abs(b.longitude - a.longitude))))
    found = set()
    for step in range(steps + 1):
        latitude = a.latitude + (b.latitude - a.latitude) * step / steps
        longitude = a.longitude + (b.longitude - a.longitude) * step / steps
        # What is between two of these points may lie half a cell aside of both.
        north = REACH_M / DEGREE_M + 0.25 / CELLS_PER_DEGREE
        east = REACH_M / DEGREE_M / max(math.cos(math.radians(latitude)), 0.01) + 0.25 / CELLS_PER_DEGREE
        rows = range(_cell(latitude - north), _cell(latitude + north) + 1)
        columns = range(_cell(longitude - east), _cell(longitude + east) + 1)
        found |= {(row, column) for row in rows for column in columns}
    yield from found


def _cell(degrees: float) -> int:
    return math.floor(degrees * CELLS_PER_DEGREE)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"the roads can't be read: {error}", where=str(path), hint="transform.roads in the configuration") from error


def _point(row: dict[str, str], where: str) -> RoadPoint:
    try:
        point = RoadPoint(float(row["latitude"]), float(row["longitude"]), row["road"].strip(), float(row["speed_limit_mph"]))
    except (KeyError, ValueError) as error:
        raise BadInput(f"not a point of a road: {error}", where=where, allowed="three numbers and a road's name") from error
    if not (abs(point.latitude) <= 90 and abs(point.longitude) <= 180 and point.speed_limit_mph > 0 and point.road):
        raise BadInput(f"not a point of a road: {row}", where=where, allowed="degrees within 90 and 180, a name, a limit above 0")
    return point
