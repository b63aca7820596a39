"""Found episodes are matched with true ones one to one, and what is worse than asked is said."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.gold import DRIVING_EVENTS, DRIVING_EVENTS_KINDS, STOPS, TRIPS
from fleetlake.contracts.table import Table
from fleetlake.evaluate.accuracy import MEASURES, Accuracy, Bar, Episode, Spread, compare

T0 = datetime(2026, 1, 5, 6, tzinfo=UTC)
INTERVAL_S = 3.0
Span = tuple[float, float]
Row = dict[str, Any]

TRUE_TIME = pa.timestamp("ms", tz="UTC")
TRUE_SCHEMAS = {
    "trips": {"distance_km": pa.float64()},
    "stops": {"latitude": pa.float64(), "longitude": pa.float64()},
    "harsh_events": {"kind": pa.string()},
    "overspeed": {},
}


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def row(start_s: float, end_s: float, device: str = "v1", **more: Any) -> Row:
    return {"device_id": device, "start_time": at(start_s), "end_time": at(end_s), "is_open": False, **more}


def truth(**rows: Sequence[Row]) -> dict[str, pa.Table]:
    """Tables as simulate.truth makes them."""
    first = {"device_id": pa.string(), "start_time": TRUE_TIME, "end_time": TRUE_TIME}
    schemas = {name: pa.schema(first | more) for name, more in TRUE_SCHEMAS.items()}
    return {name: pa.Table.from_pylist(list(rows.get(name, ())), schema=schema) for name, schema in schemas.items()}


def gold(**rows: Sequence[Row]) -> dict[str, pa.Table]:
    def made(table: Table) -> pa.Table:
        return pa.Table.from_pylist(list(rows.get(table.kind, ())), schema=table_schema(table))

    return {table.kind: made(table) for table in (TRIPS, STOPS, DRIVING_EVENTS)}


def of(measure: str, measures: Sequence[Accuracy]) -> Accuracy:
    (found,) = (accuracy for accuracy in measures if accuracy.measure == measure)
    return found


def overspeed(true: Sequence[Span], found: Sequence[Span]) -> Accuracy:
    """The measure with nothing but times."""
    spans = [row(*span, kind="overspeed") for span in found]
    return of("overspeed", compare(truth(overspeed=[row(*span) for span in true]), gold(driving_events=spans), INTERVAL_S))


@pytest.mark.parametrize(
    ("true", "found", "matched", "start_s", "end_s"),
    [
        pytest.param([(0, 60), (100, 160)], [(0, 60), (100, 160)], 2, 0, 0, id="exact"),
        pytest.param([(0, 60)], [(2, 61)], 1, 2, 1, id="shifted"),
        pytest.param([(0, 2)], [(5, 5)], 1, 5, 3, id="in the report after it"),
        pytest.param([(0, 2)], [(6, 6)], 0, None, None, id="too late"),
        pytest.param([(10, 12)], [(6, 6)], 0, None, None, id="too early"),
        pytest.param([(0, 60), (100, 160)], [(100, 160)], 1, 0, 0, id="missed"),
        pytest.param([(0, 60)], [(0, 60), (100, 160)], 1, 0, 0, id="made up"),
        pytest.param([(0, 60)], [(0, 60), (0, 60)], 1, 0, 0, id="doubled"),
        pytest.param([(0, 60)], [(0, 20), (40, 60)], 1, 0, 40, id="split"),
        pytest.param([(0, 20), (40, 60)], [(0, 60)], 1, 0, 40, id="merged"),
        pytest.param([(0, 20), (22, 40)], [(1, 20), (22, 41)], 2, 1, 1, id="neighbours closer than the tolerance"),
        pytest.param([(0, 20)], [], 0, None, None, id="nothing found"),
        pytest.param([], [(0, 20)], 0, None, None, id="nothing true"),
        pytest.param([], [], 0, None, None, id="empty"),
    ],
)
def test_one_found_episode_matches_one_true_one(
    true: list[Span], found: list[Span], matched: int, start_s: float | None, end_s: float | None
) -> None:
    accuracy = overspeed(true, found)
    assert (accuracy.true, accuracy.found, accuracy.matched) == (len(true), len(found), matched)
    assert (len(accuracy.missed), len(accuracy.false)) == (len(true) - matched, len(found) - matched)
    assert accuracy.precision == (matched / len(found) if found else 1.0)
    assert accuracy.recall == (matched / len(true) if true else 1.0)
    worst = [spread and spread.worst for spread in (accuracy.start_error_s, accuracy.end_error_s)]
    assert worst == [start_s, end_s]


@given(
    lengths=st.lists(st.tuples(st.integers(1, 20), st.integers(7, 30)), min_size=1, max_size=8),
    lost=st.sets(st.integers(0, 7)),
    added=st.sets(st.integers(0, 7)),
)
def test_what_is_lost_is_missed_and_what_is_added_is_false(lengths: list[tuple[int, int]], lost: set[int], added: set[int]) -> None:
    true: list[Span] = []
    for length, gap in lengths:
        begin = (true[-1][1] if true else 0) + gap
        true.append((begin, begin + length))
    end = true[-1][1]
    false = [(end + 10.0 * (i + 1), end + 10.0 * (i + 1)) for i in added]
    kept = [span for i, span in enumerate(true) if i not in lost]
    accuracy = overspeed(true, sorted([*kept, *false]))
    assert accuracy.matched == len(kept)
    assert [episode.start_time for episode in accuracy.missed] == [at(b) for i, (b, _) in enumerate(true) if i in lost]
    assert [episode.start_time for episode in accuracy.false] == sorted(at(b) for b, _ in false)
    assert accuracy.start_error_s in (None, Spread(0.0, 0.0))


def test_devices_and_kinds_do_not_answer_for_each_other() -> None:
    harsh = [row(0, 2, "v1", kind="braking"), row(0, 2, "v2", kind="cornering"), row(0, 2, "v3", kind="acceleration")]
    found = [
        row(3, 3, "v2", kind="harsh_braking"),
        row(3, 3, "v2", kind="harsh_cornering"),
        row(3, 3, "v3", kind="overspeed"),
    ]
    measures = compare(truth(harsh_events=harsh), gold(driving_events=found), INTERVAL_S)
    assert [accuracy.measure for accuracy in measures] == list(MEASURES) == ["trips", "stops", *DRIVING_EVENTS_KINDS]
    assert {accuracy.measure: (accuracy.true, accuracy.found, accuracy.matched) for accuracy in measures} == {
        "trips": (0, 0, 0),
        "stops": (0, 0, 0),
        "harsh_acceleration": (1, 0, 0),
        "harsh_braking": (1, 1, 0),
        "harsh_cornering": (1, 1, 1),
        "overspeed": (0, 1, 0),
    }
    assert of("harsh_braking", measures).missed == (Episode("v1", at(0), at(2)),)
    assert of("harsh_braking", measures).false == (Episode("v2", at(3), at(3)),)


def test_rows_may_come_in_any_order() -> None:
    true = [row(0, 10, "v2"), row(50, 60, "v1"), row(0, 10, "v1")]
    found = [row(51, 60, "v1", kind="overspeed"), row(0, 10, "v1", kind="overspeed"), row(0, 10, "v2", kind="overspeed")]
    accuracy = of("overspeed", compare(truth(overspeed=true), gold(driving_events=found), INTERVAL_S))
    assert (accuracy.matched, accuracy.start_error_s) == (3, Spread(0.0, 1.0))


def test_errors_of_trips_and_stops() -> None:
    true = truth(
        trips=[row(0, 100, distance_km=100.0), row(500, 600, distance_km=10.0), row(900, 950, distance_km=1.0)],
        stops=[row(150, 400, latitude=52.0, longitude=-1.0)],
    )
    found = gold(
        trips=[row(0, 100, distance_km=100.5), row(502, 601, distance_km=9.8), row(900, 950, distance_km=1.0)],
        stops=[row(150, 400, latitude=52.0, longitude=-1.001)],
    )
    measures = compare(true, found, INTERVAL_S)
    trips, stops = of("trips", measures), of("stops", measures)
    assert (trips.start_error_s, trips.end_error_s) == (Spread(0.0, 2.0), Spread(0.0, 1.0))
    assert trips.distance_error_percent == Spread(pytest.approx(0.5), pytest.approx(2.0))
    assert stops.position_error_m == Spread(*[pytest.approx(68.457, abs=0.01)] * 2)  # cos(52 deg) of 111.195 m
    assert (trips.position_error_m, stops.distance_error_percent) == (None, None)


def test_an_open_trip_is_not_false_but_may_be_right() -> None:
    true = truth(trips=[row(0, 100, "v1", distance_km=10.0)])
    found = gold(
        trips=[
            row(0, 50, "v1", distance_km=5.0, is_open=True),  # its last reports have not been read
            row(0, 90, "v2", distance_km=9.0, is_open=True),  # has not arrived: the truth does not have it
            row(0, 90, "v3", distance_km=9.0),
        ]
    )
    trips = of("trips", compare(true, found, INTERVAL_S))
    assert (trips.true, trips.found, trips.matched) == (1, 2, 1)
    assert [episode.device_id for episode in trips.false] == ["v3"]
    assert trips.end_error_s == Spread(50.0, 50.0)


def test_shortfalls_say_what_and_by_how_much() -> None:
    strict, lenient = Bar(1.0, 1.0, 4.0, 1.0, 1.0), Bar(0.5, 0.5, 5.0, 2.1, 2.1)
    true = truth(trips=[row(0, 100, distance_km=10.0)], overspeed=[row(0, 60), row(100, 160), row(200, 260)])
    found = gold(
        trips=[row(5, 100, distance_km=10.2)],
        driving_events=[row(0, 60, kind="overspeed"), row(100, 160, kind="overspeed"), row(400, 460, kind="overspeed")],
    )
    measures = compare(true, found, INTERVAL_S)
    assert [text for accuracy in measures for text in strict.shortfalls(accuracy)] == [
        "worst start of a trip 5 s off, above 4 s",
        "worst distance of a trip 2 % off, above 1 %",
        "median distance of trips 2 % off, above 1 %",
        "precision of overspeed 0.6667 (2 of 3), below 1",
        "recall of overspeed 0.6667 (2 of 3), below 1",
    ]
    assert [text for accuracy in measures for text in lenient.shortfalls(accuracy)] == []
