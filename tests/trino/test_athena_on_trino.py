"""Every view and named query gives on Trino, which Athena is built on, what the same gives on DuckDB, row by row.

OPTIMIZE and VACUUM are Athena's own words; Trino calls the same Iceberg operations optimize and expire_snapshots.
"""

from __future__ import annotations

import base64
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pytest
from filled_lake import SETTINGS, Filled
from sqlglot import exp, parse_one
from tests.conformance.transform_lakes import contents
from tests.trino_server import Failed, Trino

from fleetlake.cloud.athena.named import NamedQuery
from fleetlake.cloud.athena.plan import AthenaObjectKind, AthenaStatement, plan_for, target_of
from fleetlake.cloud.views import View, views
from fleetlake.contracts.columns import Type
from fleetlake.contracts.tables import all_tables
from fleetlake.lake.catalog import Lake
from fleetlake.serve.query import run_query
from fleetlake.serve.snapshots import list_snapshots
from fleetlake.transform.runner import run_transform

PLAN = plan_for(target_of("fleet", "", None))
VIEWS = {statement.name: statement for statement in PLAN.statements if statement.kind is AthenaObjectKind.VIEW}
WRITTEN = {query.name: query for query in PLAN.named if not query.name.startswith(("optimize_", "vacuum_"))}
TRINO_TYPES = {
    Type.STRING: "varchar", Type.DOUBLE: "double", Type.INTEGER: "integer", Type.LONG: "bigint", Type.BOOLEAN: "boolean",
    Type.TIMESTAMP: "timestamp(6)", Type.BINARY: "varbinary",
}  # fmt: skip
DAY = "2026-01-01"
Values = list[list[Any]]


@pytest.fixture(scope="module", autouse=True)
def _views_made(trino: Trino) -> None:
    for statement in VIEWS.values():
        trino.run(statement.sql)


@pytest.mark.parametrize("view", views(), ids=lambda view: view.name)
def test_a_view_has_the_rows_it_has_on_duckdb(trino: Trino, filled: Filled, view: View) -> None:
    found = trino.run(f"SELECT * FROM {view.name}")
    wanted = _of_duckdb(run_query(filled.lake, view.sql), zone="")
    assert wanted
    assert [name for name, _ in found.columns] == [name for name, _ in view.columns]
    assert _sorted(found.values) == _sorted(wanted)


@pytest.mark.parametrize("view", views(), ids=lambda view: view.name)
def test_the_types_of_a_view_are_those_the_contracts_say(trino: Trino, view: View) -> None:
    found = trino.run(f"SELECT * FROM {view.name} LIMIT 0")
    assert found.columns == tuple((name, TRINO_TYPES[type_]) for name, type_ in view.columns)


@pytest.mark.parametrize("statement", VIEWS.values(), ids=lambda statement: statement.name)
def test_a_view_is_replaced_by_the_same_again(trino: Trino, statement: AthenaStatement) -> None:
    before = trino.run(f"SELECT count(*) FROM {statement.name}").values
    trino.run(statement.sql)
    assert trino.run(f"SELECT count(*) FROM {statement.name}").values == before


@pytest.mark.parametrize("name", ["events_a_day", "fleet_state_now", "quarantine_by_rule", "trips_of_a_day", "worst_drivers"])
def test_a_named_query_has_the_rows_it_has_on_duckdb(trino: Trino, filled: Filled, name: str) -> None:
    query = WRITTEN[name]
    sql, literals = query.bound([DAY] * len(query.parameters))
    found = trino.run(sql, literals).values
    wanted = _of_duckdb(run_query(filled.lake, _on_duckdb(query, literals)), zone="")
    assert wanted
    assert found == wanted


def test_distances_at_a_time(trino: Trino, filled: Filled) -> None:
    sql, literals = WRITTEN["distances_at_a_time"].bound([filled.between.isoformat()])
    then = _of_duckdb(run_query(filled.lake, _plain(sql), filled.between.isoformat()))
    assert literals == ()
    assert then != _of_duckdb(run_query(filled.lake, _plain(sql)))
    assert trino.run(sql).values == then


def test_distances_at_a_snapshot(trino: Trino, filled: Filled) -> None:
    snapshot = str(filled.first_snapshot_id)
    sql, _ = WRITTEN["distances_at_a_snapshot"].bound([snapshot])
    then = _of_duckdb(run_query(filled.lake, _plain(sql), snapshot))
    assert then != _of_duckdb(run_query(filled.lake, _plain(sql)))
    assert trino.run(sql).values == then


def test_trips_since_a_time(trino: Trino, filled: Filled) -> None:
    sql, _ = WRITTEN["trips_since_a_time"].bound([filled.between.isoformat()])
    select = "SELECT trip_id, device_id, start_time, end_time, is_open, distance_km FROM gold.trips"
    then = _of_duckdb(run_query(filled.lake, select, filled.between.isoformat()))
    changed = [row for row in _of_duckdb(run_query(filled.lake, select)) if row not in then]
    assert changed
    assert trino.run(sql).values == sorted(changed, key=lambda row: (row[1], row[2]))


def test_snapshots_of_trips(trino: Trino, filled: Filled) -> None:
    found = trino.run(WRITTEN["snapshots_of_trips"].saved)
    known = list_snapshots(filled.lake, "gold.trips")
    assert [str(row[1]) for row in found.values] == [snapshot.snapshot_id for snapshot in known]
    assert [row[3] for row in found.values] == [snapshot.operation for snapshot in known]
    assert [name for name, _ in found.columns] == ["committed_at", "snapshot_id", "parent_id", "operation"]


def test_every_written_query_is_compared_here() -> None:
    compared = {"events_a_day", "fleet_state_now", "quarantine_by_rule", "trips_of_a_day", "worst_drivers"}
    assert set(WRITTEN) == compared | {
        "distances_at_a_time", "distances_at_a_snapshot", "trips_since_a_time", "snapshots_of_trips",
    }  # fmt: skip


def test_time_travel_takes_no_parameter(trino: Trino) -> None:
    """Which is why those queries have {time} and not ?."""
    with pytest.raises(Failed, match="Incorrect number of parameters"):
        trino.run('SELECT count(*) FROM "gold"."trips" FOR TIMESTAMP AS OF from_iso8601_timestamp(?)', ("'2026-01-01T00:00:00Z'",))


def test_maintenance_changes_no_row_and_the_transform_goes_on(trino: Trino, filled: Filled) -> None:
    lake = filled.lake
    before = _rows(lake)
    properties = {table.name: dict(lake.table(table.name).properties) for table in all_tables()}
    for table in all_tables():
        trino.run(f"ALTER TABLE {table.name} EXECUTE optimize")
        trino.run(f"ALTER TABLE {table.name} EXECUTE expire_snapshots(retention_threshold => '0s')")
    assert len(lake.table("silver.gps").metadata.snapshots) == 1
    assert _rows(lake) == before
    for table in all_tables():
        kept = lake.table(table.name).properties
        assert {name: value for name, value in kept.items() if name.startswith("fleetlake.")} == {
            name: value for name, value in properties[table.name].items() if name.startswith("fleetlake.")
        }
    run_transform(lake, SETTINGS)
    assert _rows(lake) == before


def _rows(lake: Lake) -> dict[str, list[dict[str, Any]]]:
    """Silver and gold as values: Arrow's types of text differ with the file's writer."""
    return {name: rows.to_pylist() for name, rows in contents(lake).items()}


def _on_duckdb(query: NamedQuery, literals: tuple[str, ...]) -> str:
    """The query in DuckDB's dialect, with the views' own SELECTs and literals for its ?."""
    sql = query.sql
    for value in literals:
        sql = sql.replace("?", value, 1)
    tree = parse_one(sql, read="athena")
    known = {view.name: view for view in views()}
    for table in list(tree.find_all(exp.Table)):
        if not table.db:
            table.replace(parse_one(known[table.name].sql, read="duckdb").subquery(table.name))
    return tree.sql(dialect="duckdb")


def _plain(sql: str) -> str:
    """The query without its time travel, which DuckDB's side is told apart."""
    tree = parse_one(sql, read="athena")
    for version in list(tree.find_all(exp.Version)):
        version.pop()
    return tree.sql(dialect="duckdb")


def _of_duckdb(rows: pa.Table, zone: str = " UTC") -> Values:
    """As Trino's protocol has them. zone: after times; a view's times have none."""
    return [[_text(value, zone) for value in row.values()] for row in rows.to_pylist()]


def _text(value: Any, zone: str) -> Any:
    match value:
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S.%f}{zone}"
        case date():
            return value.isoformat()
        case bytes():
            return base64.b64encode(value).decode()
        case _:
            return value


def _sorted(values: Values) -> Values:
    return sorted(values, key=repr)
