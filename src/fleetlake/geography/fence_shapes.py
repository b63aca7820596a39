"""The shape of a fence: what a GeoJSON geometry encloses, circles and corridors as polygons.

Lines are straight in longitude and latitude, as RFC 7946 has them. Along a line longitudes are continuous, also past 180: two
positions more than 180 degrees apart are neighbours across the antimeridian. So a polygon there may be given whole, or cut in two.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray

from fleetlake.geography.projection import Projection

Shape: TypeAlias = Any  # shapely's Polygon or MultiPolygon; it has no types
Positions: TypeAlias = NDArray[np.float64]

GRID_DEG = 1e-7  # 1 cm
QUARTER = 16  # vertices in a quarter of a circle: 64 in all, so its sides are at least 0.998 radii from its middle
SMOOTHING = 1e-3  # of the distance: where the rounded ends of two parts of a corridor overlap, their vertices are many
STEP_DEG = 0.01  # of a corridor's line: what is straight in degrees is, over so short a way, straight on the ground to 1 cm
LONGEST_EDGE_DEG = 0.2  # so that its product with a leg of 180 degrees, in units of the grid, is less than 2**53
LARGEST_M = 1_000_000.0  # metres from the middle of a circle or corridor up to which distances are true
LARGEST_NUMBER = 1e300  # JSON has larger ones than a double
METRES = f"a number of metres above 0, up to {LARGEST_M:,.0f}"


class Unusable(Exception):
    """Why a geometry makes no fence; the reader knows whose it is."""

    def __init__(self, what: str, allowed: str, hint: str = "") -> None:
        super().__init__(what)
        self.what, self.allowed, self.hint = what, allowed, hint


def shape_of(geometry: Any, properties: Mapping[str, Any]) -> Shape:
    """What a geometry encloses: valid, on a grid of GRID_DEG, outer rings counter-clockwise and inner ones clockwise.

    Its western end is from -180 to below 180. Raises Unusable.
    """
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if not isinstance(kind, str) or kind not in SHAPES:
        raise Unusable(f"a {kind} is no fence" if kind else "no geometry", f"one of {', '.join(SHAPES)}")
    made = SHAPES[kind](geometry.get("coordinates"), properties)
    on_grid = shapely.set_precision(shapely.segmentize(made, LONGEST_EDGE_DEG), GRID_DEG)
    if on_grid.is_empty:
        raise Unusable("nothing is inside it", "fences larger than a few centimetres")
    west, _, east, _ = on_grid.bounds
    if east - west > 180:
        raise Unusable(f"it is {east - west:.0f} degrees wide", "fences up to 180 degrees wide", "make it several fences")
    shifted = shapely.transform(on_grid, lambda at: at - [360 * math.floor((west + 180) / 360), 0])
    return shapely.orient_polygons(shapely.set_precision(shifted, GRID_DEG))


def _polygon(coordinates: Any, _: Mapping[str, Any]) -> Shape:
    rings = [_ring(ring) for ring in _sequence(coordinates, "rings")]
    if not rings:
        raise Unusable("a polygon without a ring", "at least one ring")
    made = shapely.Polygon(rings[0], [_beside(ring, rings[0]) for ring in rings[1:]])
    if not made.is_valid or made.area == 0:
        reason = shapely.is_valid_reason(made) if not made.is_valid else "its area is 0"
        raise Unusable(
            f"the polygon is not one: {reason}", "rings that do not cross themselves or each other, holes inside the outer ring"
        )
    return made


def _multi_polygon(coordinates: Any, properties: Mapping[str, Any]) -> Shape:
    return _joined([_polygon(part, properties) for part in _sequence(coordinates, "polygons")])


def _circle(coordinates: Any, properties: Mapping[str, Any]) -> Shape:
    radius_m = _metres(properties, "radius_m", "a Point")
    return _around(_positions([coordinates]), radius_m)


def _corridor(coordinates: Any, properties: Mapping[str, Any]) -> Shape:
    width_m = _metres(properties, "width_m", "a line")
    line = _unwrapped(_positions(_sequence(coordinates, "positions")))
    if len(line) < 2:
        raise Unusable(f"a line of {len(line)} positions", "two positions or more")
    return _around(shapely.get_coordinates(shapely.segmentize(shapely.LineString(line), STEP_DEG)), width_m / 2)


def _corridors(coordinates: Any, properties: Mapping[str, Any]) -> Shape:
    return _joined([_corridor(part, properties) for part in _sequence(coordinates, "lines")])


SHAPES: Mapping[str, Callable[[Any, Mapping[str, Any]], Shape]] = {
    "Polygon": _polygon, "MultiPolygon": _multi_polygon, "Point": _circle, "LineString": _corridor, "MultiLineString": _corridors,
}  # fmt: skip


def _around(line: Positions, distance_m: float) -> Shape:
    """What is within a distance of a line, or of one position."""
    middle = (line.min(axis=0) + line.max(axis=0)) / 2
    projection = Projection(*middle)
    on_plane = projection.onto_plane(line)
    if np.hypot(*on_plane.T).max() > LARGEST_M:
        raise Unusable(
            "a line too long for one corridor", f"{LARGEST_M:,.0f} m from its middle to its ends", "make it several fences"
        )
    # Segment by segment: the buffer of a whole line may be a hundredth of the distance off where it bends.
    steps = shapely.linestrings(np.stack([on_plane[:-1], on_plane[1:]], axis=1)) if len(line) > 1 else shapely.points(on_plane)
    buffered = shapely.simplify(shapely.union_all(shapely.buffer(steps, distance_m, quad_segs=QUARTER)), distance_m * SMOOTHING)
    reach_deg = float(np.abs(line[:, 1]).max()) + distance_m / projection.degree_m
    if reach_deg >= 90:
        raise Unusable("it reaches a pole", "fences between the poles")
    return shapely.transform(buffered, projection.from_plane)


def _joined(parts: Sequence[Shape]) -> Shape:
    if not parts:
        raise Unusable("no parts", "at least one part")
    first = shapely.get_coordinates(parts[0])
    return shapely.union_all([shapely.transform(part, lambda at: _beside(at, first)) for part in parts])


def _ring(value: Any) -> Positions:
    positions = _positions(_sequence(value, "positions"))
    if len(positions) < 4 or (positions[0] != positions[-1]).any():
        raise Unusable("a ring that is not closed", "four positions or more, the last the same as the first")
    ring = _unwrapped(positions)
    if ring[0, 0] != ring[-1, 0]:
        raise Unusable("a ring around a pole", "fences up to 180 degrees wide")
    return ring


def _unwrapped(positions: Positions) -> Positions:
    """With longitudes that go on past 180 where the line crosses the antimeridian."""
    step = np.diff(positions[:, 0])
    turns = np.cumsum(np.where(step > 180, -1, np.where(step < -180, 1, 0)))
    unwrapped = positions.copy()
    unwrapped[1:, 0] += 360 * turns
    return unwrapped


def _beside(positions: Positions, others: Positions) -> Positions:
    """Shifted by whole turns to where the others are."""
    turns = round((others[:, 0].max() + others[:, 0].min() - positions[:, 0].max() - positions[:, 0].min()) / 720)
    shifted: Positions = positions + np.array([360.0 * turns, 0.0])
    return shifted


def _positions(values: Sequence[Any]) -> Positions:
    """(n, 2) longitudes and latitudes in degrees; an altitude is left out."""
    for value in values:
        if not (isinstance(value, list) and len(value) >= 2 and all(_is_number(part) for part in value)):
            raise Unusable(f"{_shown(value)} is not a position", "[longitude, latitude] in degrees, WGS 84")
        longitude, latitude = value[:2]
        if abs(longitude) > 180 or abs(latitude) > 90:
            swapped = abs(longitude) <= 90 and abs(latitude) <= 180
            raise Unusable(
                f"{_shown(value)} is nowhere", "[longitude, latitude] in degrees, WGS 84",
                "GeoJSON has the longitude first; this looks like latitude, longitude" if swapped else "export it in WGS 84",
            )  # fmt: skip
    return np.array([value[:2] for value in values], dtype=np.float64).reshape(-1, 2)


def _sequence(value: Any, of: str) -> Sequence[Any]:
    if not isinstance(value, list):
        raise Unusable(f"coordinates that are not a list of {of}", "the coordinates RFC 7946 describes")
    return value


def _metres(properties: Mapping[str, Any], name: str, of: str) -> float:
    value = properties.get(name)
    if value is None:
        raise Unusable(f"{of} without the property {name}", METRES)
    if not _is_number(value) or not 0 < value <= LARGEST_M:
        raise Unusable(f"{name} is {_shown(value)}", METRES)
    return float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST_NUMBER < value < LARGEST_NUMBER


def _shown(value: Any) -> str:
    """As short as an error needs it."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
