"""The analysts' views: SQL once, columns and types by the contracts."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest
from sqlglot import exp, parse_one

from fleetlake.cloud.views import View, in_dialect, views
from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.columns import Type
from fleetlake.contracts.tables import BRONZE, all_tables

DUCKDB_TYPES = {
    Type.STRING: "VARCHAR", Type.DOUBLE: "DOUBLE", Type.INTEGER: "INTEGER", Type.LONG: "BIGINT", Type.BOOLEAN: "BOOLEAN",
    Type.TIMESTAMP: "TIMESTAMP WITH TIME ZONE", Type.BINARY: "BLOB",
}  # fmt: skip


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """Every table of the lake, empty."""
    with duckdb.connect() as made:
        for table in all_tables():
            made.execute(f"CREATE SCHEMA IF NOT EXISTS {table.layer}")
            made.register("empty", table_schema(table).empty_table())
            made.execute(f"CREATE TABLE {table.name} AS SELECT * FROM empty")
        yield made


@pytest.mark.parametrize("view", views(), ids=lambda view: view.name)
def test_its_columns_are_those_it_has_on_duckdb(con: duckdb.DuckDBPyConnection, view: View) -> None:
    described = con.execute(f"DESCRIBE {view.sql}").fetchall()
    assert [(name, kind) for name, kind, *_ in described] == [(name, DUCKDB_TYPES[type_]) for name, type_ in view.columns]


def test_the_quarantine_reads_every_bronze_table() -> None:
    (quarantine,) = (view for view in views() if view.name == "quarantine")
    assert quarantine.reads == tuple(sorted(table.name for table in BRONZE))


def test_the_quarantine_names_the_topic_of_each_table(con: duckdb.DuckDBPyConnection) -> None:
    (quarantine,) = (view for view in views() if view.name == "quarantine")
    for table in BRONZE:
        con.execute(f"INSERT INTO {table.name} (kafka_partition, kafka_offset, reject_reason) VALUES (0, 7, 'range: speed: 900:1')")
        con.execute(f"INSERT INTO {table.name} (kafka_partition, kafka_offset) VALUES (0, 8)")
    found = con.execute(f"SELECT topic, kafka_offset, rule FROM ({quarantine.sql}) ORDER BY topic").fetchall()
    assert found == sorted((table.event.topic, 7, "range") for table in BRONZE if table.event)


@pytest.mark.parametrize("view", views(), ids=lambda view: view.name)
@pytest.mark.parametrize("dialect", ["athena", "snowflake", "duckdb"])
def test_a_dialect_has_its_own_names_and_the_same_columns(view: View, dialect: str) -> None:
    made = parse_one(in_dialect(view.sql, dialect, lambda name: f"there.{name.replace('.', '_')}"), read=dialect)
    assert {f"{table.db}.{table.name}" for table in made.find_all(exp.Table) if table.db} == {
        f"there.{name.replace('.', '_')}" for name in view.reads
    }
    assert isinstance(made, exp.Query)
    assert made.named_selects == [name for name, _ in view.columns]


def test_an_alias_survives_the_change_of_names() -> None:
    made = in_dialect("SELECT t.a FROM gold.trips AS t", "athena", lambda name: '"x"."y"')
    assert " ".join(made.split()) == 'SELECT t.a FROM "x"."y" AS t'


def test_a_type_the_contracts_lack_is_refused() -> None:
    with pytest.raises(TypeError, match="column n is DECIMAL"):
        _ = View("odd", "", "SELECT CAST(distance_km AS DECIMAL(9, 2)) AS n FROM gold.trips").columns
