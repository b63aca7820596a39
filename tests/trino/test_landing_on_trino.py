"""The tables over the landing read on Trino's Hive connector what is in the files.

Trino has DDL of its own: columns, SerDe properties and partition projection are taken from Athena's statement, word for word, and
written as Trino's. What is Athena's alone (use.null.for.invalid.data, the parser of the DDL) is not tested by this.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.conformance.transform_lakes import Kept, decoded
from tests.trino_server import LANDING, Trino

from fleetlake.cloud.athena.landing import json_table, parquet_table
from fleetlake.contracts.columns import Type
from fleetlake.contracts.events import EVENTS, Event
from fleetlake.simulate.faults import FaultRates
from fleetlake.simulate.run import SimulationSettings, run_simulation

DAYS = (date(2026, 1, 2), date(2026, 1, 3))
TRINO_TYPES = {
    "string": "varchar", "int": "integer", "timestamp": "timestamp", "binary": "varbinary", "array<double>": "array(double)",
}  # fmt: skip
JSON_TYPES: dict[Type, type | tuple[type, ...]] = {
    Type.STRING: str, Type.TIMESTAMP: str, Type.BOOLEAN: bool, Type.INTEGER: int, Type.DOUBLE: (int, float), Type.LOCATION: list,
}  # fmt: skip
NO_EVENTS = (b"{broken", b"this is not JSON", b'{"id": ')


@pytest.fixture(scope="module")
def wire() -> dict[Event, list[bytes]]:
    """A drive as on the wire, with bad records."""
    kept = Kept()
    settings = SimulationSettings(1, datetime.fromisoformat("2026-01-01T08:00:00Z"), 60, seed=3)
    run_simulation(settings, kept, faults=FaultRates(poison=0.05))
    return kept.values


@pytest.fixture(scope="module", autouse=True)
def _schema(trino: Trino) -> None:
    trino.run(f"CREATE SCHEMA {LANDING}.fleet")


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_json_lines(trino: Trino, wire: dict[Event, list[bytes]], tmp_path: Path, event: Event) -> None:
    good = [value for value in wire[event] if _is_good(event, value)]
    folder = tmp_path / event.topic / "json" / "2026" / "01"
    folder.mkdir(parents=True)
    (folder / "a.json").write_bytes(b"\n".join(good[:5]) + b"\n")
    (folder.parent / "b.json").write_bytes(b"\n".join((*NO_EVENTS, *good[5:])) + b"\n")
    ddl = json_table("fleet", f"file://{tmp_path}", event)
    columns = _columns(ddl)
    serde = dict(re.findall(r"^  '([\w.]+)'='(\w+)',?$", ddl, re.MULTILINE))
    names = ", ".join(f"'{name}'" for name in serde)
    values = ", ".join(f"'{value}'" for value in serde.values())
    table = f"{LANDING}.fleet.landing_json_{event.kind}"
    trino.run(
        f"CREATE TABLE {table} ({', '.join(f'{name} {type_}' for name, type_ in columns.items())}) WITH (format = 'OPENX_JSON', "
        f"external_location = '{_location(ddl)}', extra_properties = MAP(ARRAY[{names}], ARRAY[{values}]))"
    )
    found = trino.run(f"SELECT * FROM {table}").values
    wanted = [[json.loads(value).get(field.name) for field in event.fields] for value in good]
    assert len(wanted) > 50
    assert _sorted([row for row in found if row[0] is not None]) == _sorted(wanted)
    assert len(found) == len(wanted) + len(NO_EVENTS)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_parquet_by_day(trino: Trino, wire: dict[Event, list[bytes]], tmp_path: Path, event: Event) -> None:
    with duckdb.connect() as con:
        rows = decoded(event, wire[event], con)
    half = rows.num_rows // 2
    for day, part, old in zip(DAYS, (rows.slice(0, half), rows.slice(half)), (True, False), strict=True):
        folder = tmp_path / event.topic / f"ingest_date={day}"
        folder.mkdir(parents=True)
        pq.write_table(part, folder / "part-0.zstd.parquet", compression="zstd", use_deprecated_int96_timestamps=old)
    (tmp_path / event.topic / "_spark_metadata").mkdir()
    (tmp_path / event.topic / "_spark_metadata" / "0").write_text("v1\n")
    table = f"{LANDING}.fleet.landing_{event.kind}"
    _make_parquet_table(trino, table, parquet_table("fleet", f"file://{tmp_path}", event))
    first, second = _landed(rows.slice(0, half), DAYS[0]), _landed(rows.slice(half), DAYS[1])
    assert _sorted(trino.run(f"SELECT * FROM {table}").values) == _sorted(first + second)
    of_a_day = trino.run(f"SELECT * FROM {table} WHERE ingest_date = DATE '{DAYS[1]}'").values
    assert _sorted(of_a_day) == _sorted(second)


def _make_parquet_table(trino: Trino, table: str, ddl: str) -> None:
    given = dict(re.findall(r"^  '([\w.]+)'='([^']*)',?$", ddl, re.MULTILINE))
    start, end = given["projection.ingest_date.range"].split(",")
    columns = ", ".join(f"{name} {type_}" for name, type_ in _columns(ddl).items())
    assert "PARTITIONED BY (`ingest_date` date" in ddl
    trino.run(
        f"CREATE TABLE {table} ({columns}, ingest_date date WITH (partition_projection_type = "
        f"'{given['projection.ingest_date.type'].upper()}', partition_projection_range = ARRAY['{start}', '{end}'], "
        f"partition_projection_format = '{given['projection.ingest_date.format']}', "
        f"partition_projection_interval = {given['projection.ingest_date.interval']}, "
        f"partition_projection_interval_unit = '{given['projection.ingest_date.interval.unit']}')) "
        f"WITH (format = 'PARQUET', external_location = '{_location(ddl)}', partitioned_by = ARRAY['ingest_date'], "
        f"partition_projection_enabled = {given['projection.enabled']}, "
        f"partition_projection_location_template = '{given['storage.location.template']}')"
    )


def _columns(ddl: str) -> Mapping[str, str]:
    found = re.findall(r"^  `(\w+)` (\S+) COMMENT", ddl, re.MULTILINE)
    return {name: TRINO_TYPES.get(type_, type_) for name, type_ in found}


def _location(ddl: str) -> str:
    (found,) = re.findall(r"^LOCATION '([^']+)'$", ddl, re.MULTILINE)
    return str(found)


def _landed(rows: pa.Table, day: date) -> list[list[Any]]:
    def text(value: Any) -> Any:
        if isinstance(value, datetime):
            return f"{value:%Y-%m-%d %H:%M:%S}.{value.microsecond // 1000:03}"  # Hive's times are of milliseconds
        return base64.b64encode(value).decode() if isinstance(value, bytes) else value

    return [[*(text(value) for value in row.values()), day.isoformat()] for row in rows.to_pylist()]


def _is_good(event: Event, value: bytes) -> bool:
    """A JSON object with an id, whose values have their columns' types."""
    try:
        found = json.loads(value)
    except ValueError:
        return False
    return (
        isinstance(found, dict)
        and found.get("id") is not None
        and all(found.get(field.name) is None or isinstance(found[field.name], JSON_TYPES[field.type]) for field in event.fields)
    )


def _sorted(values: list[list[Any]]) -> list[list[Any]]:
    return sorted(values, key=repr)
