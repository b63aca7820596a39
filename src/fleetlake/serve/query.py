"""SQL over all tables of the lake by name, now or as of a moment of the past."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa
from pyiceberg.expressions import BooleanExpression
from pyiceberg.expressions.parser import parse
from pyiceberg.table import Table as IcebergTable

from fleetlake.contracts.events import EVENTS, Event
from fleetlake.contracts.tables import bronze_of
from fleetlake.foundation.errors import BadInput
from fleetlake.lake.catalog import Lake
from fleetlake.lake.memory_database import small_database
from fleetlake.lake.scan import expose, expose_files
from fleetlake.serve.as_of import Moment, parse_moment, require_some, snapshot_at
from fleetlake.serve.session import explain, fetch, no_table, reading_session

QUARANTINE = "quarantine"
QUARANTINE_COLUMNS = "kafka_partition, kafka_offset, kafka_timestamp, ingested_at, reject_reason, payload"
ONE_SELECT = "one SELECT, WITH, VALUES, DESCRIBE, SUMMARIZE or SHOW TABLES"
SHOWS_ALL = ("SHOW_SPECIAL", "SHOW_FROM")


def run_query(lake: Lake, sql: str, as_of: str | None = None, *, memory_limit: str = "1GB") -> pa.Table:
    """Runs one SELECT and returns its rows.

    sql: DuckDB's dialect, over `bronze.*`, `silver.*`, `gold.*` and `quarantine` (the rejects of all topics). as_of: a snapshot id
    or an ISO time; a snapshot id reads its own table at that snapshot and all others as of its commit. A table without a snapshot
    by then is empty. Only tables the statement names are looked at. Raises BadInput for what can't be run.
    """
    names = lake.names()
    tables = [*names, QUARANTINE]
    tree = _parse(sql)
    if _is_show_tables(tree):
        return pa.table({"name": tables})
    used = _tables_in(tree, names, tables)
    moment = parse_moment(as_of, lake) if as_of is not None else None
    with reading_session(lambda con: expose_tables(con, lake, used, moment), memory_limit=memory_limit) as con:
        return fetch(con, sql, tables=tables)


@dataclass(frozen=True, slots=True)
class UsedTables:
    """Tables of the lake by full name, and whether the quarantine is asked for."""

    names: tuple[str, ...]
    quarantine: bool = False


def _is_show_tables(tree: dict[str, Any]) -> bool:
    """SHOW TABLES by itself. DuckDB would list those of one schema."""
    (statement,) = tree["statements"]
    return bool((statement["node"].get("from_table") or {}).get("table_name") == '"tables"')


def _tables_in(tree: dict[str, Any], names: list[str], tables: list[str]) -> UsedTables:
    """The tables a statement reads. BadInput if it names one there is none of."""
    used: set[str] = set()
    for node in _nodes(tree):
        if node.get("type") == "SHOW_REF" and node.get("show_type") in SHOWS_ALL:
            return UsedTables(tuple(names), quarantine=True)  # SHOW ALL TABLES, SHOW TABLES FROM gold
        if node.get("type") == "BASE_TABLE":
            used.add(f"{node['schema_name']}.{node['table_name']}".lower())
    unknown = sorted(name for name in used if not name.startswith(".") and name not in names)
    if unknown:
        raise no_table(unknown[0], tables)
    return UsedTables(tuple(sorted(used & set(names))), quarantine=f".{QUARANTINE}" in used)


def expose_tables(con: duckdb.DuckDBPyConnection, lake: Lake, used: UsedTables, moment: Moment | None = None) -> list[IcebergTable]:
    """Makes views of the tables under their own names, and `quarantine` if it is used. Returns the tables they read."""
    tables = {name: lake.table(name) for name in used.names}
    events = [event for event in EVENTS if used.quarantine and lake.has(bronze_of(event).name)]
    bronze = [lake.table(bronze_of(event).name) for event in events]
    if moment:
        require_some([*tables.values(), *bronze], moment)
    for name, table in tables.items():
        _expose_at(con, table, name, moment)
    if used.quarantine:
        for event, table in zip(events, bronze, strict=True):
            _expose_at(con, table, f"rejects.{event.kind}", moment, parse("reject_reason is not null"))
        _make_quarantine(con, events)
    return [*tables.values(), *bronze]


def _make_quarantine(con: duckdb.DuckDBPyConnection, events: list[Event]) -> None:
    if not events:
        raise BadInput("the lake has no bronze tables yet", hint="fleetlake ingest --once")
    selects = (
        f"SELECT '{event.topic}' AS topic, {QUARANTINE_COLUMNS} FROM rejects.{event.kind} WHERE reject_reason IS NOT NULL"
        for event in events
    )
    con.execute(f"CREATE VIEW {QUARANTINE} AS {' UNION ALL '.join(selects)}")


def _expose_at(
    con: duckdb.DuckDBPyConnection,
    table: IcebergTable,
    view: str,
    moment: Moment | None,
    row_filter: BooleanExpression | None = None,
) -> None:
    snapshot_id = snapshot_at(table, moment) if moment else None
    if moment and snapshot_id is None:
        expose_files(con, table, view, [])
    else:
        expose(con, table, view, snapshot_id=snapshot_id, row_filter=row_filter)


def _parse(sql: str) -> dict[str, Any]:
    """DuckDB's own syntax tree: what it does not take for a SELECT is not run."""
    with small_database() as con:
        try:
            statements = con.extract_statements(sql)
            if len(statements) != 1:
                raise BadInput(f"expected one statement, got {len(statements)}", allowed=ONE_SELECT)
            (text,) = con.execute("SELECT json_serialize_sql($sql)", {"sql": sql}).fetchall()[0]
        except duckdb.Error as error:
            raise explain(error) from error
    tree: dict[str, Any] = json.loads(text)
    if tree.get("error"):
        raise BadInput("a query can only read", where=sql.split(maxsplit=1)[0], allowed=ONE_SELECT)
    return tree


def _nodes(tree: object) -> Iterator[dict[str, str]]:
    pending = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            yield node
            pending.extend(node.values())
        elif isinstance(node, list):
            pending.extend(node)
