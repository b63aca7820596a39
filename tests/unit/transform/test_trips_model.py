"""gold.trips: what is a trip and what is not, as golden tables and against a reference written as a loop."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transform_rows import Rows, fix, seconds

Episodes = Callable[[str, Rows], Rows]
END_S = 300.0
MOVES_KMH = 8.04672  # 5 mph


def drive(start_s: float, end_s: float, **more: Any) -> Rows:
    return [fix(at, 60.0, **more) for at in range(int(start_s), int(end_s) + 1, 3)]


def stand(start_s: float, end_s: float, ignition: bool | None = None, step_s: int = 3) -> Rows:
    return [fix(at, 0.0, ignition) for at in range(int(start_s), int(end_s) + 1, step_s)]


def spans(rows: Rows) -> list[tuple[float, float, bool]]:
    return [(seconds(row, "start_time"), seconds(row, "end_time"), row["is_open"]) for row in rows]


@pytest.mark.parametrize(
    ("fixes", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([fix(0, 0.0)], [], id="one fix at rest"),
        pytest.param([fix(0, 50.0)], [(0, 0, True)], id="one fix in motion"),
        pytest.param([fix(0, None, True), fix(3, None, True)], [], id="no speeds"),
        pytest.param(stand(0, 900, True), [], id="ignition without motion"),
        pytest.param([fix(0, 8.04), fix(3, 8.0)], [], id="below 5 mph"),
        pytest.param([fix(0, 8.04672)], [(0, 0, True)], id="5 mph exactly"),
        pytest.param(drive(0, 60) + stand(63, 360), [(0, 60, True)], id="at rest for 300 s: may go on"),
        pytest.param(drive(0, 60) + stand(63, 363), [(0, 60, False)], id="at rest for 303 s: over"),
        pytest.param(drive(0, 60) + stand(63, 357) + drive(360, 400), [(0, 399, True)], id="a pause of 300 s is inside"),
        pytest.param(drive(0, 60) + stand(63, 360) + drive(363, 400), [(0, 60, False), (363, 399, True)], id="303 s are not"),
        pytest.param(drive(0, 60) + drive(361, 400), [(0, 60, False), (361, 400, True)], id="a silence of 301 s ends it"),
        pytest.param(drive(0, 60) + drive(360, 400), [(0, 399, True)], id="a silence of 300 s does not"),
        pytest.param(stand(0, 6, True) + drive(9, 60), [(0, 60, True)], id="begins with the ignition"),
        pytest.param(stand(0, 6, False) + stand(9, 12, True) + drive(15, 60), [(9, 60, True)], id="not before the ignition"),
        pytest.param(stand(0, 297, True) + drive(300, 360), [(0, 360, True)], id="ignition on 300 s before"),
        pytest.param(stand(0, 300, True) + drive(303, 360), [(303, 360, True)], id="idling longer is not setting out"),
        pytest.param(drive(0, 60) + stand(63, 400, True) + drive(403, 460), [(0, 60, False), (403, 460, True)], id="long idle"),
        pytest.param(drive(0, 60) + stand(63, 63, False), [(0, 63, False)], id="ends with the ignition"),
        pytest.param(drive(0, 60) + stand(63, 90, True) + stand(93, 120, False), [(0, 93, False)], id="switched off later"),
        pytest.param(drive(0, 60) + stand(63, 360, True) + [fix(361, 0.0, False)], [(0, 60, False)], id="switched off too late"),
        pytest.param(
            drive(0, 60) + stand(63, 240, False) + drive(243, 300), [(0, 300, True)], id="a short break with the ignition off"
        ),
        pytest.param(
            drive(0, 60) + stand(63, 390, False) + stand(393, 399, True) + drive(402, 450),
            [(0, 63, False), (393, 450, True)],
            id="parked between two trips",
        ),
        pytest.param([*drive(0, 60), fix(4000, 0.0)], [(0, 60, False)], id="a much later fix proves that it is over"),
        pytest.param(drive(57_500, 57_700), [(57_500, 57_698, True)], id="over midnight"),
        pytest.param(
            drive(0, 30) + drive(0, 30, device_id="v2"), [(0, 30, True), (0, 30, True)], id="devices do not know each other"
        ),
    ],
)
def test_trips(episodes: Episodes, fixes: Rows, expected: list[tuple[float, float, bool]]) -> None:
    assert spans(episodes("trips", fixes)) == expected


def test_what_a_trip_says(episodes: Episodes) -> None:
    north = [fix(at, speed, latitude=52.0 + at / 10_000) for at, speed in ((0, 50.0), (10, 60.0), (20, 0.0), (30, 70.0))]
    (trip,) = episodes("trips", north)
    degree_km = math.pi * 6371.0088 / 180
    assert trip["distance_km"] == pytest.approx(0.003 * degree_km, abs=2e-6)
    assert (trip["duration_s"], trip["moving_s"], trip["idle_s"], trip["fixes"]) == (30.0, 20.0, 10.0, 4)
    assert trip["top_speed_kmh"] == 70.0
    assert trip["average_speed_kmh"] == pytest.approx(trip["distance_km"] / 30 * 3600)
    assert (trip["start_latitude"], trip["end_latitude"]) == (52.0, 52.003)


def test_a_single_fix_has_no_average_and_no_distance(episodes: Episodes) -> None:
    (trip,) = episodes("trips", [fix(0, 50.0)])
    assert (trip["average_speed_kmh"], trip["distance_km"], trip["duration_s"], trip["moving_s"]) == (None, 0.0, 0.0, 0.0)


def test_distance_across_the_antimeridian_is_the_short_way(episodes: Episodes) -> None:
    crossing = [fix(0, 50.0, latitude=0.0, longitude=179.999), fix(3, 50.0, latitude=0.0, longitude=-179.999)]
    (trip,) = episodes("trips", crossing)
    assert trip["distance_km"] == pytest.approx(0.002 * math.pi * 6371.0088 / 180, abs=2e-6)


def test_of_two_fixes_of_one_instant_the_first_by_event_id_counts(episodes: Episodes) -> None:
    twice = [fix(0, 50.0, event_id="b", latitude=53.0), fix(0, 50.0, event_id="a", latitude=52.0), fix(3, 50.0, event_id="c")]
    for order in (twice, twice[::-1]):
        (trip,) = episodes("trips", order)
        assert (trip["start_latitude"], trip["fixes"]) == (52.0, 2)


def test_what_is_left_out_adds_no_distance(episodes: Episodes) -> None:
    way = [fix(at, 60.0, latitude=52.0 + at * 1e-4) for at in range(0, 60, 3)]
    (straight,) = episodes("trips", way)
    way[7] |= {"latitude": 40.0}
    (trip,) = episodes("trips", way)
    assert trip["distance_km"] == pytest.approx(straight["distance_km"], abs=1e-5)
    assert trip["fixes"] == straight["fixes"] - 1


def test_a_vehicle_at_rest_goes_nowhere(episodes: Episodes) -> None:
    scatter = [fix(at, 0.0, latitude=52.006 + (at % 2) * 1e-4) for at in range(63, 180, 3)]
    way = [fix(at, 60.0, latitude=52.0 + at * 1e-4) for at in range(0, 63, 3)]
    (trip,) = episodes("trips", [*way, *scatter, fix(180, 60.0, latitude=52.006)])
    assert trip["distance_km"] == pytest.approx(0.006 * math.pi * 6371.0088 / 180, abs=0.03)


def test_fuel_is_the_fall_of_the_level_without_refuels(episodes: Episodes) -> None:
    levels = {0: 50.0, 3: 49.8, 6: None, 9: 49.5, 12: 80.0, 15: 79.9}
    (trip,) = episodes("trips", [fix(at, 60.0, fuel_level_percent=level) for at, level in levels.items()])
    assert trip["fuel_used_percent"] == pytest.approx(0.6)
    (trip,) = episodes("trips", [fix(at, 60.0) for at in levels])
    assert trip["fuel_used_percent"] is None


def test_places_are_the_nearest_of_the_gazetteer(episodes: Episodes) -> None:
    (trip,) = episodes("trips", [fix(0, 60.0, latitude=51.5, longitude=-0.12), fix(3, 60.0, latitude=51.5005, longitude=-0.12)])
    assert (trip["start_place"], trip["end_place"]) == ("London", "London")
    (trip,) = episodes("trips", [fix(0, 60.0, latitude=0.0, longitude=0.0), fix(3, 60.0, latitude=0.0005, longitude=0.0)])
    assert (trip["start_place"], trip["end_place"]) == (None, None)


def test_an_id_follows_from_device_and_start(episodes: Episodes) -> None:
    (short,) = episodes("trips", drive(0, 30))
    (longer,) = episodes("trips", drive(0, 90))
    (other,) = episodes("trips", drive(0, 30, device_id="v2"))
    assert short["trip_id"] == longer["trip_id"] != other["trip_id"]


def reference(fixes: Rows) -> list[tuple[float, float, bool, int]]:
    """The definition of a trip, for one device, fix by fix."""
    rows = sorted(fixes, key=lambda row: (row["event_time"], row["event_id"]))
    at = [seconds(row, "event_time") for row in rows]
    moving = [row["speed_kmh"] is not None and row["speed_kmh"] >= MOVES_KMH for row in rows]
    cores: list[list[int]] = []
    for i in (i for i in range(len(rows)) if moving[i]):
        if cores and at[i] - at[cores[-1][-1]] <= END_S:
            cores[-1].append(i)
        else:
            cores.append([i])
    found = []
    for core in cores:
        first, last, is_open = core[0], core[-1], at[-1] - at[core[-1]] <= END_S
        start, before = first, first - 1
        while before >= 0 and rows[before]["ignition"] and not moving[before] and at[before + 1] - at[before] <= END_S:
            start, before = before, before - 1
        if at[first] - at[start] > END_S:
            start = first
        end = last
        for after in range(last + 1, len(rows)):
            if moving[after] or at[after] - at[last] > END_S:
                break
            if rows[after]["ignition"] is False:
                end, is_open = after, False
                break
        found.append((at[start], at[end], is_open, end - start + 1))
    return found


MOMENTS = st.sampled_from([3, 3, 3, 60, 120, 150, 299, 300, 301, 650])
FIXES = st.lists(
    st.tuples(MOMENTS, st.sampled_from([0.0, 3.0, 8.04672, 60.0, None]), st.sampled_from([True, False, None])), max_size=40
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FIXES)
def test_the_model_is_the_definition(episodes: Episodes, steps: list[tuple[int, float | None, bool | None]]) -> None:
    elapsed, fixes = 0, []
    for number, (step, speed, ignition) in enumerate(steps):
        elapsed += step
        fixes.append(fix(elapsed, speed, ignition, event_id=f"{number:03}"))
    rows = episodes("trips", fixes)
    assert [(*span, row["fixes"]) for span, row in zip(spans(rows), rows, strict=True)] == reference(fixes)
    for row in rows:
        assert row["moving_s"] + row["idle_s"] == pytest.approx(row["duration_s"])
