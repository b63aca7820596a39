"""fleetlake query: SQL over all tables."""

from __future__ import annotations

from typing import Annotated

import typer


def query(
    sql: Annotated[str, typer.Argument(help="One SELECT over bronze.*, silver.*, gold.* and quarantine, in DuckDB's dialect.")],
    as_of: Annotated[
        str | None, typer.Option("--as-of", metavar="SNAPSHOT|TIMESTAMP", help="Read the tables as they were then (ISO 8601, UTC).")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=0, help="Rows shown at most, 0 for all; 50 in a table unless given.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="An array of objects.")] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Comma-separated values with a header; ' before what a spreadsheet would calculate.")
    ] = False,
) -> None:
    """Runs one SELECT over the lake's tables by name, now or as of a snapshot or a time. It can't change anything.

    A snapshot id reads its table at that snapshot and the other tables as of its commit.

    Example: fleetlake query "SELECT device_id, sum(distance_km) FROM gold.trips GROUP BY ALL" --as-of 2026-01-01T12:00:00Z
    """
    from fleetlake.config.wiring import load_settings, open_existing_lake
    from fleetlake.serve.output import form_of, write_rows
    from fleetlake.serve.query import run_query

    form = form_of(as_json=as_json, as_csv=as_csv)
    write_rows(run_query(open_existing_lake(load_settings()), sql, as_of), form, limit=limit)
