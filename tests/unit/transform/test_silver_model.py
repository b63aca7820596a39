"""silver/event.sql: first arrival wins, rejects are left out, late rows are marked."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transform_rows import T0, Rows

from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.events import EVENTS, WEATHER, Event
from fleetlake.contracts.tables import bronze_of, silver_of
from fleetlake.transform.models import table_model
from fleetlake.transform.settings import Thresholds

SEEN = pa.schema([pa.field("event_id", pa.string())])
LATEST = pa.schema([pa.field("device_id", pa.string()), pa.field("event_time", pa.timestamp("us", tz="UTC"))])


def arrival(offset: int, at_s: float, event_id: str, *, device_id: str = "v1", **more: Any) -> dict[str, Any]:
    made = {"kafka_partition": 0, "kafka_offset": offset, "ingested_at": T0 + timedelta(hours=1, seconds=offset // 3)}
    return made | {"event_id": event_id, "device_id": device_id, "event_time": T0 + timedelta(seconds=at_s)} | more


def run_silver(con: duckdb.DuckDBPyConnection, arrived: Rows, *, silver: Rows | None = None, event: Event = WEATHER) -> Rows:
    """One run of the model on rows that arrived, after the rows silver has."""
    stored, ids = silver or [], {row["event_id"] for row in arrived}
    con.register("arrived", pa.Table.from_pylist(arrived, schema=table_schema(bronze_of(event))))
    con.register("seen", pa.Table.from_pylist([row for row in stored if row["event_id"] in ids], schema=SEEN))
    con.register("all_latest", pa.Table.from_pylist(stored, schema=LATEST))
    con.execute("CREATE OR REPLACE VIEW latest AS SELECT device_id, max(event_time) AS event_time FROM all_latest GROUP BY ALL")
    model = table_model(silver_of(event), Thresholds())
    rows: Rows = con.sql(model.sql, params=model.settings).to_arrow_table().to_pylist()
    return sorted(rows, key=lambda row: row["kafka_offset"])


def kept(rows: Rows) -> list[tuple[str, int, float, bool]]:
    return [(row["event_id"], row["kafka_offset"], row["late_by_s"], row["is_late"]) for row in rows]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_every_kind_has_the_columns_of_its_contract(con: duckdb.DuckDBPyConnection, event: Event) -> None:
    (row,) = run_silver(con, [arrival(0, 0, "a")], event=event)
    assert set(row) == {column.name for column in silver_of(event).columns}


def test_the_first_arrival_wins(con: duckdb.DuckDBPyConnection) -> None:
    rows = [arrival(5, 0, "a", humidity_percent=2.0), arrival(2, 0, "a", humidity_percent=1.0), arrival(7, 3, "b")]
    found = run_silver(con, rows)
    assert [(row["event_id"], row["kafka_offset"], row["humidity_percent"]) for row in found] == [("a", 2, 1.0), ("b", 7, None)]


def test_what_silver_has_is_not_added_again(con: duckdb.DuckDBPyConnection) -> None:
    before = run_silver(con, [arrival(0, 0, "a")])
    assert kept(run_silver(con, [arrival(1, 0, "a"), arrival(2, 3, "b")], silver=before)) == [("b", 2, 0.0, False)]


def test_rejects_are_left_out_and_make_nothing_late(con: duckdb.DuckDBPyConnection) -> None:
    rows = [arrival(0, 9000, "x", reject_reason="range: humidity: 101"), arrival(1, 0, "a")]
    assert kept(run_silver(con, rows)) == [("a", 1, 0.0, False)]


@pytest.mark.parametrize(("behind_s", "late"), [(0, False), (119, False), (120, False), (120.001, True), (5000, True)])
def test_late_is_further_behind_than_the_lateness(con: duckdb.DuckDBPyConnection, behind_s: float, late: bool) -> None:
    first = arrival(0, 10_000, "a")
    second = arrival(1, 10_000 - behind_s, "b")
    within_one_run = run_silver(con, [first, second])
    over_two_runs = run_silver(con, [second], silver=run_silver(con, [first]))
    for rows in (within_one_run[1:], over_two_runs):
        assert kept(rows) == [("b", 1, pytest.approx(behind_s), late)]


def test_another_device_makes_nothing_late(con: duckdb.DuckDBPyConnection) -> None:
    rows = [arrival(0, 10_000, "a", device_id="v2"), arrival(1, 0, "b")]
    assert kept(run_silver(con, rows))[1] == ("b", 1, 0.0, False)


def reference(arrivals: Rows) -> list[tuple[str, int, float, bool]]:
    """Silver, record by record in order of arrival."""
    latest: dict[str, Any] = {}
    ids: set[str] = set()
    found = []
    for row in sorted(arrivals, key=lambda row: (row["ingested_at"], row["kafka_partition"], row["kafka_offset"])):
        if row["reject_reason"] or row["event_id"] in ids:
            continue
        ids.add(row["event_id"])
        before = latest.get(row["device_id"], row["event_time"])
        late_by_s = max(0.0, (before - row["event_time"]).total_seconds())
        latest[row["device_id"]] = max(before, row["event_time"])
        found.append((row["event_id"], row["kafka_offset"], late_by_s, late_by_s > 120))
    return sorted(found, key=lambda row: row[1])


ARRIVALS = st.lists(
    st.tuples(st.integers(0, 12), st.sampled_from(["v1", "v2"]), st.integers(0, 400), st.booleans() | st.just(False)), max_size=30
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ARRIVALS, st.lists(st.integers(0, 30), max_size=3), st.randoms(use_true_random=False))
def test_any_division_into_runs_gives_the_definition(
    con: duckdb.DuckDBPyConnection, made: list[tuple[int, str, int, bool]], cuts: list[int], random: Any
) -> None:
    arrivals = [
        arrival(offset, at_s, f"{event_id}", device_id=device_id, reject_reason="rule" if reject else None)
        for offset, (event_id, device_id, at_s, reject) in enumerate(made)
    ]
    silver: Rows = []
    edges = [0, *sorted(cut * 3 for cut in cuts), len(arrivals)]  # ingested_at is the same for three rows: they come together
    for start, end in pairwise(edges):
        batch = arrivals[start:end]
        random.shuffle(batch)
        if batch:
            silver += run_silver(con, batch, silver=silver)
    assert kept(sorted(silver, key=lambda row: row["kafka_offset"])) == reference(arrivals)
