"""Every view on fakesnow, in both modes, as it is on DuckDB. fakesnow is not Snowflake: this shows what the SQL means, no more."""

from __future__ import annotations

import json
import random
import re
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tests.fakesnow_run import plain
from tests.tools import tool_folder

from fleetlake.cloud.snowflake.migrations import linked_name, migrations
from fleetlake.cloud.snowflake.statements import SnowflakeObjectKind
from fleetlake.cloud.snowflake.target import LINKED, LISTED, PLACEHOLDERS, SnowflakeTarget
from fleetlake.cloud.views import View, views
from fleetlake.contracts.columns import Column, Type
from fleetlake.contracts.gold import DRIVING_EVENTS_KINDS, PERIODS
from fleetlake.contracts.table import Table
from fleetlake.contracts.tables import all_tables

ROOT = Path(__file__).parents[3]
MODES = (LISTED, LINKED)
ROWS = 60
T0 = datetime(2026, 1, 5, tzinfo=UTC)
SNOWFLAKE_TYPES = {
    Type.STRING: "VARCHAR", Type.DOUBLE: "DOUBLE", Type.INTEGER: "INT", Type.LONG: "BIGINT", Type.BOOLEAN: "BOOLEAN",
    Type.TIMESTAMP: "TIMESTAMP_TZ", Type.BINARY: "BINARY",
}  # fmt: skip
DUCKDB_TYPES = SNOWFLAKE_TYPES | {Type.TIMESTAMP: "TIMESTAMPTZ", Type.BINARY: "BLOB"}
OPTIONS = re.compile(r"\n  COPY GRANTS\n  COMMENT = '.*'(?=\nAS\n)")  # fakesnow knows neither, nor a quote in a comment
FEW = {  # so that joins and windows meet something
    "device_id": ("v1", "v2", "v3"), "kind": DRIVING_EVENTS_KINDS, "period": PERIODS, "quality": (None, None, "jump"),
    "reject_reason": (None, "range: speed: 999", "json: it's no JSON: at all"),
}  # fmt: skip


@pytest.fixture(scope="module")
def fakesnow() -> Path:
    """A Python with the locked fakesnow."""
    return tool_folder("fakesnow", "--only-binary", ":all:") / "python"


def value_of(column: Column, chance: random.Random) -> Any:
    if column.name in FEW:
        return chance.choice(FEW[column.name])
    if not column.required and chance.random() < 0.2:
        return None
    match column.type:
        case Type.TIMESTAMP:
            return T0 + timedelta(days=chance.randrange(3), minutes=chance.randrange(600))
        case Type.BOOLEAN:
            return chance.random() < 0.4
        case Type.DOUBLE:
            return chance.randrange(1, 400) / 4
        case Type.INTEGER | Type.LONG:
            return chance.randrange(100)
        case Type.BINARY:
            return chance.randbytes(3)
        case _:
            return f"it's {chance.randrange(10**9)}"


@cache
def rows_of(table: Table) -> tuple[tuple[Any, ...], ...]:
    chance = random.Random(table.name)
    return tuple(tuple(value_of(column, chance) for column in table.columns) for _ in range(ROWS))


def constant(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, datetime):
        return f"'{value.isoformat()}'"
    if isinstance(value, bytes):
        return f"TO_BINARY('{value.hex()}', 'HEX')"
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)


def filled(target: SnowflakeTarget, tables: Sequence[Table]) -> list[str]:
    """Statements that make the lake's tables as they would look in Snowflake, with rows."""
    linked = target.tables == LINKED
    made = [f"CREATE DATABASE IF NOT EXISTS {target.database}"]
    made += [f"CREATE SCHEMA IF NOT EXISTS {target.database}.{schema}" for schema in ("BRONZE", "SILVER", "GOLD", "ANALYTICS")]
    if linked:
        made.append(f"CREATE DATABASE {target.linked_database}")
        made += [f'CREATE SCHEMA {target.linked_database}."{layer}"' for layer in ("bronze", "silver", "gold")]
    for table in tables:
        name = linked_name(target, table.name) if linked else target.name_of(table.name)
        quote = '"' if linked else ""
        columns = ", ".join(f"{quote}{column.name}{quote} {SNOWFLAKE_TYPES[column.type]}" for column in table.columns)
        rows = ", ".join(f"({', '.join(map(constant, row))})" for row in rows_of(table))
        made += [f"CREATE TABLE {name} ({columns})", f"INSERT INTO {name} SELECT * FROM VALUES {rows}"]
    return made


def on_duckdb(view: View) -> list[list[Any]]:
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        for table in all_tables():
            if table.name in view.reads:
                con.execute(f"CREATE SCHEMA IF NOT EXISTS {table.layer}")
                con.execute(f"CREATE TABLE {table.name} ({', '.join(f'{c.name} {DUCKDB_TYPES[c.type]}' for c in table.columns)})")
                con.executemany(f"INSERT INTO {table.name} VALUES ({', '.join('?' * len(table.columns))})", rows_of(table))
        found = con.sql(view.sql)
        return [list(found.columns), *([plain(value) for value in row] for row in found.fetchall())]


@pytest.mark.parametrize("mode", MODES)
def test_every_view_has_the_rows_it_has_on_duckdb(mode: str, fakesnow: Path) -> None:
    target = PLACEHOLDERS.in_mode(mode)
    statements = [statement for migration in migrations(target) for statement in migration.statements]
    read = {table for view in views() for table in view.reads}
    before = filled(target, [table for table in all_tables() if table.name in read])
    names = {target.name_of(table) for table in read} | {f"{target.database}.ANALYTICS.{view.name.upper()}" for view in views()}
    before += [OPTIONS.sub("", s.sql) for s in statements if s.makes.kind is SnowflakeObjectKind.VIEW and s.makes.name in names]
    asked = {"before": before, "views": [f"{target.database}.ANALYTICS.{view.name.upper()}" for view in views()]}
    ran = subprocess.run([fakesnow, ROOT / "tests" / "fakesnow_run.py"], input=json.dumps(asked), capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-2000:]
    found = json.loads(ran.stdout)
    assert len(found) == len(views())
    for view in views():
        columns, *rows = on_duckdb(view)
        theirs = found[f"{target.database}.ANALYTICS.{view.name.upper()}"]
        assert theirs["columns"] == [column.upper() for column in columns]
        assert sorted(theirs["rows"], key=repr) == sorted(rows, key=repr), view.name
        assert rows, view.name
