"""Reports read from the lake."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

import duckdb
import pyarrow as pa
from pyiceberg.expressions import AlwaysTrue, BooleanExpression
from pyiceberg.expressions.parser import parse
from pyiceberg.table import Table as IcebergTable

from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.gold import FLEET_DAY, TRIPS
from fleetlake.contracts.iceberg import ICEBERG_TYPES
from fleetlake.contracts.positions import POSITIONS
from fleetlake.contracts.table import Table
from fleetlake.foundation.errors import BadInput
from fleetlake.lake.catalog import Lake
from fleetlake.lake.memory_database import small_database
from fleetlake.lake.scan import DUCKDB_TYPES, expose
from fleetlake.serve.reports.definition import Answer, ReportDefinition, Selection
from fleetlake.serve.session import fetch, reading_session

KNOW_DEVICES = (FLEET_DAY, TRIPS, POSITIONS)  # a device none of them knows is mistyped
NAMED_DEVICES = 8
CHOSEN = """
    ($device IS NULL OR device_id = $device) AND ($start IS NULL OR {time} >= $start) AND ($until IS NULL OR {time} < $until)
"""


def read_report(lake: Lake, report: ReportDefinition, selection: Selection | None = None) -> Answer:
    """The rows of a selection, all of one moment's snapshots. Missing if the report's table is not there, BadInput if rows are,
    but no table knows the device."""
    selection = selection or Selection()
    with reading_session(lambda con: expose_tables(con, lake, report.tables, selection, required=1)) as con:
        rows = fetch(con, report.select or _rows_of(report), parameters=selection.parameters)
    if rows.num_rows:
        shown, totals = _for_people(report, rows)
        return Answer(report, selection, rows, shown, totals)
    answer = Answer(report, selection, rows, rows, ())
    found = _extent(lake, report, selection.device)
    if selection.device and found["of_device"] is None:
        _require_known(lake, selection.device, report.tables[0])
    return replace(answer, first=found["first"], last=found["last"])


def expose_tables(
    con: duckdb.DuckDBPyConnection, lake: Lake, tables: Iterable[Table], selection: Selection, *, required: int = 0
) -> list[IcebergTable]:
    """Makes a view of each table under its name, empty where it is not there; Missing if that is one of the first `required`.

    A column that the stored table does not have yet is null. Files are left out that can't have what reports ask: in silver, those
    outside of the period, in bronze those without rejected records.
    """
    stored = []
    for number, table in enumerate(tables):
        if number >= required and not lake.has(table.name):
            _expose_nothing(con, table)
            continue
        found = lake.table(table.name)
        expose(con, found, f"stored_{table.name}", row_filter=_what_files(table, selection))
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {table.layer}")
        con.execute(f"CREATE VIEW {table.name} AS SELECT {_columns(table, found)} FROM stored_{table.name}")
        stored.append(found)
    return stored


def _columns(table: Table, stored: IcebergTable) -> str:
    present = {field.name for field in stored.schema().fields}
    return ", ".join(
        column.name if column.name in present else f"NULL::{DUCKDB_TYPES[str(ICEBERG_TYPES[column.type])]} AS {column.name}"
        for column in table.columns
    )


def _expose_nothing(con: duckdb.DuckDBPyConnection, table: Table) -> None:
    con.register(f"no_{table.layer}_{table.kind}", table_schema(table).empty_table())
    con.execute(f"CREATE SCHEMA IF NOT EXISTS {table.layer}")
    con.execute(f"CREATE VIEW {table.name} AS SELECT * FROM no_{table.layer}_{table.kind}")


def _what_files(table: Table, selection: Selection) -> BooleanExpression:
    if table.layer == "bronze":
        return parse("reject_reason is not null")
    if table.layer != "silver":
        return AlwaysTrue()
    bounds = ((">=", selection.start), ("<", selection.until))
    texts = [f"{table.partition_by} {sign} '{time.isoformat()}'" for sign, time in bounds if time]
    return parse(" and ".join(texts)) if texts else AlwaysTrue()


def _rows_of(report: ReportDefinition) -> str:
    table = report.tables[0]
    return f"SELECT * FROM {table.name} WHERE ({report.where}) AND {CHOSEN.format(time=report.time)} ORDER BY {report.order}"


def _for_people(report: ReportDefinition, rows: pa.Table) -> tuple[pa.Table, tuple[tuple[str, str], ...]]:
    """What people's table shows, and the totals, from the rows that were read."""
    with small_database() as con:
        con.register("rows", rows)
        shown = con.sql(report.people).to_arrow_table() if report.people else rows
        sums = ", ".join(f"({total.sql}) AS total_{number}" for number, total in enumerate(report.totals))
        values = con.sql(f"SELECT {sums} FROM rows").fetchall()[0]
    return shown, tuple(
        (total.one if total.one and value == 1 else total.label, total.text(value))
        for total, value in zip(report.totals, values, strict=True)
        if value is not None
    )


def _extent(lake: Lake, report: ReportDefinition, device: str | None) -> Mapping[str, Any]:
    """From when to when the device, or any if there is none, has rows whatever the period; of_device: null if it has none."""
    table = report.tables[0]
    whole = Selection(device)
    with reading_session(lambda con: expose_tables(con, lake, (table,), whole, required=1)) as con:
        (found,) = fetch(
            con,
            f"""
            SELECT min({report.time}) AS first, max({report.time}) AS last, nullif(count(*), 0) AS of_device
            FROM {table.name} WHERE ({report.where}) AND ($device IS NULL OR device_id = $device)
            """,
            parameters={"device": device},
        ).to_pylist()
    result: Mapping[str, Any] = found
    return result


def _require_known(lake: Lake, device: str, table: Table) -> None:
    """BadInput if there are devices, and this is none of them."""
    tables = list(dict.fromkeys((table, *KNOW_DEVICES)))
    select = " UNION ".join(f"SELECT DISTINCT device_id FROM {one.name}" for one in tables)
    with reading_session(lambda con: expose_tables(con, lake, tables, Selection())) as con:
        known: list[str] = fetch(con, f"{select} ORDER BY device_id")["device_id"].to_pylist()
    if not known or device in known:
        return
    near = get_close_matches(device, known, n=NAMED_DEVICES) or known[:NAMED_DEVICES]
    others = f" and {len(known) - len(near)} more" if len(known) > len(near) else ""
    raise BadInput(f"there is no device {device}", where="--device", allowed=", ".join(near) + others)
