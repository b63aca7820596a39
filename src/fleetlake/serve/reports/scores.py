"""Driver scores, and what each driving event cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import pyarrow as pa

from fleetlake.contracts.gold import DRIVER_SCORES, DRIVING_EVENTS, DRIVING_EVENTS_KINDS
from fleetlake.lake.memory_database import small_database
from fleetlake.serve.reports.columns import DEVICE, DEVICES, count, number, sum_of
from fleetlake.serve.reports.definition import ReportDefinition, Row, Shown
from fleetlake.serve.reports.wording import fixed, tenths

SCORED = "FILTER (WHERE score IS NOT NULL)"
EXPLAINED_NOTE = "score: 100 less all points, at least 0; an event costs the weight of its kind times 100 over the km driven"
EVENTS = "events"  # the column of an explained score that lists its driving events
EVENT_COLUMNS = tuple(column.name for column in DRIVING_EVENTS.columns if column.name != "device_id")


class Period(StrEnum):
    """What one score is about."""

    DAY = "day"
    WEEK = "week"


def _when(row: Row) -> str:
    return f"{'week of ' if row['period'] == Period.WEEK else ''}{row['start_time']:%Y-%m-%d}"


def _lost(kind: str) -> Shown:
    def lost(row: Row) -> str:
        points, events = row[f"{kind}_points"], row[f"{kind}_events"]
        return f"({events})" if points is None else f"{fixed(points, 1)} ({events})"

    return Shown(kind.removeprefix("harsh_"), lost, is_number=True)


SCORES = ReportDefinition(
    "scores", "Driver scores", "scores", (DRIVER_SCORES,), where="period = 'day'",
    order="start_time, score NULLS LAST, device_id",
    columns=(
        DEVICE,
        Shown("period (UTC)", _when),
        number("km", "distance_km", 1),
        Shown("score", lambda row: "-" if row["score"] is None else fixed(row["score"], 1), is_number=True),
        *map(_lost, DRIVING_EVENTS_KINDS),
    ),
    totals=(
        count("score", f"count(*) {SCORED}"),
        count("without a score", "count(*) FILTER (WHERE score IS NULL)", plural="without a score"),
        DEVICES,
        sum_of("km", "sum(distance_km)", tenths),
        sum_of("mean score", f"sum(score * distance_km) {SCORED} / nullif(sum(distance_km) {SCORED}, 0)", tenths),
        sum_of("lowest", "min(score)", tenths),
    ),
    note="score: 100 less the points of all kinds, at least 0, - where too little was driven; kinds: points lost (events)",
)  # fmt: skip


def scores_of(period: Period, *, explained: bool = False) -> ReportDefinition:
    """The scores of days or weeks. explained: each row with its driving events, in the column `events`, and what each cost."""
    report = replace(SCORES, where=f"period = '{period}'")
    if not explained:
        return report
    return replace(report, tables=(*report.tables, DRIVING_EVENTS), select=_explained(period), note=EXPLAINED_NOTE)


def _explained(period: Period) -> str:
    fields = ", ".join(f"{name} := event.{name}" for name in EVENT_COLUMNS)
    points = " ".join(f"WHEN '{kind}' THEN score.{kind}_points / nullif(score.{kind}_events, 0)" for kind in DRIVING_EVENTS_KINDS)
    return f"""
        WITH score AS (
            SELECT * FROM gold.driver_scores
            WHERE period = '{period}' AND ($device IS NULL OR device_id = $device)
                AND ($start IS NULL OR start_time >= $start) AND ($until IS NULL OR start_time < $until)
        ),
        cost AS (
            SELECT
                score.driver_score_id,
                list(
                    struct_pack({fields}, points := CASE event.kind {points} END) ORDER BY event.start_time, event.kind
                ) AS {EVENTS}
            FROM score JOIN gold.driving_events AS event
                ON event.device_id = score.device_id AND event.start_time >= score.start_time
                AND event.start_time < score.start_time + INTERVAL {7 if period is Period.WEEK else 1} DAY
            GROUP BY score.driver_score_id
        )
        SELECT score.*, coalesce(cost.{EVENTS}, []) AS {EVENTS}
        FROM score LEFT JOIN cost USING (driver_score_id)
        ORDER BY {SCORES.order}
    """


def summary(row: Row) -> str:
    """An explained score in a line."""
    events, km = row[EVENTS], f"{fixed(row['distance_km'], 1)} km"
    named = f"{row['device_id']}, {_when(row)}"
    if row["score"] is None:
        return f"{named}: {km}, too little for a score"
    lost = sum(row[f"{kind}_points"] for kind in DRIVING_EVENTS_KINDS)
    counted = sum(row[f"{kind}_events"] for kind in DRIVING_EVENTS_KINDS)
    said = f"{named}: {fixed(row['score'], 1)} on {km}"
    said += f", {fixed(lost, 2)} points lost in {counted} {'event' if counted == 1 else 'events'}" if counted else ", nothing lost"
    if lost > 100:
        said += "; no score is below 0"
    if counted != len(events):
        said += f"; gold.driving_events has {len(events)} by now: fleetlake transform counts again"
    return said


@dataclass(frozen=True, slots=True)
class Breakdown:
    """What one device's kinds of events cost over all the periods chosen: points, each 0 or more, by kind; score: what is left."""

    device_id: str
    distance_km: float
    points: Mapping[str, float]
    events: Mapping[str, int]

    @property
    def score(self) -> float:
        return max(100 - sum(self.points.values()), 0.0)


def break_down(rows: pa.Table) -> list[Breakdown]:
    """Scores added up by device, the worst first. Points are per 100 km, so a longer period weighs more."""
    sums = ", ".join(
        f"sum({kind}_points * distance_km) / sum(distance_km) AS {kind}_points, sum({kind}_events)::BIGINT AS {kind}_events"
        for kind in DRIVING_EVENTS_KINDS
    )
    with small_database() as con:
        con.register("scores", rows)
        found: list[dict[str, Any]] = con.sql(f"""
            SELECT device_id, sum(distance_km) AS distance_km, {sums}
            FROM scores WHERE score IS NOT NULL AND distance_km > 0 GROUP BY device_id
        """).to_arrow_table().to_pylist()  # fmt: skip
    made = [
        Breakdown(
            row["device_id"],
            row["distance_km"],
            {kind: row[f"{kind}_points"] for kind in DRIVING_EVENTS_KINDS},
            {kind: row[f"{kind}_events"] for kind in DRIVING_EVENTS_KINDS},
        )
        for row in found
    ]
    return sorted(made, key=lambda device: (-sum(device.points.values()), device.device_id))
