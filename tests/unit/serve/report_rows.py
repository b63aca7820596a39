"""Rows of the tables that reports read, made by hand."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.columns import Type
from fleetlake.contracts.gold import DRIVING_EVENTS_KINDS, TRIPS
from fleetlake.contracts.table import Table
from fleetlake.lake.catalog import Lake
from fleetlake.lake.commits import commit
from fleetlake.lake.write import write_files

RunCommand = Callable[..., tuple[int, str, str]]  # arguments; exit code, stdout, stderr
DAY = datetime(2026, 1, 1, tzinfo=UTC)
ZERO: dict[Type, Any] = {Type.STRING: "", Type.DOUBLE: 0.0, Type.INTEGER: 0, Type.LONG: 0, Type.BOOLEAN: False, Type.TIMESTAMP: DAY}


def at(hours: float, minutes: float = 0, seconds: float = 0, day: int = 0) -> datetime:
    return DAY + timedelta(days=day, hours=hours, minutes=minutes, seconds=seconds)


def row(table: Table, **values: Any) -> dict[str, Any]:
    """A row with what it says; required columns it does not say are empty or 0, an id of its own, others null."""
    unknown = set(values) - {column.name for column in table.columns}
    assert not unknown, f"{table.name} has no {unknown}"
    identity = {column.name: uuid.uuid4().hex for column in (table.columns[0],) if column.type is Type.STRING}
    return {column.name: ZERO[column.type] for column in table.columns if column.required} | identity | values


def fill(lake: Lake, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    """Makes the table if it is absent and adds rows in one commit."""
    lake.ensure([table])
    stored = lake.table(table.name)
    arrow = pa.Table.from_pylist(list(rows), schema=table_schema(table))
    commit(stored, added=write_files(stored, arrow, folder=uuid.uuid4().hex), properties={})


def score(
    table: Table, device: str, km: float, score: float | None, day: int = 0, period: str = "day", **kinds: Any
) -> dict[str, Any]:
    """kinds: (events, points) by kind."""
    values: dict[str, Any] = {}
    for kind in DRIVING_EVENTS_KINDS:
        events, points = kinds.pop(kind, (0, 0.0 if score is not None else None))
        values |= {f"{kind}_events": events, f"{kind}_points": points}
    return row(table, device_id=device, period=period, start_time=at(0, day=day), distance_km=km, score=score, **values, **kinds)


def trip(device: str, hour: float, **more: Any) -> dict[str, Any]:
    times = {"start_time": at(hour), "end_time": at(hour, 30), "duration_s": 1800.0, "moving_s": 1700.0, "idle_s": 100.0}
    speeds = {"distance_km": 20.0 + hour, "average_speed_kmh": 40.0, "top_speed_kmh": 90.0}
    return row(TRIPS, trip_id=f"{device} {hour}", device_id=device, **(times | speeds | more))
