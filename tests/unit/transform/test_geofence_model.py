"""gold.geofence_events: enter, dwell and exit, also where no fix lies inside."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pytest
import shapely
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sqlglot import parse_one
from transform_rows import T0, Rows, seconds

from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.gold import GEOFENCE_EVENTS
from fleetlake.geography.geofences import read_fences
from fleetlake.transform.models import seams_model, table_model
from fleetlake.transform.native import NativeEngine
from fleetlake.transform.settings import Thresholds
from fleetlake.transform.spark.translate import translate

Feature: TypeAlias = dict[str, Any]
Track: TypeAlias = list[tuple[float, float, float]]  # seconds after T0, longitude, latitude
Run: TypeAlias = Callable[[list[Feature], dict[str, Track]], Rows]

MODELS = {"events": table_model(GEOFENCE_EVENTS, Thresholds()), "seams": seams_model(GEOFENCE_EVENTS, Thresholds())}
FIX_SCHEMA = pa.schema(
    [
        pa.field("device_id", pa.string()),
        pa.field("event_time", pa.timestamp("us", tz="UTC")),
        pa.field("event_id", pa.string()),
        pa.field("latitude", pa.float64()),
        pa.field("longitude", pa.float64()),
        pa.field("latest_time", pa.timestamp("us", tz="UTC")),
    ]
)


@pytest.fixture
def run(engine: NativeEngine, tmp_path: Path) -> Run:
    """The model's rows for fences and the tracks of devices, by time; `seams` are those of the other model."""

    def rows_of(features: list[Feature], tracks: dict[str, Track], model: str = "events") -> Rows:
        path = tmp_path / "fences.geojson"
        path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
        engine.load("fence_edges", read_fences(path))
        engine.load("fixes", pa.Table.from_pylist(fixes_of(tracks), schema=FIX_SCHEMA))
        rows: Rows = engine.con.sql(MODELS[model].sql, params=MODELS[model].settings).to_arrow_table().to_pylist()
        by = ("seam_time",) if model == "seams" else ("event_time", "dwell_s", "kind")
        return sorted(rows, key=lambda row: (row["device_id"], *(row[name] for name in by)))

    return rows_of


def fixes_of(tracks: dict[str, Track]) -> Rows:
    """Not in the order of time; ids are in the order of the track."""
    rows = [
        {"device_id": device_id, "event_time": T0 + timedelta(seconds=at_s), "event_id": f"{number:05}", "latitude": latitude,
         "longitude": longitude, "latest_time": T0 + timedelta(seconds=max(at_s for at_s, _, _ in track))}
        for device_id, track in tracks.items()
        for number, (at_s, longitude, latitude) in enumerate(track)
    ]  # fmt: skip
    return random.Random(1).sample(rows, len(rows))


def fence(fence_id: str, geometry: dict[str, Any], **properties: Any) -> Feature:
    return {"type": "Feature", "id": fence_id, "properties": properties, "geometry": geometry}


def box(west: float, south: float, east: float, north: float) -> list[list[float]]:
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def polygon(*rings: list[list[float]]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


YARD = fence("yard", polygon(box(-1.25, 51.75, -1.24, 51.76)), name="The yard")
HOLLOW = fence("hollow", polygon(box(-1.25, 51.75, -1.22, 51.78), box(-1.24, 51.76, -1.23, 51.77)))
EAST_YARD = fence("east", polygon(box(-1.245, 51.75, -1.235, 51.76)))
CIRCLE = fence("circle", {"type": "Point", "coordinates": [-1.25, 0.0]}, radius_m=1113.195)  # 0.01 degrees of the equator
CORRIDOR = fence("road", {"type": "LineString", "coordinates": [[-1.3, 0.0], [-1.2, 0.0]]}, width_m=2211.486)  # 0.02 of latitude
SLANTED = fence("slanted", polygon([[0, 0], [0.02, 0.01], [0.01, 0.02], [0, 0]]))
PACIFIC = fence("pacific", polygon(box(179.99, -17, -179.99, -16.9)))
PACIFIC_CUT = fence(
    "pacific", {"type": "MultiPolygon", "coordinates": [[box(179.99, -17, 180, -16.9)], [box(-180, -17, -179.99, -16.9)]]}
)


EAST_OF_180 = fence("east", polygon(box(-179.99, -17, -179.98, -16.9)))


def across(latitude: float, *, west: float = -1.255, east: float = -1.215, took_s: float = 40) -> Track:
    return [(0, west, latitude), (took_s, east, latitude)]


Expected: TypeAlias = list[tuple[str, str, float]]


@pytest.mark.parametrize(
    ("features", "track", "expected"),
    [
        pytest.param([YARD], [], [], id="nothing"),
        pytest.param([YARD], [(0, -1.3, 51.7)], [], id="one fix outside"),
        pytest.param([YARD], [(0, -1.245, 51.755)], [("enter", "yard", 0)], id="one fix inside"),
        pytest.param([YARD], across(51.755), [("enter", "yard", 5), ("exit", "yard", 15)], id="through it between two fixes"),
        pytest.param([YARD], across(51.765), [], id="past it"),
        pytest.param(
            [YARD], [(0, -1.255, 51.755), (10, -1.245, 51.755), (20, -1.235, 51.755)], [("enter", "yard", 5), ("exit", "yard", 15)],
            id="in, and out again",
        ),
        pytest.param(
            [YARD], [(0, -1.252, 51.758), (10, -1.248, 51.762)], [], id="a corner is touched",
        ),
        pytest.param(
            [YARD], [(0, -1.252, 51.757), (40, -1.248, 51.761)], [("enter", "yard", 20), ("exit", "yard", 30)],
            id="a corner is cut",
        ),
        pytest.param(
            [YARD], [(0, -1.252, 51.762), (40, -1.248, 51.758)], [("enter", "yard", 20)], id="in through a corner",
        ),
        pytest.param(
            [SLANTED], [(0, 0.0, -0.01), (40, 0.0, 0.03)], [], id="a corner of a slanted fence is touched, along a meridian",
        ),
        pytest.param(
            [SLANTED], [(0, -0.01, 0.01), (30, 0.02, 0.01)], [("enter", "slanted", 15), ("exit", "slanted", 30)],
            id="out at a corner that a fix is on: it is not inside",
        ),
        pytest.param(
            [YARD], [(0, -1.25, 51.74), (30, -1.25, 51.77)], [("enter", "yard", 10), ("exit", "yard", 20)],
            id="along the western edge: inside",
        ),
        pytest.param([YARD], [(0, -1.24, 51.74), (30, -1.24, 51.77)], [], id="along the eastern edge: outside"),
        pytest.param([YARD], [(0, -1.245, 51.75), (10, -1.245, 51.74)], [], id="sets out from the southern edge"),
        pytest.param(
            [YARD], [(0, -1.245, 51.74), (10, -1.245, 51.75), (20, -1.245, 51.75), (30, -1.245, 51.74)],
            [("enter", "yard", 10), ("exit", "yard", 20)], id="waits on the southern edge: inside",
        ),
        pytest.param(
            [YARD], [(0, -1.245, 51.74), (10, -1.245, 51.75), (20, -1.245, 51.74)], [], id="touches the southern edge with a fix",
        ),
        pytest.param(
            [YARD], [(0, -1.245, 51.755), (400, -1.244, 51.755)], [("enter", "yard", 0), ("dwell", "yard", 300)],
            id="inside all along",
        ),
        pytest.param([YARD], [(0, -1.245, 51.755), (299, -1.244, 51.755)], [("enter", "yard", 0)], id="not yet a dwell"),
        pytest.param(
            [YARD], [(0, -1.245, 51.755), (300, -1.244, 51.755)], [("enter", "yard", 0), ("dwell", "yard", 300)], id="just a dwell",
        ),
        pytest.param(
            [YARD], [(0, -1.255, 51.755), (10, -1.245, 51.755), (300, -1.245, 51.755), (310, -1.235, 51.755)],
            [("enter", "yard", 5), ("dwell", "yard", 305), ("exit", "yard", 305)], id="leaves in the instant it is a dwell",
        ),
        pytest.param(
            [YARD], [(0, -1.255, 51.755), (36_000, -1.215, 51.755)],
            [("enter", "yard", 4500), ("dwell", "yard", 4800), ("exit", "yard", 13_500)], id="through it in a silence of ten hours",
        ),
        pytest.param(
            [YARD], [(57_300, -1.255, 51.755), (57_500, -1.245, 51.755), (57_900, -1.245, 51.755), (58_000, -1.235, 51.755)],
            [("enter", "yard", 57_400), ("dwell", "yard", 57_700), ("exit", "yard", 57_950)], id="over midnight",
        ),
        pytest.param(
            [YARD], [(0, -1.255, 51.755), (10, -1.255, 51.755), (10, -1.245, 51.755), (20, -1.245, 51.755)],
            [("enter", "yard", 10)], id="two places in one instant: in",
        ),
        pytest.param(
            [YARD], [(10, -1.255, 51.755), (10, -1.245, 51.755), (10, -1.255, 51.755), (20, -1.255, 51.755)], [],
            id="in and out in one instant",
        ),
        pytest.param(
            [YARD], [(10, -1.245, 51.755), (10, -1.255, 51.755), (20, -1.255, 51.755)], [], id="begins inside, is outside at once",
        ),
        pytest.param(
            [HOLLOW], across(51.765, west=-1.26, east=-1.21, took_s=50),
            [("enter", "hollow", 10), ("exit", "hollow", 20), ("enter", "hollow", 30), ("exit", "hollow", 40)],
            id="a hole is outside",
        ),
        pytest.param([HOLLOW], [(0, -1.235, 51.765), (9, -1.234, 51.765)], [], id="begins in the hole"),
        pytest.param(
            [CIRCLE], across(0, west=-1.27, east=-1.23), [("enter", "circle", 10), ("exit", "circle", 30)], id="circle",
        ),
        pytest.param(
            [CORRIDOR], [(0, -1.25, -0.02), (40, -1.25, 0.02)], [("enter", "road", 10), ("exit", "road", 30)], id="corridor",
        ),
        pytest.param(
            [YARD, EAST_YARD], across(51.755),
            [("enter", "yard", 5), ("enter", "east", 10), ("exit", "yard", 15), ("exit", "east", 20)], id="two fences that overlap",
        ),
        pytest.param(
            [PACIFIC], [(0, 179.97, -16.95), (60, -179.97, -16.95)], [("enter", "pacific", 20), ("exit", "pacific", 40)],
            id="across the antimeridian",
        ),
        pytest.param(
            [PACIFIC_CUT], [(0, -179.97, -16.95), (60, 179.97, -16.95)], [("enter", "pacific", 20), ("exit", "pacific", 40)],
            id="a fence cut in two there is one",
        ),
        pytest.param(
            [PACIFIC], [(0, -179.995, -16.95), (5, -180, -16.95), (9, 180, -16.95)], [("enter", "pacific", 0)], id="-180 is 180",
        ),
        pytest.param([PACIFIC_CUT], [(0, 180, -16.95)], [("enter", "pacific", 0)], id="at 180"),
        pytest.param(
            [EAST_OF_180], [(0, 179.97, -16.95), (60, -179.97, -16.95)], [("enter", "east", 40), ("exit", "east", 50)],
            id="a fence just across the antimeridian",
        ),
        pytest.param(
            [YARD], [(0, -21.245, 31.755), (4000, 18.755, 71.755)], [("enter", "yard", 1999.5), ("exit", "yard", 2000.5)],
            id="a leg over half a continent",
        ),
    ],
)  # fmt: skip
def test_events(run: Run, features: list[Feature], track: Track, expected: Expected) -> None:
    found = [(row["kind"], row["fence_id"], seconds(row, "event_time")) for row in run(features, {"v1": track})]
    assert [event[:2] for event in found] == [event[:2] for event in expected]
    assert [event[2] for event in found] == pytest.approx([event[2] for event in expected], abs=0.01)


def test_a_row_says_where_and_for_how_long(run: Run) -> None:
    track = [(0.0, -1.255, 51.754), (10.0, -1.245, 51.756), (610.0, -1.245, 51.756), (620.0, -1.235, 51.756)]
    enter, dwell, exit_ = run([YARD], {"v1": track})
    assert enter | {"geofence_event_id": ""} == {
        "geofence_event_id": "", "device_id": "v1", "fence_id": "yard", "fence_name": "The yard", "kind": "enter",
        "event_time": T0 + timedelta(seconds=5), "latitude": 51.755, "longitude": -1.25, "dwell_s": 0.0, "is_interpolated": True,
    }  # fmt: skip
    assert (dwell["dwell_s"], seconds(dwell, "event_time"), dwell["latitude"], dwell["longitude"]) == (300, 305, 51.756, -1.245)
    assert (exit_["dwell_s"], seconds(exit_, "event_time"), exit_["longitude"]) == (610, 615, -1.24)
    assert [row["is_interpolated"] for row in (enter, dwell, exit_)] == [True, True, True]


def test_an_enter_at_a_fix_is_not_interpolated(run: Run) -> None:
    tracks = {"begins": [(0.0, -1.245, 51.755)], "arrives": [(0.0, -1.255, 51.755), (5.0, -1.25, 51.755), (9.0, -1.249, 51.755)]}
    assert [(row["device_id"], row["is_interpolated"]) for row in run([YARD], tracks)] == [("arrives", False), ("begins", False)]


def test_in_an_instant_of_several_places_it_is_at_the_last(run: Run) -> None:
    track = [(10.0, -1.255, 51.755), (10.0, -1.245, 51.751), (10.0, -1.255, 51.755), (10.0, -1.246, 51.758), (20.0, -1.246, 51.758)]
    (enter,) = run([YARD], {"v1": track})
    assert (enter["longitude"], enter["latitude"], enter["is_interpolated"]) == (-1.246, 51.758, False)


def test_devices_and_fences_are_independent_and_ids_differ(run: Run) -> None:
    tracks = {"v1": across(51.755), "v2": across(51.756), "v3": across(51.8)}
    alone = [row for features in ([YARD], [EAST_YARD]) for device in tracks for row in run(features, {device: tracks[device]})]
    together = run([YARD, EAST_YARD], tracks)
    assert by_id(together) == by_id(alone)
    assert len({row["geofence_event_id"] for row in together}) == len(together) == 8


def by_id(rows: Rows) -> Rows:
    return sorted(rows, key=lambda row: str(row["geofence_event_id"]))


def test_no_fences_no_events(engine: NativeEngine) -> None:
    engine.load("fence_edges", read_fences(None))
    engine.load("fixes", pa.Table.from_pylist(fixes_of({"v1": across(51.755)}), schema=FIX_SCHEMA))
    assert engine.rows(MODELS["events"].sql, MODELS["events"].settings) == []
    assert engine.rows(f"SELECT count(*) FROM ({MODELS['seams'].sql})") == [(1,)]


def test_the_model_makes_the_contracts_columns(engine: NativeEngine, run: Run) -> None:
    run([YARD], {"v1": across(51.755)})
    made = engine.con.sql(MODELS["events"].sql, params=MODELS["events"].settings).to_arrow_table().schema
    assert {field.name: field.type for field in made} == {field.name: field.type for field in table_schema(GEOFENCE_EVENTS)}


@pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))
def test_spark_reads_the_models(model: Any) -> None:
    translated = translate(model.sql)
    assert parse_one(translated, read="spark").sql(dialect="spark") == translated


# Fixes and corners are on grids that never meet: no leg touches a corner, no fix lies on an edge.
GRID = 1e-3
EAST, NORTH = 0.3142, 0.7183
POINTS = st.tuples(st.integers(0, 60), st.integers(0, 60))
STEPS = st.sampled_from([0, 1, 3, 30, 299, 301, 4000])
TRACKS = st.lists(st.tuples(STEPS, POINTS), min_size=1, max_size=12)
TRIANGLES = (
    st.tuples(POINTS, POINTS, POINTS).map(lambda at: shapely.MultiPoint(at).convex_hull).filter(lambda shape: shape.area > 0)
)
BASES = st.sampled_from([(-1.27, 51.7), (-0.03, -0.03), (179.97, -17.0)])


@st.composite
def shapes(draw: st.DrawFn) -> Any:
    """Several parts, holes, corners of all kinds; in steps of the grid from a base."""
    made = shapely.union_all(draw(st.lists(TRIANGLES, min_size=1, max_size=3))).difference(draw(TRIANGLES))
    made = shapely.set_precision(made, 1e-4)
    assume(made.area > 0)
    return made


def track_of(steps: list[tuple[int, tuple[int, int]]]) -> list[tuple[int, float, float]]:
    elapsed, made = 0, []
    for step, (east, north) in steps:
        elapsed += step
        made.append((elapsed, east + EAST, north + NORTH))
    return made


def on_earth(base: tuple[float, float], east: float, north: float) -> tuple[float, float]:
    longitude = base[0] + east * GRID
    return round(longitude - 360 if longitude > 180 else longitude, 7), round(base[1] + north * GRID, 7)


def feature_of(fence_id: str, shape: Any, base: tuple[float, float]) -> Feature:
    geometry = json.loads(shapely.to_geojson(shape))
    parts = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    moved = [[[on_earth(base, *position) for position in ring] for ring in part] for part in parts]
    return fence(fence_id, {"type": "MultiPolygon", "coordinates": moved})


def reference(track: list[tuple[int, float, float]], shape: Any) -> list[tuple[str, float, float]]:
    """(kind, time, dwell_s), leg by leg: where a leg meets the border, and what is inside in between."""
    changes = [(float(track[0][0]), True)] if shape.contains(shapely.Point(track[0][1:])) else []
    for (start_s, *start), (end_s, *end) in pairwise(track):
        if start == end:
            continue
        leg = shapely.LineString([start, end])
        met = [part for part in shapely.get_parts(leg.intersection(shape.boundary)) if not part.is_empty]
        assert all(part.geom_type == "Point" for part in met)
        shares = sorted(leg.project(point, normalized=True) for point in met)
        for before, at, after in zip([0.0, *shares], shares, [*shares[1:], 1.0], strict=False):
            was, now = (shape.contains(leg.interpolate((a + b) / 2, normalized=True)) for a, b in ((before, at), (at, after)))
            assert was != now
            changes.append((start_s + at * (end_s - start_s), now))
    changes = [change for change in changes if abs(sum(1 if now else -1 for at_s, now in changes if at_s == change[0])) == 1]
    changes = [change for n, change in enumerate(changes) if n == 0 or change[0] != changes[n - 1][0]]
    events = []
    for number, (at_s, now) in enumerate(changes):
        if not now:
            events.append(("exit", at_s, at_s - changes[number - 1][0]))
            continue
        events.append(("enter", at_s, 0.0))
        until_s = changes[number + 1][0] if number + 1 < len(changes) else track[-1][0]
        if until_s - at_s >= 300:
            events.append(("dwell", at_s + 300, 300.0))
    return sorted(events, key=lambda event: (event[1], event[2]))


RANDOM = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@RANDOM
@given(TRACKS, st.lists(shapes(), min_size=1, max_size=3), BASES)
def test_the_model_is_the_definition(run: Run, steps: Any, made: list[Any], base: tuple[float, float]) -> None:
    fences = {f"f{number}": shape for number, shape in enumerate(made)}
    track = track_of(steps)
    features = [feature_of(fence_id, shape, base) for fence_id, shape in fences.items()]
    rows = run(features, {"v1": [(at_s, *on_earth(base, east, north)) for at_s, east, north in track]})
    for fence_id, shape in fences.items():
        found = [row for row in rows if row["fence_id"] == fence_id]
        expected = reference(track, shape)
        assert [row["kind"] for row in found] == [kind for kind, _, _ in expected]
        assert [seconds(row, "event_time") for row in found] == pytest.approx([at_s for _, at_s, _ in expected], abs=0.01)
        assert [row["dwell_s"] for row in found] == pytest.approx([dwell_s for _, _, dwell_s in expected], abs=0.01)
        for row in found:
            assert is_on_the_way(row, track, base)


def is_on_the_way(row: dict[str, Any], track: list[tuple[int, float, float]], base: tuple[float, float]) -> bool:
    """Where the vehicle is at that time; in an instant of several fixes, at one of them."""
    at_s, places = seconds(row, "event_time"), []
    for (start_s, *start), (end_s, *end) in zip(track[:1] + track, track, strict=False):
        if start_s - 1e-3 <= at_s <= end_s + 1e-3:
            share = min(1.0, max(0.0, (at_s - start_s) / (end_s - start_s))) if end_s > start_s else 1.0
            places += [on_earth(base, *(a + share * (b - a) for a, b in zip(start, end, strict=True)))]
    return any(abs((row["longitude"] - x + 180) % 360 - 180) < 1e-4 and abs(row["latitude"] - y) < 1e-4 for x, y in places)


SMALL = st.tuples(st.integers(0, 6), st.integers(0, 6))
SMALL_TRIANGLES = st.tuples(SMALL, SMALL, SMALL).map(lambda at: shapely.MultiPoint(at).convex_hull)


@RANDOM
@given(
    st.lists(st.tuples(st.sampled_from([0, 1, 40]), SMALL), min_size=1, max_size=12),
    st.lists(SMALL_TRIANGLES.filter(lambda shape: shape.area > 0), min_size=1, max_size=3), BASES,
)  # fmt: skip
def test_events_add_up_to_where_the_fixes_are(run: Run, steps: Any, made: list[Any], base: tuple[float, float]) -> None:
    """On one grid, where legs run through corners and along edges."""
    track = [(at_s, round(east - EAST), round(north - NORTH)) for at_s, east, north in track_of(steps)]
    features = [feature_of(f"f{number}", shape, base) for number, shape in enumerate(made)]
    rows = run(features, {"v1": [(at_s, *on_earth(base, east, north)) for at_s, east, north in track]})
    for number, shape in enumerate(made):
        found = [
            (seconds(row, "event_time"), row["kind"]) for row in rows if row["fence_id"] == f"f{number}" and row["kind"] != "dwell"
        ]
        assert [kind for _, kind in found] == ["enter", "exit"] * (len(found) // 2) + ["enter"] * (len(found) % 2)
        assert len({at_s for at_s, _ in found}) == len(found)
        for (at_s, *place), (next_s, *_) in pairwise([*track, (math.inf,)]):
            if next_s > at_s and not shape.boundary.intersects(shapely.Point(place)):
                visits = sum(1 if kind == "enter" else -1 for event_s, kind in found if event_s <= at_s)
                assert visits == shape.contains(shapely.Point(place))


@RANDOM
@given(TRACKS, st.lists(shapes(), min_size=1, max_size=2), st.randoms(use_true_random=False))
def test_a_cut_at_a_seam_changes_nothing(run: Any, steps: Any, made: list[Any], chance: random.Random) -> None:
    base = (-1.27, 51.7)
    shrunk = [shapely.affinity.scale(shape, 0.3, 0.3, origin=(0, 0)) for shape in made]
    features = [feature_of(f"f{number}", shape, base) for number, shape in enumerate(shrunk)]
    track = [(at_s, *on_earth(base, east, north)) for at_s, east, north in track_of(steps)]
    whole, seams = told(run(features, {"v1": track}), "v1"), run(features, {"v1": track}, "seams")
    halves: dict[str, Track] = {}
    thinned: dict[str, Track] = {}
    for number, seam in enumerate(seams):
        at_s, from_s, until_s = (seconds(seam, name) for name in ("seam_time", "settled_from", "settled_until"))
        halves[f"{number} left"] = [fix for fix in track if fix[0] < at_s]
        halves[f"{number} right"] = [fix for fix in track if fix[0] >= at_s]
        thinned[str(number)] = [fix for fix in track if from_s <= fix[0] <= until_s or chance.random() < 0.5]
    events, still = run(features, halves), run(features, thinned, "seams")
    for number, seam in enumerate(seams):
        assert sorted(told(events, f"{number} left") + told(events, f"{number} right")) == whole
        assert (str(number), seam["seam_time"]) in [(row["device_id"], row["seam_time"]) for row in still]


def told(rows: Rows, device_id: str) -> list[tuple[Any, ...]]:
    """All of a device's events but what names the device."""
    return sorted(tuple(list(row.values())[2:]) for row in rows if row["device_id"] == device_id)


@pytest.mark.parametrize(
    ("track", "expected"),
    [
        pytest.param([(0, -1.3, 51.7), (3, -1.299, 51.7), (6, -1.298, 51.7)], [3, 6], id="far away: not before the first fix"),
        pytest.param([(0, -1.3, 51.755), (3, -1.2, 51.755), (6, -1.19, 51.755)], [6], id="a leg through a fence"),
        pytest.param(
            [(0, -1.245, 51.755), (3, -1.2449, 51.755), (6, -1.1, 51.755), (9, -1.1, 51.7551)], [9], id="inside, then out"
        ),
        pytest.param([(0, -1.245, 51.7495), (3, -1.245, 51.7505), (6, -1.245, 51.7495)], [], id="to the fence's row, and back"),
        pytest.param([(0, -1.3, 51.745), (3, -1.3, 51.765), (6, -1.3, 51.766)], [6], id="a leg over three rows"),
        pytest.param([(0, -1.3, 51.7), (3, -1.299, 51.7), (3, -1.298, 51.7), (6, -1.297, 51.7)], [3, 6], id="one instant"),
    ],
)
def test_seams(run: Any, track: Track, expected: list[float]) -> None:
    assert [seconds(row, "seam_time") for row in run([YARD], {"v1": track}, "seams")] == expected


def test_seams_of_a_vehicle_at_the_antimeridian(run: Any) -> None:
    clear = [(0, 179.97, -16.95), (3, 179.971, -16.95), (6, -179.97, -16.95), (9, -179.971, -16.95), (12, -179.985, -16.95)]
    inside = [(0, -179.995, -16.95), (3, -179.994, -16.95), (6, 179.995, -16.95), (9, 179.996, -16.95)]
    for features in ([PACIFIC], [PACIFIC_CUT]):
        rows = run(features, {"clear": clear, "inside": inside}, "seams")
        found = [(row["device_id"], seconds(row, "settled_from"), seconds(row, "settled_until")) for row in rows]
        assert found == [("clear", 0, 3), ("clear", 6, 9), ("clear", 9, 12)]


def test_events_do_not_depend_on_the_threads(run: Run, engine: NativeEngine) -> None:
    tracks = {f"v{n}": [(3 * i, -1.26 + 0.0001 * i * (n % 7), 51.755 + 0.0001 * n) for i in range(200)] for n in range(20)}
    before = by_id(run([YARD, HOLLOW, EAST_YARD], tracks))
    engine.con.execute("SET threads = 1")
    assert by_id(run([YARD, HOLLOW, EAST_YARD], tracks)) == before
