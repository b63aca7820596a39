"""Bytes to columns, a batch at a time: plain records the quick way of `ingest.plain`, the others the careful one, here.

DuckDB decodes and checks them. Its JSON functions are lenient ("12" becomes 12, a wrong type becomes null), so numbers are taken
as JSON text and cast here, and strings that might have been something else are looked at again. A record that does not surely
keep every rule is a suspect. Suspects are few, so they can afford `contracts.validation.parse`, which decides whether a record is
good or why not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from fleetlake.contracts.arrow import ARROW_TYPES, table_schema
from fleetlake.contracts.columns import FIRST_YEAR, LAST_YEAR, Column, Field, Type
from fleetlake.contracts.events import Event
from fleetlake.contracts.tables import bronze_of
from fleetlake.contracts.validation import parse
from fleetlake.ingest.plain import PlainDecoder
from fleetlake.runtime.compiled import is_possible

RAW_SCHEMA = pa.schema(
    [
        pa.field("kafka_partition", pa.int32()),
        pa.field("kafka_offset", pa.int64()),
        pa.field("kafka_timestamp", pa.timestamp("us", tz="UTC")),
        pa.field("payload", pa.binary()),
    ]
)
_DUCKDB_TYPES = {
    Type.STRING: "VARCHAR", Type.DOUBLE: "JSON", Type.INTEGER: "JSON", Type.BOOLEAN: "JSON", Type.TIMESTAMP: "VARCHAR",
    Type.LOCATION: ["JSON"],
}  # fmt: skip
PLACE = ("kafka_partition", "kafka_offset", "kafka_timestamp")
# A number, boolean, list or object where a string belongs becomes its text: these texts might have been one.
NOT_SURELY_A_STRING = r"^(?:[-+.0-9eE]+$|true$|false$|(?i:[-+]?(?:nan|inf|infinity))$|[{\[])"
# DuckDB stops counting an exponent at some 65,000: with as many zeros before it, what is infinite came out as 1.
LONG_TEXT_BYTES, LONG_NUMBER = 1000, "[0-9]{100}"
NUMBERS_ARE_SHORT = f"(strlen(text) <= {LONG_TEXT_BYTES} OR NOT regexp_matches(text, '{LONG_NUMBER}'))"
ENDS_AS_JSON = "ends_with(text, '}') AND NOT ends_with(text, ',}') AND NOT ends_with(text, ', }')"
NOT_JSON = (duckdb.InvalidInputException, UnicodeDecodeError)  # the latter where its message cuts a character of the record in two
_TIMESTAMP_SHAPE = "____-__-__T__:__:__.___Z"
# First characters no number (DuckDB's JSON has NaN and inf, too), literal or bracket has.
_SURELY_A_STRING = (("o", "t"), ("O", "["), ("a", "f"), ("A", "I"), ("J", "N"), ("g", "i"), ("j", "n"), ("u", "{"))


class Decoder:
    """Decodes the records of one topic. Not for use by two threads at once. quickly: False has all records go the careful way."""

    def __init__(self, event: Event, connection: duckdb.DuckDBPyConnection, *, quickly: bool = True) -> None:
        self._event = event
        self._connection = connection
        self._schema = table_schema(bronze_of(event))
        self._fast, self._guarded = _statement(event, guard=False), _statement(event, guard=True)
        self._expects_poison = False
        self._plain = PlainDecoder(event) if quickly and is_possible() else None

    def decode(self, raw: pa.Table, ingested_at: datetime) -> pa.Table:
        """Turns records into bronze rows.

        raw: columns of RAW_SCHEMA, n rows. Returns n rows of the bronze table's schema, each with its record's place,
        in no particular order. Never fails on account of what a record holds.
        """
        texts = raw.append_column("text", _text(raw["payload"]))
        if self._plain is None:
            return self._carefully(texts, ingested_at)
        rows = [part for batch in texts.to_batches() for part in self._quickly(self._plain, batch, ingested_at)]
        return pa.concat_tables(rows) if rows else self._schema.empty_table()

    def _quickly(self, plain: PlainDecoder, texts: pa.RecordBatch, ingested_at: datetime) -> Iterator[pa.Table]:
        decoded, is_plain = plain.decode(texts["text"])
        placed = pa.table({name: texts[name] for name in PLACE} | {name: decoded[name] for name in decoded.column_names})
        if is_plain.all():
            yield self._complete(placed, ingested_at)
            return
        mask = pa.array(is_plain)
        yield self._complete(placed.filter(mask), ingested_at)
        yield self._carefully(pa.Table.from_batches([texts.filter(pc.invert(mask))]), ingested_at)

    def _carefully(self, texts: pa.Table, ingested_at: datetime) -> pa.Table:
        decoded = self._run(texts)
        ok = decoded["ok"]
        if pc.all(ok).as_py():
            return self._complete(decoded, ingested_at)
        good = self._complete(decoded.filter(ok), ingested_at)
        return pa.concat_tables([good, self._suspects(decoded.filter(pc.invert(ok)), ingested_at)])

    def _run(self, texts: pa.Table) -> pa.Table:
        """Decodes without a guard while there is nothing but JSON: what is not would end the statement, so then it is kept out.

        `try(...)` would do too, but goes through a vector of rows one by one as soon as one of them fails: five times slower.
        """
        if not self._expects_poison:
            try:
                return self._select(self._fast, texts)
            except NOT_JSON:
                pass
        decoded = self._select(self._guarded, texts)
        self._expects_poison = not pc.all(decoded["ok"]).as_py()
        return decoded

    def _select(self, statement: str, texts: pa.Table) -> pa.Table:
        self._connection.register("raw", texts)
        try:
            return self._connection.sql(statement).to_arrow_table()
        finally:
            self._connection.unregister("raw")

    def _suspects(self, records: pa.Table, ingested_at: datetime) -> pa.Table:
        parsed = [parse(self._event, payload) for payload in records["payload"].to_pylist()]
        reasons = pa.array([p.reject_reason for p in parsed], pa.string())
        columns = {
            column.name: pa.array([p.values.get(column.name) for p in parsed], ARROW_TYPES[column.type])
            for column in self._event.columns
        }
        kept = pc.if_else(reasons.is_valid(), records["payload"], pa.scalar(None, pa.binary()))
        places = {name: records[name] for name in PLACE}
        return self._complete(pa.table(places | {"reject_reason": reasons, "payload": kept} | columns), ingested_at)

    def _complete(self, rows: pa.Table, ingested_at: datetime) -> pa.Table:
        """`rows` in the order of the bronze schema; a column they lack is null."""
        arrays = []
        for field in self._schema:
            if field.name == "ingested_at":
                arrays.append(pa.repeat(pa.scalar(ingested_at, field.type), rows.num_rows))
            elif field.name in rows.column_names:
                arrays.append(rows[field.name].cast(field.type))
            else:
                arrays.append(pa.nulls(rows.num_rows, field.type))
        return pa.table(arrays, schema=self._schema)


def _text(payload: pa.ChunkedArray) -> pa.ChunkedArray:
    """Payloads as strings, chunk by chunk, without a copy of those that are all UTF-8; null where one is not."""
    return pa.chunked_array([_chunk_text(chunk) for chunk in payload.chunks], pa.string())


def _chunk_text(payload: pa.Array) -> pa.Array:
    try:
        return payload.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([_utf8(value) for value in payload.to_pylist()], pa.string())


def _utf8(value: bytes | None) -> bytes | None:
    try:
        if value is not None:
            value.decode()
    except UnicodeDecodeError:
        return None
    return value


def _statement(event: Event, *, guard: bool) -> str:
    """SQL from `raw` (RAW_SCHEMA and the payload as `text`) to the bronze columns of the event, payload where not `ok`, and `ok`.

    guard: whether what is not JSON comes out as not ok; else it ends the statement.
    """
    structure = json.dumps({field.name: _DUCKDB_TYPES[field.type] for field in event.fields})
    selected = ", ".join(f'{sql} AS "{name}"' for field in event.fields for name, sql in _columns(field))
    rules = " AND ".join(rule for field in event.fields for rule in _rules(field))
    decoded = f"json_transform(text, {_quote(structure)})"
    if guard:
        decoded = f"CASE WHEN json_valid(text) THEN {decoded} END"
    return f"""
        WITH events AS (SELECT *, {decoded} AS e FROM raw),
        typed AS (SELECT kafka_partition, kafka_offset, kafka_timestamp, payload, text, e, {selected} FROM events),
        checked AS (SELECT * EXCLUDE (text, e), coalesce({rules}
            AND {ENDS_AS_JSON} AND {NUMBERS_ARE_SHORT}, false) AS ok FROM typed)
        SELECT * REPLACE (CASE WHEN NOT ok THEN payload END AS payload) FROM checked"""


def _columns(field: Field) -> list[tuple[str, str]]:
    wire = f'e."{field.name}"'
    if field.type is Type.LOCATION:
        return [(c.name, f"try_cast({wire}[{position}]::VARCHAR AS DOUBLE)") for position, c in enumerate(field.columns, 1)]
    cast = {
        Type.STRING: wire,
        Type.TIMESTAMP: f"try_cast({wire} AS TIMESTAMPTZ)",
        Type.BOOLEAN: f"CASE {wire}::VARCHAR WHEN 'true' THEN true WHEN 'false' THEN false END",
    }
    return [(field.column.name, cast.get(field.type, f"try_cast({wire}::VARCHAR AS DOUBLE)"))]


def _rules(field: Field) -> list[str]:
    """What surely holds for a good value of `field`: SQL conditions, null where a value is absent or not understood."""
    wire = f'e."{field.name}"'
    rules = [_in_range(column) for column in field.columns if column.minimum is not None]
    if field.columns[0].choices:
        rules.append(f"{wire} IN ({', '.join(map(_quote, field.columns[0].choices))})")
    elif field.type is Type.STRING:
        rules.append(_is_a_string(wire))
    elif field.type is Type.TIMESTAMP:
        rules.append(_is_a_timestamp(wire))
        rules.append(_present(field.columns))
    elif field.type is Type.BOOLEAN:
        rules.append(_present(field.columns))
    elif field.type is Type.INTEGER:
        rules.append(f'"{field.column.name}" = floor("{field.column.name}")')
    elif field.type is Type.LOCATION:
        rules.append(f"len({wire}) = {len(field.columns)}")
    if not field.required:
        # What is no list at all decodes to null, like one that is absent.
        absent = (
            f"""{wire} IS NULL AND NOT contains(text, '"{field.name}"')""" if field.type is Type.LOCATION else f"{wire} IS NULL"
        )
        return [f"({absent} OR coalesce({' AND '.join(rules)}, false))"]
    return [*rules, f"{wire} <> ''"] if field.type is Type.STRING else rules


def _is_a_string(wire: str) -> str:
    """Decided by its first character where that is enough, which is far cheaper than the regular expression."""
    surely = " OR ".join(f"({wire} >= '{first}' AND {wire} < '{after}')" for first, after in _SURELY_A_STRING)
    return f"CASE WHEN {surely} THEN true ELSE NOT regexp_matches({wire}, {_quote(NOT_SURELY_A_STRING)}) END"


def _is_a_timestamp(wire: str) -> str:
    """DuckDB's cast also takes blanks and a sign before a year or an hour, any year, and 24 o'clock."""
    digits = f"{wire} BETWEEN '{FIRST_YEAR}' AND '{LAST_YEAR}~' AND substr({wire}, 12, 2) BETWEEN '00' AND '23'"
    return f"{wire} LIKE '{_TIMESTAMP_SHAPE}' AND {digits}"


def _in_range(column: Column) -> str:
    return f'"{column.name}" BETWEEN {column.minimum} AND {column.maximum}'


def _present(columns: tuple[Column, ...]) -> str:
    return " AND ".join(f'"{column.name}" IS NOT NULL' for column in columns)


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
