"""Scores explained: every event has its price, and the prices add up to what is missing from 100."""

from __future__ import annotations

import io
from typing import Any

import pytest
from report_rows import at, fill, row, score

from fleetlake.contracts.gold import DRIVER_SCORES, DRIVING_EVENTS
from fleetlake.lake.catalog import Lake
from fleetlake.serve.reports import Period, Selection, read_report, scores_of, write_report
from fleetlake.serve.reports.scores import break_down, summary


def event(device: str, kind: str, hour: float, day: int = 0, **more: Any) -> dict[str, Any]:
    return row(DRIVING_EVENTS, device_id=device, kind=kind, start_time=at(hour, day=day), duration_s=3.0, peak_ms2=3.5, **more)


def said(lake: Lake, period: Period = Period.DAY, *, explained: bool = True, selection: Selection | None = None) -> list[str]:
    out = io.StringIO()
    write_report(read_report(lake, scores_of(period, explained=explained), selection), out=out)
    return out.getvalue().splitlines()


@pytest.fixture
def scored(bare_lake: Lake) -> Lake:
    """v0 drove 50 km on each of two days, v1 200 km on one and too little on the other, v2 200 km without an event."""
    fill(bare_lake, DRIVER_SCORES, [
        score(DRIVER_SCORES, "v0", 50, 76.0, harsh_braking=(2, 24.0)),
        score(DRIVER_SCORES, "v0", 50, 84.0, day=1, overspeed=(1, 16.0)),
        score(DRIVER_SCORES, "v1", 200, 93.0, harsh_braking=(1, 3.0), harsh_cornering=(2, 4.0)),
        score(DRIVER_SCORES, "v1", 3, None, day=1, harsh_braking=(1, None)),
        score(DRIVER_SCORES, "v2", 200, 100.0),
        score(DRIVER_SCORES, "v0", 100, 80.0, period="week", harsh_braking=(2, 12.0), overspeed=(1, 8.0)),
    ])  # fmt: skip
    fill(bare_lake, DRIVING_EVENTS, [
        event("v0", "harsh_braking", 8, road="M40", place="Oxford"), event("v0", "harsh_braking", 23.99),
        event("v0", "overspeed", 0, day=1, peak_speed_kmh=131.0, speed_limit_kmh=113.0),
        event("v1", "harsh_braking", 9), event("v1", "harsh_cornering", 10), event("v1", "harsh_cornering", 10.5),
        event("v1", "harsh_braking", 9, day=1),
    ])  # fmt: skip
    return bare_lake


def test_scores_for_people(scored: Lake) -> None:
    assert said(scored, explained=False) == [
        "device  period (UTC)     km  score  acceleration   braking  cornering  overspeed",
        "v0      2026-01-01     50.0   76.0       0.0 (0)  24.0 (2)    0.0 (0)    0.0 (0)",
        "v1      2026-01-01    200.0   93.0       0.0 (0)   3.0 (1)    4.0 (2)    0.0 (0)",
        "v2      2026-01-01    200.0  100.0       0.0 (0)   0.0 (0)    0.0 (0)    0.0 (0)",
        "v0      2026-01-02     50.0   84.0       0.0 (0)   0.0 (0)    0.0 (0)   16.0 (1)",
        "v1      2026-01-02      3.0      -           (0)       (1)        (0)        (0)",
        "(score: 100 less the points of all kinds, at least 0, - where too little was driven; kinds: points lost (events))",
        "4 scores, 1 without a score, 3 devices, 503.0 km, 93.2 mean score, 76.0 lowest",
    ]


def test_weeks_are_asked_for(scored: Lake) -> None:
    lines = said(scored, Period.WEEK, explained=False)
    assert lines[1].startswith("v0      week of 2026-01-01  100.0   80.0")
    assert len(lines) == 4


@pytest.mark.parametrize("period", Period)
def test_what_events_cost_adds_up_to_what_is_missing(scored: Lake, period: Period) -> None:
    rows = read_report(scored, scores_of(period, explained=True)).rows.to_pylist()
    assert rows
    for found in rows:
        points = [one["points"] for one in found["events"]]
        if found["score"] is None:
            assert points == [None]
        else:
            assert sum(points) == pytest.approx(100 - found["score"])


def test_an_explanation_for_people(scored: Lake) -> None:
    assert said(scored, selection=Selection("v0")) == [
        "v0, 2026-01-01: 76.0 on 50.0 km, 24.00 points lost in 2 events",
        "    start (UTC)          what                peak  limit      for  road  place   points",
        "    2026-01-01 08:00:00  harsh braking  3.50 m/s²         0:00:03  M40   Oxford  -12.00",
        "    2026-01-01 23:59:24  harsh braking  3.50 m/s²         0:00:03                -12.00",
        "v0, 2026-01-02: 84.0 on 50.0 km, 16.00 points lost in 1 event",
        "    start (UTC)          what           peak  limit      for  road  place  points",
        "    2026-01-02 00:00:00  overspeed  131 km/h    113  0:00:03               -16.00",
        "(score: 100 less all points, at least 0; an event costs the weight of its kind times 100 over the km driven)",
        "2 scores, 1 device, 100.0 km, 80.0 mean score, 76.0 lowest",
    ]
    assert "v2, 2026-01-01: 100.0 on 200.0 km, nothing lost" in said(scored)


def test_a_week_has_the_events_of_seven_days(scored: Lake) -> None:
    fill(scored, DRIVING_EVENTS, [event("v0", "harsh_braking", 0, day=7)])
    (found,) = read_report(scored, scores_of(Period.WEEK, explained=True)).rows.to_pylist()
    assert [one["kind"] for one in found["events"]] == ["harsh_braking", "harsh_braking", "overspeed"]


def test_what_does_not_add_up_is_said(bare_lake: Lake) -> None:
    fill(bare_lake, DRIVER_SCORES, [
        score(DRIVER_SCORES, "v0", 10, 0.0, harsh_braking=(2, 120.0)), score(DRIVER_SCORES, "v1", 1, None),
        score(DRIVER_SCORES, "v2", 10, 60.0, overspeed=(1, 40.0)),
    ])  # fmt: skip
    fill(bare_lake, DRIVING_EVENTS, [event("v0", "harsh_braking", hour) for hour in (8, 9)])
    rows = read_report(bare_lake, scores_of(Period.DAY, explained=True)).rows.to_pylist()
    assert [summary(found) for found in rows] == [
        "v0, 2026-01-01: 0.0 on 10.0 km, 120.00 points lost in 2 events; no score is below 0",
        "v2, 2026-01-01: 60.0 on 10.0 km, 40.00 points lost in 1 event; gold.driving_events has 0 by now: "
        "fleetlake transform counts again",
        "v1, 2026-01-01: 1.0 km, too little for a score",
    ]


def test_scores_without_a_table_of_events_are_explained_by_their_counts(bare_lake: Lake) -> None:
    fill(bare_lake, DRIVER_SCORES, [score(DRIVER_SCORES, "v0", 100, 100.0)])
    assert said(bare_lake)[0] == "v0, 2026-01-01: 100.0 on 100.0 km, nothing lost"


def test_a_breakdown_weighs_by_distance(scored: Lake) -> None:
    broken_down = break_down(read_report(scored, scores_of(Period.DAY)).rows)
    assert [(one.device_id, one.distance_km, one.score) for one in broken_down] == [
        ("v0", 100.0, 80.0), ("v1", 200.0, 93.0), ("v2", 200.0, 100.0),
    ]  # fmt: skip
    assert broken_down[0].points == {
        "harsh_acceleration": 0.0, "harsh_braking": 12.0, "harsh_cornering": 0.0, "overspeed": 8.0,
    }  # fmt: skip
    assert broken_down[0].events["harsh_braking"] == 2
