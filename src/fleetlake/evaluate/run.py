"""Gold against what really happened: on fleets of its own under several conditions, and in a lake that a simulation filled."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from fleetlake.config.settings import Settings
from fleetlake.config.wiring import open_lake_from, transform_settings
from fleetlake.contracts.events import GPS, VEHICLE, Event
from fleetlake.contracts.gold import DRIVING_EVENTS, STOPS, TRIPS
from fleetlake.contracts.tables import bronze_of, silver_of
from fleetlake.evaluate.accuracy import Accuracy, Bar, Spread, compare
from fleetlake.foundation.display import escape_controls
from fleetlake.foundation.errors import Missing, Unproven
from fleetlake.ingest.decode import RAW_SCHEMA, Decoder
from fleetlake.lake.commits import commit
from fleetlake.lake.memory_database import small_database
from fleetlake.lake.write import write_files
from fleetlake.runtime.spill import spill_folder
from fleetlake.serve.output import Form, write_json_array, write_rows
from fleetlake.serve.query import UsedTables, expose_tables
from fleetlake.serve.session import fetch, reading_session
from fleetlake.simulate.faults import FaultRates
from fleetlake.simulate.run import SimulationSettings, run_simulation
from fleetlake.simulate.truth import read_truth
from fleetlake.transform.runner import run_transform

if TYPE_CHECKING:
    from pyiceberg.table import Table as IcebergTable

    from fleetlake.lake.catalog import Lake

Progress = Callable[[str], None]
START = datetime(2026, 1, 5, 6, tzinfo=UTC)
DEFAULT_TICK_S, SECOND_S = 3, 1  # the simulator's truth is exact to a second
ROWS_AT_ONCE = 200_000
MOST_LINES = 20
MEASURED = (TRIPS, STOPS, DRIVING_EVENTS)

EXACT = Bar(precision=1.0, recall=1.0, worst_trip_boundary_s=DEFAULT_TICK_S + SECOND_S, worst_distance_percent=1.0)
GOOD = Bar(precision=0.98, recall=0.95, median_distance_percent=1.0)


@dataclass(frozen=True, slots=True)
class Condition:
    """How a fleet reports, and what is asked of gold then. dropped_fixes: share of the GPS rows that are never sent."""

    name: str
    bar: Bar = GOOD
    tick_s: int = DEFAULT_TICK_S
    gps_noise_m: float = 0.0
    dropped_fixes: float = 0.0


CONDITIONS = (
    Condition("default", EXACT),
    Condition("noise", gps_noise_m=5.0),
    Condition("dropped", dropped_fixes=0.05),
    Condition("30 s", tick_s=30),
    Condition("all three", tick_s=30, gps_noise_m=5.0, dropped_fixes=0.05),
)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One comparison. condition: a condition's name, or that of the truth's folder."""

    condition: str
    interval_s: float
    bar: Bar
    measures: tuple[Accuracy, ...]

    @property
    def shortfalls(self) -> tuple[str, ...]:
        return tuple(f"{self.condition}: {text}" for accuracy in self.measures for text in self.bar.shortfalls(accuracy))


def evaluate_fleet(condition: Condition, vehicles: int, seed: int, on_progress: Progress = lambda step: None) -> Evaluation:
    """Drives a fleet into a lake of its own, made with default settings, and compares. BadInput if there can't be such a fleet."""
    run = SimulationSettings(vehicles, START, condition.tick_s, seed, gps_noise_m=condition.gps_noise_m)
    with spill_folder("evaluate") as folder:
        settings, truth = Settings(home=folder), folder / "truth"
        with closing(open_lake_from(settings)) as lake:
            on_progress(f"{condition.name}: simulate")
            land_run(lake, run, FaultRates(dropped_fixes=condition.dropped_fixes), truth)
            run_transform(lake, transform_settings(settings), on_progress=lambda name: on_progress(f"{condition.name}: {name}"))
            happened = _Happened.read(truth)
            gold, _ = _read_gold(lake, happened)
    return Evaluation(condition.name, condition.tick_s, condition.bar, compare(happened.tables, gold, condition.tick_s))


def land_run(lake: Lake, run: SimulationSettings, faults: FaultRates, truth: Path) -> None:
    """Lands in bronze what a fleet reports, without Kafka but through the decoder of the ingest, and writes the truth.

    Only of the kinds that trips, stops and driving events are made of. All of it arrives on the day after the run.
    """
    with small_database() as con:
        run_simulation(run, _Landing(lake, con, run.start_time + timedelta(days=1)), faults=faults, truth_folder=truth)


def evaluate_lake(lake: Lake, truth: Path) -> Evaluation:
    """Compares a lake's own gold tables with the truth of a run it holds: the run's devices, in the run's time.

    How often they report follows from silver. BadInput if `truth` is none; Missing if the lake has no report of the run.
    """
    happened = _Happened.read(truth)
    gold, interval_s = _read_gold(lake, happened)
    if interval_s is None:
        raise Missing(
            "the lake has no reports of this run",
            where=str(truth),
            hint="fleetlake ingest --once, then fleetlake transform, if the run went to Kafka",
        )
    return Evaluation(truth.resolve().name, interval_s, GOOD, compare(happened.tables, gold, interval_s))


@dataclass(frozen=True, slots=True)
class _Happened:
    """The truth of a run. devices: those something happened to; begin, end: when."""

    tables: Mapping[str, pa.Table]
    devices: pa.Array
    begin: datetime
    end: datetime

    @classmethod
    def read(cls, folder: Path) -> _Happened:
        tables = read_truth(folder)
        episodes = pa.concat_tables([table.select(["device_id", "start_time", "end_time"]) for table in tables.values()])
        if not episodes.num_rows:
            raise Missing("nothing happened in this run", where=str(folder), hint="the truth of a run that went on for longer")
        begin, end = pc.min(episodes["start_time"]).as_py(), pc.max(episodes["end_time"]).as_py()
        return cls(tables, pc.unique(episodes["device_id"]), begin, end)


def _read_gold(lake: Lake, happened: _Happened) -> tuple[Mapping[str, pa.Table], float | None]:
    """The gold tables of a run's devices and time; and what is usual between two fixes, in s, None if there are none."""
    names = [table.name for table in (*MEASURED, silver_of(GPS))]

    def expose(con: duckdb.DuckDBPyConnection) -> list[IcebergTable]:
        con.register("devices", pa.table({"device_id": happened.devices}))
        return expose_tables(con, lake, UsedTables(tuple(names)))

    within = "SEMI JOIN devices USING (device_id) WHERE"
    time = {"begin": happened.begin, "end": happened.end}
    with reading_session(expose) as con:
        gold = {
            table.kind: fetch(con, f"FROM {table.name} {within} end_time >= $begin AND start_time <= $end", parameters=time)
            for table in MEASURED
        }
        interval = fetch(
            con,
            f"""
            SELECT median(epoch(event_time) - epoch(previous)) AS interval_s
            FROM (
                SELECT event_time, lag(event_time) OVER (PARTITION BY device_id ORDER BY event_time) AS previous
                FROM {silver_of(GPS).name} {within} event_time BETWEEN $begin AND $end
            )
            WHERE event_time > previous
            """,
            parameters=time,
        )
    return gold, interval["interval_s"][0].as_py()


class _Landing:
    """A sink that lands events in bronze, one partition, offsets in their order."""

    def __init__(self, lake: Lake, con: duckdb.DuckDBPyConnection, ingested_at: datetime) -> None:
        self._lake, self._ingested_at = lake, ingested_at
        self._decoders = {event: Decoder(event, con) for event in (VEHICLE, GPS)}
        self._waiting: dict[Event, list[bytes]] = {event: [] for event in self._decoders}
        self._offsets = dict.fromkeys(self._decoders, 0)
        lake.ensure(bronze_of(event) for event in self._decoders)

    def send(self, event: Event, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        if event in self._waiting:
            self._waiting[event] += values
            if len(self._waiting[event]) >= ROWS_AT_ONCE:
                self._land(event)

    def flush(self) -> None:
        for event in self._waiting:
            self._land(event)

    def _land(self, event: Event) -> None:
        values, first = self._waiting[event], self._offsets[event]
        if not values:
            return
        columns = [[0] * len(values), list(range(first, first + len(values))), [self._ingested_at] * len(values), values]
        rows = self._decoders[event].decode(pa.table(columns, schema=RAW_SCHEMA), self._ingested_at)
        table = self._lake.table(bronze_of(event).name)
        commit(table, added=write_files(table, rows, folder=uuid.uuid4().hex), properties={})
        self._waiting[event], self._offsets[event] = [], first + len(values)


def print_evaluations(evaluations: Sequence[Evaluation], *, as_json: bool) -> None:
    """A row a measure, then what was missed and what is false; as JSON an array with all there is to know."""
    if as_json:
        write_json_array(_records(evaluations), sys.stdout)
        return
    write_rows(_for_people(evaluations), Form.TABLE, limit=0, title="Gold against the truth")
    wrong = [line for evaluation in evaluations for accuracy in evaluation.measures for line in _wrong(evaluation, accuracy)]
    for line in wrong[:MOST_LINES]:
        print(escape_controls(line))
    if len(wrong) > MOST_LINES:
        print(f"... and {len(wrong) - MOST_LINES} more; --json has all")


def require_good(evaluations: Sequence[Evaluation], *, hint: str = "") -> None:
    """Unproven if a measure of a condition is below its bar, with which and by how much."""
    if shortfalls := [text for evaluation in evaluations for text in evaluation.shortfalls]:
        raise Unproven("gold does not tell what happened", where="; ".join(shortfalls), hint=hint)


def _records(evaluations: Sequence[Evaluation]) -> Iterator[dict[str, object]]:
    for evaluation in evaluations:
        for accuracy in evaluation.measures:
            yield {
                "condition": evaluation.condition,
                "interval_s": evaluation.interval_s,
                **asdict(accuracy),
                "precision": accuracy.precision,
                "recall": accuracy.recall,
                "shortfalls": tuple(evaluation.bar.shortfalls(accuracy)),
            }


def _for_people(evaluations: Sequence[Evaluation]) -> pa.Table:
    """Errors as median / worst."""

    def error(spread: Spread | None, unit: str = "") -> str:
        return f"{spread.median:.3g} / {spread.worst:.3g}{unit}" if spread else ""

    return pa.Table.from_pylist(
        [
            {
                "condition": evaluation.condition,
                "measure": accuracy.measure,
                "true": accuracy.true,
                "found": accuracy.found,
                "matched": accuracy.matched,
                "precision": f"{accuracy.precision:.3f}",
                "recall": f"{accuracy.recall:.3f}",
                "start off (s)": error(accuracy.start_error_s),
                "end off (s)": error(accuracy.end_error_s),
                "distance, place off": error(accuracy.distance_error_percent, " %") or error(accuracy.position_error_m, " m"),
                "": "BELOW" if any(evaluation.bar.shortfalls(accuracy)) else "",
            }
            for evaluation in evaluations
            for accuracy in evaluation.measures
        ]
    )


def _wrong(evaluation: Evaluation, accuracy: Accuracy) -> Iterator[str]:
    for kind, episodes in (("missed", accuracy.missed), ("false", accuracy.false)):
        for episode in episodes:
            when = f"{episode.start_time:%Y-%m-%d %H:%M:%S} to {episode.end_time:%H:%M:%S} UTC"
            yield f"{evaluation.condition}: {accuracy.measure}: {kind} {episode.device_id} {when}"
