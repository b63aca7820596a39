"""The quick way from bytes to columns, for batches whose records are plainly what the contract asks for.

DuckDB takes the numbers straight from the JSON here, though "12" and true are numbers to it, too, and a record's other fields are
nothing to it. So books are kept. Every name and every string of a record stands between two quotation marks: a batch that has just
as many of them as the columns made of it need had no string where a number belongs, no field twice, none that is not known. A text
column that might have been a number, which would even the books out, is not taken. A literal for a number is 1 or 0: records with
such a number and such a literal are looked at one by one.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fleetlake.contracts.columns import Column, Field, Type
from fleetlake.contracts.events import Event

# A number, boolean, list or object where a string belongs becomes its text: these texts might have been one.
NOT_SURELY_A_STRING = r"^(?:[-+.0-9eE]+$|true$|false$|(?i:[-+]?(?:nan|inf|infinity))$|[{\[])"
ENDS_AS_JSON = "ends_with(text, '}') AND NOT ends_with(text, ',}') AND NOT ends_with(text, ', }')"
NOT_JSON = (duckdb.InvalidInputException, UnicodeDecodeError)  # the latter where its message cuts a character of the record in two
TIMESTAMP = pa.timestamp("us", tz="UTC")
FIRST_DAY = pa.scalar(datetime(1, 1, 1, tzinfo=UTC), TIMESTAMP)
TIMESTAMP_LENGTH = len("2026-01-05T06:05:00.000Z")
DISTINCT_UP_TO = 32  # bytes of a text; longer ones are ids and pictures, of which no two are the same
QUOTE = ord('"')
BLOCK = 1 << 17  # bytes that stay in the processor's cache while they are looked through
_DUCKDB_TYPES = {
    Type.STRING: "VARCHAR", Type.DOUBLE: "DOUBLE", Type.INTEGER: "DOUBLE", Type.BOOLEAN: "JSON", Type.TIMESTAMP: "VARCHAR",
    Type.LOCATION: ["DOUBLE"],
}  # fmt: skip


class PlainDecoder:
    """Decodes batches of one topic's records, or says that a batch is not as plain as that."""

    def __init__(self, event: Event, connection: duckdb.DuckDBPyConnection) -> None:
        self._event, self._connection = event, connection
        self._statement = _statement(event)

    def decode(self, texts: pa.Table) -> pa.Table | None:
        """The columns of the event, with the record's place, whether it is surely `ok`, and its payload where it is not.

        texts: columns of RAW_SCHEMA and the payload as `text`. None if DuckDB's leniency may have shown anywhere in the batch.
        """
        self._connection.register("raw", texts)
        try:
            rows = self._connection.sql(self._statement).to_arrow_table()
        except NOT_JSON:
            return None
        finally:
            self._connection.unregister("raw")
        if _quotes(texts["payload"]) != sum(_quotes_needed(field, rows) for field in self._event.fields):
            return None
        for field in self._event.fields:
            for column in field.columns:
                values = _checked(field, column, rows[column.name])
                if values is None:
                    return None
                rows = rows.set_column(rows.schema.get_field_index(column.name), column.name, values)
        return rows


def _statement(event: Event) -> str:
    structure = json.dumps({field.name: _DUCKDB_TYPES[field.type] for field in event.fields})
    selected = ", ".join(f'{sql} AS "{column.name}"' for field in event.fields for column, sql in _columns(field))
    rules = [f"({e} IS NULL OR len({e}) = 2 AND {e}[1] IS NOT NULL AND {e}[2] IS NOT NULL)" for e in _wires(event, Type.LOCATION)]
    rules += [_no_literal_for_a_number(event, literal, value) for literal, value in (("true", 1), ("false", 0))]
    return f"""
        WITH events AS (SELECT *, json_transform(text, '{structure}') AS e FROM raw),
        typed AS (SELECT *, {selected} FROM events),
        checked AS (SELECT * EXCLUDE (text, e), coalesce({" AND ".join([*rules, ENDS_AS_JSON])}, false) AS ok FROM typed)
        SELECT * REPLACE (CASE WHEN NOT ok THEN payload END AS payload) FROM checked"""


def _columns(field: Field) -> list[tuple[Column, str]]:
    wire = f'e."{field.name}"'
    if field.type is Type.LOCATION:
        return [(column, f"{wire}[{position}]") for position, column in enumerate(field.columns, 1)]
    if field.type is Type.BOOLEAN:
        return [(field.column, f"CASE {wire}::VARCHAR WHEN 'true' THEN true WHEN 'false' THEN false END")]
    return [(field.column, wire)]


def _wires(event: Event, type_: Type) -> list[str]:
    return [f'e."{field.name}"' for field in event.fields if field.type is type_]


def _no_literal_for_a_number(event: Event, literal: str, value: int) -> str:
    """Where a number is `value`, the text has `literal` only for the one boolean that is it."""
    numbers = [c.name for f in event.fields for c in f.columns if f.type in (Type.DOUBLE, Type.INTEGER, Type.LOCATION)]
    either = " OR ".join(f'"{name}" = {value}' for name in numbers)
    once = f"NOT contains(substr(text, strpos(text, '{literal}') + {len(literal)}), '{literal}')"
    booleans = " AND ".join(f"{wire}::VARCHAR = '{literal}'" for wire in _wires(event, Type.BOOLEAN)) or "false"
    return f"CASE WHEN ({either}) AND contains(text, '{literal}') THEN {booleans} AND {once} ELSE true END"


def _quotes(payload: pa.ChunkedArray) -> int:
    """How many quotation marks there are in all records together."""
    return sum(_quotes_in(chunk) for chunk in payload.chunks)


def _quotes_in(chunk: pa.Array) -> int:
    if chunk.null_count:
        chunk = chunk.drop_null()
    if not len(chunk):
        return 0
    ends = np.frombuffer(chunk.buffers()[1], np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
    data = np.frombuffer(chunk.buffers()[2] or b"", np.uint8)[ends[0] : ends[-1]]
    return sum(int(np.count_nonzero(data[first : first + BLOCK] == QUOTE)) for first in range(0, len(data), BLOCK))


def _quotes_needed(field: Field, rows: pa.Table) -> int:
    """Two for the name of each value, two more for a string."""
    values = rows[field.columns[0].name]
    each = 4 if field.type in (Type.STRING, Type.TIMESTAMP) else 2
    return each * int(len(values) - values.null_count)


def _checked(field: Field, column: Column, values: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """The values as the contract wants them; None if one of them may not be."""
    if field.required and values.null_count:
        return None
    if field.type is Type.TIMESTAMP:
        return _timestamps(values)
    if field.type is Type.STRING:
        return values if _are_strings(field, column, values) else None
    return values if field.type is Type.BOOLEAN or _are_in_range(field, column, values) else None


def _are_strings(field: Field, column: Column, values: pa.ChunkedArray) -> bool:
    if values.nbytes <= DISTINCT_UP_TO * len(values):
        values = pc.unique(values)
    if column.choices:
        return bool(pc.all(pc.is_in(values.drop_null(), pa.array(column.choices)), min_count=0).as_py())
    wrong = pc.match_substring_regex(values, NOT_SURELY_A_STRING)
    if field.required:
        wrong = pc.or_(wrong, pc.equal(values, ""))
    return not pc.any(wrong).as_py()


def _are_in_range(field: Field, column: Column, values: pa.ChunkedArray) -> bool:
    if pc.any(pc.invert(pc.is_finite(values))).as_py():
        return False
    if field.type is Type.INTEGER and not pc.all(pc.equal(values, pc.floor(values)), min_count=0).as_py():
        return False
    found = pc.min_max(values).as_py()
    if found["min"] is None:
        return True
    return (column.minimum is None or found["min"] >= column.minimum) and (column.maximum is None or found["max"] <= column.maximum)


def _timestamps(values: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Arrow would also take a blank for the T, an offset for the Z, and the year 0."""
    lengths = pc.min_max(pc.binary_length(values)).as_py()
    if {*lengths.values()} - {TIMESTAMP_LENGTH, None}:
        return None
    if not pc.all(pc.ends_with(values, "Z"), min_count=0).as_py() or pc.any(pc.match_substring(values, " ")).as_py():
        return None
    try:
        times = values.cast(TIMESTAMP)
    except pa.ArrowInvalid:
        return None
    return None if pc.any(pc.less(times, FIRST_DAY)).as_py() else times
