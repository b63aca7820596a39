"""Fences from GeoJSON: what is inside in metres, edges by cells, and what is said about a file that can't be used."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleetlake.foundation.errors import BadInput
from fleetlake.geography.fence_edges import CELL, CELLS_AROUND, EDGE_SCHEMA
from fleetlake.geography.geofences import read_fences

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "geofences.geojson"
Read = Callable[[Any], pa.Table]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads a document, or a text that is none."""

    def read_document(document: Any) -> pa.Table:
        path = tmp_path / "fences.geojson"
        path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
        return read_fences(path)

    return read_document


def feature(kind: str, coordinates: Any, fence_id: Any = "a", **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature", "id": fence_id, "properties": properties, "geometry": {"type": kind, "coordinates": coordinates},
    }  # fmt: skip


def collection(*features: Any) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": list(features)}


def box(west: float, south: float, east: float, north: float) -> list[list[float]]:
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


SQUARE = box(0, 50, 1, 51)


def edges(rows: pa.Table) -> np.ndarray:
    """x1, y1, x2, y2 of each edge once, in degrees."""
    distinct = {row["edge"]: [row[name] for name in ("x1", "y1", "x2", "y2")] for row in rows.to_pylist()}
    return np.array(list(distinct.values())) / 1e7 - [180, 90, 180, 90]


def area(rows: pa.Table) -> float:
    """In square degrees; positive where the inside is on the left of the edges."""
    x1, y1, x2, y2 = edges(rows).T
    return float(np.sum(x1 * y2 - x2 * y1) / 2)


def on_ellipsoid(longitude: Any, latitude: Any) -> np.ndarray:
    """Metres in space (WGS 84). A straight line is as long as the way on the ground, to a millionth within 10 km."""
    east, north = np.radians(longitude), np.radians(latitude)
    radius = 6378137.0 / np.sqrt(1 - 0.00669437999014 * np.sin(north) ** 2)
    around = radius * np.cos(north)
    return np.stack([around * np.cos(east), around * np.sin(east), radius * (1 - 0.00669437999014) * np.sin(north)], axis=-1)


def border(rows: pa.Table) -> np.ndarray:
    """Positions along the edges, ten an edge, on the ellipsoid."""
    x1, y1, x2, y2 = edges(rows).T[:, :, None]
    share = np.linspace(0, 1, 10)
    return on_ellipsoid(x1 + share * (x2 - x1), y1 + share * (y2 - y1)).reshape(-1, 3)


def test_no_file_no_edges() -> None:
    rows = read_fences(None)
    assert (rows.num_rows, rows.schema) == (0, EDGE_SCHEMA)


def test_the_example() -> None:
    rows = read_fences(EXAMPLE)
    assert rows.schema == EDGE_SCHEMA
    assert set(rows["fence_id"].to_pylist()) == {"cherwell-valley-services", "warwick-services", "oxford", "m42"}
    assert "Warwick services, M40" in rows["fence_name"].to_pylist()
    assert rows.equals(read_fences(EXAMPLE)), "the same file gives the same rows"


@pytest.mark.parametrize("middle", [(0, 0), (-1.5, 52), (10, 60), (10, -60), (25, 75), (180, -17), (-179.9999, 66)])
@pytest.mark.parametrize("radius_m", [5, 500, 20_000])
def test_a_circle_in_metres(read: Read, middle: tuple[float, float], radius_m: float) -> None:
    rows = read(feature("Point", middle, radius_m=radius_m))
    distances_m = np.linalg.norm(border(rows) - on_ellipsoid(*middle), axis=1)
    assert distances_m == pytest.approx(radius_m, rel=0.005)
    assert len(edges(rows)) >= 64
    assert area(rows) > 0


@pytest.mark.parametrize("latitude", [0, 52, -60, 75])
@pytest.mark.parametrize("kind", ["LineString", "MultiLineString"])
def test_a_corridor_in_metres(read: Read, latitude: float, kind: str) -> None:
    line = [[179.5, latitude], [180, latitude + 0.2], [-179.9, latitude + 0.1], [-179.8, latitude + 0.5]]
    rows = read(feature(kind, line if kind == "LineString" else [line[:3], line[2:]], width_m=400))
    steps = np.concatenate([np.linspace(a, b, 2000) for a, b in zip(unwrapped(line)[:-1], unwrapped(line)[1:], strict=True)])
    along = on_ellipsoid(*steps.T)
    distances_m = np.array([np.linalg.norm(along - place, axis=1).min() for place in border(rows)])
    assert distances_m == pytest.approx(200, rel=0.005)


def unwrapped(line: list[list[float]]) -> np.ndarray:
    return np.array([[longitude + 360 if longitude < 0 else longitude, latitude] for longitude, latitude in line])


def test_a_long_corridor_follows_its_line(read: Read) -> None:
    """Lines are straight in degrees: along a parallel, not along the shorter great circle 1 km aside."""
    rows = read(feature("LineString", [[0, 60], [4, 60]], width_m=100))
    assert edges(rows)[:, 1] == pytest.approx(60, abs=0.0005)


@pytest.mark.parametrize("clockwise", [True, False])
def test_rings_are_turned_so_that_the_inside_is_on_the_left(read: Read, clockwise: bool) -> None:
    rings = [SQUARE, box(0.2, 50.2, 0.4, 50.4)]
    rows = read(feature("Polygon", [ring[::-1] if clockwise else ring for ring in rings]))
    assert area(rows) == pytest.approx(1 - 0.04)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(feature("Polygon", [box(179, -17, -179, -16)]), id="whole"),
        pytest.param(feature("MultiPolygon", [[box(179, -17, 180, -16)], [box(-180, -17, -179, -16)]]), id="cut"),
        pytest.param(feature("MultiPolygon", [[box(-180, -17, -179, -16)], [box(179, -17, 180, -16)]]), id="cut, the east first"),
    ],
)
def test_a_polygon_across_the_antimeridian(read: Read, given: Any) -> None:
    rows = read(given)
    assert shapely.bounds(shapely.multipoints(edges(rows)[:, :2])) == pytest.approx([179, -17, 181, -16])
    assert area(rows) == pytest.approx(2)
    assert not (edges(rows)[:, ::2] == 180).all(axis=1).any(), "no edge along the cut"


def test_an_edge_wider_than_half_the_earth_goes_the_other_way_round(read: Read) -> None:
    assert area(read(feature("Polygon", [box(-100, 50, 100, 51)]))) == pytest.approx(160)


def test_edges_are_short_enough_for_products_of_doubles_to_be_exact(read: Read) -> None:
    x1, y1, x2, y2 = edges(read(feature("Polygon", [[[-60, 10], [30, -20], [90, 70], [-60, 10]]]))).T * 1e7
    assert ((np.abs(x2 - x1) + np.abs(y2 - y1)) * 180e7).max() < 2**53


def test_parts_that_overlap_are_one(read: Read) -> None:
    rows = read(feature("MultiPolygon", [[box(0, 50, 1, 51)], [box(0.5, 50, 1.5, 51)]]))
    assert area(rows) == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(feature("Polygon", [SQUARE], "north", id="x", name="North yard"), ("north", "North yard"), id="the feature's"),
        pytest.param(feature("Polygon", [SQUARE], None, id=7, name="North yard"), ("7", "North yard"), id="a property, a number"),
        pytest.param(feature("Polygon", [SQUARE], None, name="North yard"), ("North yard", "North yard"), id="the name"),
        pytest.param(feature("Polygon", [SQUARE], "north"), ("north", "north"), id="without a name"),
        pytest.param(feature("Polygon", [SQUARE], "Hürth", name="Güterhof"), ("Hürth", "Güterhof"), id="not ASCII"),
    ],
)
def test_ids_and_names(read: Read, given: Any, expected: tuple[str, str]) -> None:
    (row,) = read(given).select(["fence_id", "fence_name"]).group_by(["fence_id", "fence_name"]).aggregate([]).to_pylist()
    assert (row["fence_id"], row["fence_name"]) == expected


def test_an_altitude_and_properties_of_others_do_no_harm(read: Read) -> None:
    plain, other = feature("Polygon", [SQUARE]), feature("Polygon", [[[*position, 80.5] for position in SQUARE]], colour="red")
    assert read(collection(plain)).equals(read(collection(other)))
    assert read(collection(plain | {"properties": None})).equals(read(collection(plain)))


LINE = [[0, 50], [1, 51]]
CROSSED = [[0, 50], [1, 51], [1, 50], [0, 51], [0, 50]]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        pytest.param("{", ["not JSON", "FeatureCollection"], id="not JSON"),
        pytest.param('{"type": "FeatureCollection", "features": [NaN]}', ["not JSON", "NaN"], id="NaN"),
        pytest.param("[" * 100_000, ["not JSON"], id="nested without an end"),
        pytest.param([], ["no GeoJSON type"], id="a list"),
        pytest.param({"type": "Polygon", "coordinates": [SQUARE]}, ["Polygon where features should be"], id="a geometry"),
        pytest.param({"type": ["Feature"]}, ["where features should be"], id="a type that is a list"),
        pytest.param(collection(), ["no features", "at least one"], id="no features"),
        pytest.param(collection(1), ["not a Feature", "feature 1"], id="a number for a feature"),
        pytest.param(feature("Polygon", [SQUARE]) | {"properties": []}, ["properties that are not an object"], id="properties"),
        pytest.param(feature("Polygon", [SQUARE], None), ["no id", "feature 1", "property id or name"], id="no id"),
        pytest.param(feature("Polygon", [SQUARE], True), ["no id"], id="an id that is true"),
        pytest.param(
            collection(feature("Polygon", [SQUARE], 1), feature("Point", [0, 50], "1", radius_m=5)),
            ["features 1 and 2", "same id 1", "MultiPolygon"], id="an id twice",
        ),
        pytest.param(feature("Polygon", [SQUARE]) | {"geometry": None}, ["no geometry", "feature 1 (a)"], id="no geometry"),
        pytest.param(feature("MultiPoint", [[0, 50]]), ["a MultiPoint is no fence", "Polygon, "], id="other type"),
        pytest.param(feature(["Point"], [0, 50]), ["is no fence"], id="a geometry's type that is a list"),  # type: ignore[arg-type]
        pytest.param(feature("Point", [0, 50]), ["without the property radius_m", "metres above 0"], id="no radius"),
        pytest.param(feature("Point", [0, 50], radius_m=0), ["radius_m is 0"], id="radius 0"),
        pytest.param(feature("Point", [0, 50], radius_m="500"), ["radius_m is '500'", "number"], id="radius in quotes"),
        pytest.param(feature("Point", [0, 50], radius_m=True), ["radius_m is True"], id="radius true"),
        pytest.param(feature("Point", [0, 50], radius_m=2e6), ["radius_m is 2000000.0", "1,000,000"], id="radius too large"),
        pytest.param(feature("Point", [0, 50], radius_m=1e-3), ["nothing is inside"], id="radius too small"),
        pytest.param(feature("Point", [0, 89.9], radius_m=20_000), ["pole"], id="circle around a pole"),
        pytest.param(feature("LineString", LINE), ["without the property width_m"], id="no width"),
        pytest.param(feature("LineString", LINE, width_m=-1), ["width_m is -1"], id="negative width"),
        pytest.param(feature("LineString", LINE[:1], width_m=9), ["a line of 1 positions"], id="one position"),
        pytest.param(feature("LineString", [[0, 0], [90, 0]], width_m=9), ["too long", "several"], id="a line too long"),
        pytest.param(feature("MultiLineString", [], width_m=9), ["no parts"], id="no lines"),
        pytest.param(feature("Polygon", []), ["without a ring"], id="no ring"),
        pytest.param(feature("Polygon", SQUARE), ["not a position"], id="a ring too few brackets"),
        pytest.param(feature("Polygon", {}), ["not a list of rings"], id="coordinates that are an object"),
        pytest.param(feature("Polygon", [SQUARE[:4]]), ["not closed", "the last the same"], id="a ring that is open"),
        pytest.param(feature("Polygon", [CROSSED]), ["Self-intersection", "do not cross"], id="a ring that crosses itself"),
        pytest.param(feature("Polygon", [SQUARE, box(2, 50, 3, 51)]), ["Hole lies outside"], id="a hole outside"),
        pytest.param(feature("Polygon", [[[0, 50], [1, 50], [2, 50], [0, 50]]]), ["the polygon is not one"], id="a flat ring"),
        pytest.param(feature("Polygon", [[[0, 60], [120, 60], [-120, 60], [0, 60]]]), ["around a pole"], id="around a pole"),
        pytest.param(
            feature("MultiPolygon", [[box(0, 0, 1, 1)], [box(179, 0, 180, 1)], [box(-60, 0, -59, 1)]]), ["wide", "several"],
            id="wide",
        ),
        pytest.param(feature("Polygon", [[["0", 50], *SQUARE[1:]]]), ["['0', 50] is not a position"], id="a text for a number"),
        pytest.param(feature("Point", [10**400, 50], radius_m=5), ["is not a position"], id="a number of 400 digits"),
        pytest.param(feature("Point", [51.5, 100.2], radius_m=5), ["nowhere", "longitude first"], id="latitude first"),
        pytest.param(feature("Point", [441_000, 281_000], radius_m=5), ["nowhere", "WGS 84"], id="metres of a national grid"),
    ],
)  # fmt: skip
def test_a_file_that_can_not_be_used(read: Read, given: Any, told: list[str]) -> None:
    with pytest.raises(BadInput) as raised:
        read(given)
    for part in (*told, "fences.geojson"):
        assert part in str(raised.value)
    assert raised.value.allowed


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"can't be read.*transform\.geofences"):
        read_fences(tmp_path / "none.geojson")


POSITIONS = st.tuples(st.floats(-3, 3), st.floats(-3, 3))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(POSITIONS, min_size=3, max_size=6), st.sampled_from([0.01, 0.1, 1.0]), st.lists(st.floats(0, 1), min_size=5))
def test_an_edge_is_found_in_every_cell_it_passes_through(read: Read, corners: Any, scale: float, shares: list[float]) -> None:
    hull = shapely.affinity.scale(shapely.MultiPoint(corners).convex_hull, scale, scale, origin=(0, 0))
    if hull.area < 1e-9:
        return
    rows = read(feature("Polygon", json.loads(shapely.to_geojson(hull))["coordinates"])).to_pylist()
    assert len({(row["edge"], row["cell_row"]) for row in rows}) == sum(row["is_first_in_row"] for row in rows)
    by_cell = {(row["edge"], row["cell"]): row for row in rows}
    for row in rows:
        for share in shares:
            x, y = (row[f"{axis}1"] + share * (row[f"{axis}2"] - row[f"{axis}1"]) for axis in "xy")
            found = by_cell[row["edge"], int(y // CELL) * CELLS_AROUND + int(x // CELL) % CELLS_AROUND]
            assert found["cell_row"] == y // CELL
            assert found["row_west"] <= x <= found["row_east"]
            assert 0 <= row["west"] <= x
