"""Bytes to bronze rows as Spark columns: from_json decodes and checks, and what it is not sure of goes through the reference rules.

from_json is lenient in places (a number where a string belongs becomes its text, of two fields of one name it takes the last, what
follows the document is not looked at). So a record is good only if it surely keeps every rule; the others, the suspects, go through
`contracts.validation.parse` in a Python worker, as in the native engine. Hence both engines reject the same records with the same
reasons. Only the bytes of suspects travel to Python; for all other records it gets a null.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from fleetlake.contracts.arrow import ARROW_TYPES
from fleetlake.contracts.columns import Column, Field, Type
from fleetlake.contracts.events import Event
from fleetlake.contracts.json_schema import YEARS
from fleetlake.contracts.table import Table
from fleetlake.contracts.tables import bronze_of
from fleetlake.contracts.validation import parse

if TYPE_CHECKING:
    from pyspark.sql import Column as SparkColumn
    from pyspark.sql import DataFrame
    from pyspark.sql.types import DataType, StructType

CORRUPT = "_corrupt_record"
JSON_OPTIONS = {
    "mode": "PERMISSIVE",
    "columnNameOfCorruptRecord": CORRUPT,
    "allowSingleQuotes": "false",
    "allowNonNumericNumbers": "false",
}
RAW = ("kafka_partition", "kafka_offset", "kafka_timestamp", "payload")
JSON_SPACE = " \t\r\n"
# A number, boolean, list or object where a string belongs becomes its text: these texts might have been one.
NOT_SURELY_A_STRING = r"^(?:[-+.0-9eE]+|true|false|[{\[](?s:.)*)\z"
SURELY_A_TIME = rf"^{YEARS}-[0-9]{{2}}-[0-9]{{2}}T[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}\.[0-9]{{3}}Z\z"
ESCAPED_SURROGATE = (r"\ud", r"\uD")


def bronze_rows(event: Event, records: DataFrame, ingested_at: SparkColumn, *, kept: Sequence[str] = ()) -> DataFrame:
    """Turns records into bronze rows, in the columns and order of the event's bronze table.

    records: the columns of RAW, one row a record. ingested_at: when they arrived. kept: columns of `records` that come before those
    of the table, as they are. Never fails on account of what a record holds.
    """
    from pyspark.sql import functions as sf

    read = records.select(*kept, *RAW, _text(sf.col("payload")).alias("text"))
    read = read.select(
        "*", sf.from_json("text", wire_schema(event), JSON_OPTIONS).alias("e"), sf.json_object_keys("text").alias("names")
    )
    checked = read.select(
        *kept, *RAW, *(sql.alias(name) for field in event.fields for name, sql in _columns(field)), _is_good(event).alias("ok")
    )
    suspect = _suspect_rules(event)(sf.when(~sf.col("ok"), sf.col("payload")), ~sf.col("ok"))
    settled = checked.select("*", suspect.alias("s"))
    return settled.select(
        *kept, *(_settled(column, ingested_at).cast(_spark_type(column)).alias(column.name) for column in bronze_of(event).columns)
    )


def _text(payload: SparkColumn) -> SparkColumn:
    """The payload as text; null if it is not UTF-8."""
    from pyspark.sql import functions as sf

    text = payload.cast("string")
    if hasattr(sf, "is_valid_utf8"):
        return sf.when(sf.is_valid_utf8(text), text)
    # Spark before 4: its decode puts U+FFFD for what is not UTF-8, so only what is comes back as it was.
    return sf.when(sf.encode(sf.decode(payload, "UTF-8"), "UTF-8") == payload, text)


def wire_schema(event: Event) -> StructType:
    """The event as from_json reads it: a field a member, times as text, a location as an array of numbers."""
    from pyspark.sql import types as st

    types: dict[Type, DataType] = {
        Type.STRING: st.StringType(), Type.TIMESTAMP: st.StringType(), Type.DOUBLE: st.DoubleType(), Type.INTEGER: st.IntegerType(),
        Type.BOOLEAN: st.BooleanType(), Type.LOCATION: st.ArrayType(st.DoubleType()),
    }  # fmt: skip
    fields = [st.StructField(field.name, types[field.type]) for field in event.fields]
    return st.StructType([*fields, st.StructField(CORRUPT, st.StringType())])


def table_schema(table: Table) -> StructType:
    """The table's columns as Spark has them, all of them nullable."""
    from pyspark.sql import types as st

    return st.StructType([st.StructField(column.name, _spark_type(column)) for column in table.columns])


def _spark_type(column: Column) -> DataType:
    from pyspark.sql import types as st

    return {
        Type.STRING: st.StringType(), Type.DOUBLE: st.DoubleType(), Type.INTEGER: st.IntegerType(), Type.LONG: st.LongType(),
        Type.BOOLEAN: st.BooleanType(), Type.TIMESTAMP: st.TimestampType(), Type.BINARY: st.BinaryType(),
    }[column.type]  # fmt: skip


def _columns(field: Field) -> list[tuple[str, SparkColumn]]:
    from pyspark.sql import functions as sf

    wire = sf.col("e").getField(field.name)
    if field.type is Type.LOCATION:
        return [(column.name, sf.get(wire, sf.lit(position))) for position, column in enumerate(field.columns)]
    return [(field.column.name, _time(field) if field.type is Type.TIMESTAMP else wire)]


def _time(field: Field) -> SparkColumn:
    from pyspark.sql import functions as sf

    return sf.expr(f"try_cast(e.`{field.name}` AS timestamp)")  # Column.try_cast is of Spark 4


def _is_good(event: Event) -> SparkColumn:
    """Whether the record surely keeps every rule. Never null."""
    from pyspark.sql import functions as sf

    rules = [*_document_rules(), *(rule for field in event.fields for rule in _rules(field))]
    return sf.coalesce(reduce(lambda all_of, rule: all_of & rule, rules), sf.lit(False))


def _document_rules() -> list[SparkColumn]:
    """One object and nothing behind it, every name once, understood in whole."""
    from pyspark.sql import functions as sf

    text, names = sf.col("text"), sf.col("names")
    return [
        sf.col("e").getField(CORRUPT).isNull(),
        sf.startswith(text, sf.lit("{")),
        # The first brace that closes is the last character. An event with an inner object is a suspect.
        sf.instr(text, "}") == sf.length(sf.call_function("rtrim", sf.lit(JSON_SPACE), text)),
        *(~sf.contains(text, sf.lit(escape)) for escape in ESCAPED_SURROGATE),
        sf.size(names) == sf.size(sf.array_distinct(names)),
    ]


def _rules(field: Field) -> list[SparkColumn]:
    from pyspark.sql import functions as sf

    wire = sf.col("e").getField(field.name)
    rules = [
        value.between(sf.lit(column.minimum), sf.lit(column.maximum))
        for column, (_, value) in zip(field.columns, _columns(field), strict=True)
        if column.minimum is not None
    ]
    if field.columns[0].choices:
        rules.append(wire.isin(*field.column.choices))
    elif field.type is Type.STRING:
        rules.append(~wire.rlike(NOT_SURELY_A_STRING))
        if field.required:
            rules.append(wire != "")
    elif field.type is Type.TIMESTAMP:
        rules += [wire.rlike(SURELY_A_TIME), _time(field).isNotNull()]
    elif field.type is Type.LOCATION:
        rules.append(sf.size(wire) == len(field.columns))
    if not rules:
        return [wire.isNotNull()] if field.required else []
    together = reduce(lambda all_of, rule: all_of & rule, rules)
    return [together if field.required else wire.isNull() | sf.coalesce(together, sf.lit(False))]


def _settled(column: Column, ingested_at: SparkColumn) -> SparkColumn:
    from pyspark.sql import functions as sf

    if column.name == "ingested_at":
        return ingested_at
    if column.name == "reject_reason":
        return sf.col("s").getField(column.name)
    if column.name == "payload":
        return sf.when(sf.col("s").getField("reject_reason").isNotNull(), sf.col("payload"))
    if column.name in RAW:
        return sf.col(column.name)
    return sf.when(sf.col("ok"), sf.col(column.name)).otherwise(sf.col("s").getField(column.name))


def _suspect_rules(event: Event) -> Callable[[SparkColumn, SparkColumn], SparkColumn]:
    """The reference rules as a function of two columns: payload, whether it is a suspect. Gives what `judge` does."""
    from pyspark.sql import functions as sf
    from pyspark.sql import types as st

    fields = [st.StructField(column.name, _spark_type(column)) for column in event.columns]
    result = st.StructType([*fields, st.StructField("reject_reason", st.StringType())])

    def rules(payload: pa.Array, suspect: pa.Array) -> pa.Array:
        return judge(event, payload, suspect)

    def rules_of_one(payload: bytes | None, suspect: bool) -> dict[str, object] | None:
        return _judged(event, None if payload is None else bytes(payload)) if suspect else None

    try:
        from pyspark.sql.pandas.functions import arrow_udf
    except ImportError:  # Spark before 4.1: the same, slower, a row at a time
        return sf.udf(rules_of_one, result)
    function: Any = arrow_udf  # its stubs know of simple types only
    return function(rules, result)  # type: ignore[no-any-return]


def judge(event: Event, payloads: pa.Array, suspects: pa.Array) -> pa.Array:
    """n payloads and n booleans to n structs of the event's columns and `reject_reason`; null where it is no suspect."""
    types = {column.name: ARROW_TYPES[column.type] for column in event.columns} | {"reject_reason": pa.string()}
    if not suspects.true_count:
        return pa.nulls(len(payloads), pa.struct(types))
    rows = [
        _judged(event, payload) if suspect else None
        for payload, suspect in zip(payloads.to_pylist(), suspects.to_pylist(), strict=True)
    ]
    return pa.array(rows, pa.struct(types))


def _judged(event: Event, payload: bytes | None) -> dict[str, object]:
    parsed = parse(event, payload)
    return {**parsed.values, "reject_reason": parsed.reject_reason}
