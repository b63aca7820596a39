"""External tables over the raw landing, derived from the contracts: Parquet files of the Spark ingest, and JSON lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fleetlake.cloud.athena.naming import hive_comment, hive_name, hive_table, hive_text
from fleetlake.contracts.columns import Column, Type
from fleetlake.contracts.events import Event
from fleetlake.contracts.tables import bronze_of

HIVE_TYPES = {
    Type.STRING: "string", Type.DOUBLE: "double", Type.INTEGER: "int", Type.LONG: "bigint", Type.BOOLEAN: "boolean",
    Type.TIMESTAMP: "timestamp", Type.BINARY: "binary",
}  # fmt: skip
PARTITION = "ingest_date"  # what `fleetlake ingest --sink parquet` calls its folders
FIRST_DATE = "2025-01-01"  # of the partitions Athena looks for; earlier landings have nothing to be found
JSON_FOLDER = "json"
SERDE = "org.openx.data.jsonserde.JsonSerDe"
# Wire names have capitals, so keys are taken as they are and each column names its own.
SERDE_PROPERTIES = {"case.insensitive": "false", "ignore.malformed.json": "true", "use.null.for.invalid.data": "true"}


def parquet_table(database: str, landing: str, event: Event) -> str:
    """DDL of `landing_<kind>`: rows of bronze by the day of their ingest.

    landing: s3:// folder above the topics. Days are computed from the name (partition projection), so that no day has to be added.
    """
    place = f"{landing}/{event.topic}"
    day = Column(PARTITION, Type.STRING, "Day (UTC) of ingested_at")
    projection = {
        "projection.enabled": "true",
        f"projection.{PARTITION}.type": "date",
        f"projection.{PARTITION}.format": "yyyy-MM-dd",
        f"projection.{PARTITION}.range": f"{FIRST_DATE},NOW+1DAY",
        f"projection.{PARTITION}.interval": "1",
        f"projection.{PARTITION}.interval.unit": "DAYS",
        "storage.location.template": f"{place}/{PARTITION}=${{{PARTITION}}}/",
    }
    return "\n".join(
        (
            f"CREATE EXTERNAL TABLE IF NOT EXISTS {hive_table(f'{database}.landing_{event.kind}')} (",
            _columns((column.name, HIVE_TYPES[column.type], column.comment) for column in bronze_of(event).columns),
            ")",
            f"COMMENT {hive_comment(f'Raw landing of topic {event.topic}, Parquet. {event.description}')}",
            f"PARTITIONED BY ({hive_name(PARTITION)} date COMMENT {hive_comment(day.comment)})",
            "STORED AS PARQUET",
            f"LOCATION {hive_text(place + '/')}",
            f"TBLPROPERTIES (\n{_properties(projection)}\n)",
        )
    )


def json_table(database: str, landing: str, event: Event) -> str:
    """DDL of `landing_json_<kind>`: events as on the wire, one a line, under `<landing>/<topic>/json/`.

    What is no JSON is a row of nulls, and so is a value of another type than its column's. Times are text, ISO 8601: the SerDe
    reads no other zone than its own. A location is `[latitude, longitude]`.
    """
    mapping = {f"mapping.{name}": wire for wire, name, _, _ in _wire(event) if name != wire}
    return "\n".join(
        (
            f"CREATE EXTERNAL TABLE IF NOT EXISTS {hive_table(f'{database}.landing_json_{event.kind}')} (",
            _columns((name, type_, comment) for _, name, type_, comment in _wire(event)),
            ")",
            f"COMMENT {hive_comment(f'Raw landing of topic {event.topic}, JSON lines as on the wire. {event.description}')}",
            f"ROW FORMAT SERDE {hive_text(SERDE)}",
            f"WITH SERDEPROPERTIES (\n{_properties(SERDE_PROPERTIES | mapping)}\n)",
            f"LOCATION {hive_text(f'{landing}/{event.topic}/{JSON_FOLDER}/')}",
        )
    )


def _wire(event: Event) -> Iterable[tuple[str, str, str, str]]:
    """(wire name, column, type, comment) of each field."""
    for field in event.fields:
        if field.type is Type.LOCATION:
            yield field.name, field.name.lower(), "array<double>", field.description
        else:
            column = field.column
            yield field.name, column.name, "string" if column.type is Type.TIMESTAMP else HIVE_TYPES[column.type], column.comment


def _columns(columns: Iterable[tuple[str, str, str]]) -> str:
    return ",\n".join(f"  {hive_name(name)} {type_} COMMENT {hive_comment(comment)}" for name, type_, comment in columns)


def _properties(properties: Mapping[str, str]) -> str:
    return ",\n".join(f"  {hive_text(name)}={hive_text(value)}" for name, value in properties.items())
