"""Bronze tables for comparing engines: a simulated drive with faults, and cases made by hand."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.events import EVENTS, Event
from fleetlake.contracts.gold import GOLD
from fleetlake.contracts.positions import POSITIONS
from fleetlake.contracts.tables import SILVER, bronze_of
from fleetlake.ingest.decode import RAW_SCHEMA, Decoder
from fleetlake.lake.catalog import Lake
from fleetlake.lake.commits import commit
from fleetlake.lake.write import write_files
from fleetlake.simulate.faults import FaultRates
from fleetlake.simulate.run import SimulationSettings, run_simulation

T0 = datetime(2026, 1, 1, 8, tzinfo=UTC)
Rows = list[dict[str, Any]]


class Kept:
    """A sink that keeps everything: event to values, in order."""

    def __init__(self) -> None:
        self.values: dict[Event, list[bytes]] = {event: [] for event in EVENTS}

    def send(self, event: Event, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        self.values[event] += values

    def flush(self) -> None: ...


def simulated(vehicles: int, tick_s: int) -> dict[Event, pa.Table]:
    """A drive from London to Birmingham as bronze rows, one partition, with late, doubled and bad records."""
    kept = Kept()
    settings = SimulationSettings(vehicles, T0, tick_s, seed=7, gps_noise_m=4.0)
    run_simulation(settings, kept, faults=FaultRates(duplicates=0.03, late=0.03, poison=0.02))
    with duckdb.connect() as con:
        return {event: decoded(event, values, con) for event, values in kept.values.items()}


def decoded(event: Event, values: Sequence[bytes], con: duckdb.DuckDBPyConnection) -> pa.Table:
    count = len(values)
    raw = pa.table([[0] * count, list(range(count)), [T0] * count, list(values)], schema=RAW_SCHEMA)
    return Decoder(event, con).decode(raw, T0 + timedelta(days=1)).sort_by("kafka_offset")


def bronze_rows(event: Event, rows: Rows) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=table_schema(bronze_of(event)))


def ingest(lake: Lake, arrived: Mapping[Event, pa.Table]) -> None:
    """Appends rows to bronze tables, one commit a table."""
    for event, rows in arrived.items():
        table = lake.table(bronze_of(event).name)
        if rows.num_rows:
            commit(table, added=write_files(table, rows, folder=uuid.uuid4().hex), properties={})


def compact(lake: Lake, event: Event) -> None:
    """Writes all of a bronze table into new files, as maintenance does."""
    table = lake.table(bronze_of(event).name)
    removed = [task.file for task in table.scan().plan_files()]
    commit(table, added=write_files(table, table.scan().to_arrow(), folder=uuid.uuid4().hex), removed=removed, properties={})


def contents(lake: Lake) -> dict[str, pa.Table]:
    """Silver and gold, each in one order whoever wrote it."""
    tables = {table: lake.table(table.name).scan().to_arrow() for table in (*SILVER, POSITIONS, *GOLD)}
    return {
        table.name: rows.sort_by([(table.columns[0].name, "ascending"), ("kafka_offset", "ascending")])
        if table.event
        else rows.sort_by(table.columns[0].name)
        for table, rows in tables.items()
    }
