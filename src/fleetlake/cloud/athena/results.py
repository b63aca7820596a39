"""Athena's answers, which are text, as typed columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

OFFSET = re.compile(r"^([+-])(\d{2}):(\d{2})$")
WIDEST_DECIMAL = 38
Parse = Callable[[str], Any]
INTEGERS = {"tinyint": pa.int8(), "smallint": pa.int16(), "int": pa.int32(), "integer": pa.int32(), "bigint": pa.int64()}
FLOATS = {"float": pa.float32(), "real": pa.float32(), "double": pa.float64()}


def typed(columns: Sequence[Mapping[str, Any]], rows: Sequence[Sequence[str | None]]) -> pa.Table:
    """Rows of text as a table. columns: ResultSetMetadata's ColumnInfo. What has no type of its own here (row, map) stays text."""
    arrays, names = [], []
    for i, column in enumerate(columns):
        kind, parse = _type_of(column)
        values = (row[i] if i < len(row) else None for row in rows)
        arrays.append(pa.array([None if value is None else parse(value) for value in values], kind))
        names.append(str(column["Name"]))
    return pa.Table.from_arrays(arrays, names=names)


def _type_of(column: Mapping[str, Any]) -> tuple[pa.DataType, Parse]:
    name = str(column["Type"]).lower()
    if name in INTEGERS:
        return INTEGERS[name], int
    if name in FLOATS:
        return FLOATS[name], float
    match name:
        case "boolean":
            return pa.bool_(), lambda text: text.lower() == "true"
        case "date":
            return pa.date32(), date.fromisoformat
        case "time":
            return pa.time64("us"), time.fromisoformat
        case "timestamp":
            return pa.timestamp("us"), datetime.fromisoformat
        case "timestamp with time zone":
            return pa.timestamp("us", tz="UTC"), _zoned
        case "varbinary":
            return pa.binary(), bytes.fromhex  # pairs of digits with a space between
        case "decimal":
            return pa.decimal128(int(column.get("Precision") or WIDEST_DECIMAL), int(column.get("Scale") or 0)), Decimal
        case _:
            return pa.string(), str


def _zoned(text: str) -> datetime:
    """`2026-01-31 12:00:00.000 UTC`, `... Europe/London` or `... +01:00`."""
    moment, _, zone = text.rpartition(" ")
    if offset := OFFSET.match(zone):
        sign = -1 if offset[1] == "-" else 1
        at = timezone(sign * timedelta(hours=int(offset[2]), minutes=int(offset[3])))
        return datetime.fromisoformat(moment).replace(tzinfo=at).astimezone(UTC)
    return datetime.fromisoformat(moment).replace(tzinfo=UTC if zone == "UTC" else ZoneInfo(zone)).astimezone(UTC)
