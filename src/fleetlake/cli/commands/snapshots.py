"""fleetlake snapshots: the states a table can be read at."""

from __future__ import annotations

from typing import Annotated

import typer


def snapshots(
    table: Annotated[str, typer.Argument(help="For example bronze.gps or gold.trips.")],
    limit: Annotated[
        int | None, typer.Option(min=0, help="Only the newest so many, 0 for all; 50 in a table unless given.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="An array of objects, with what fleetlake stored in each commit.")
    ] = False,
) -> None:
    """Lists a table's snapshots, the newest last: when each was committed, what it added, and what the table held then.

    Example: fleetlake snapshots gold.trips
    """
    import sys
    from dataclasses import asdict

    import pyarrow as pa

    from fleetlake.config.wiring import load_settings, open_existing_lake
    from fleetlake.serve.output import TABLE_ROWS, Form, write_json_array, write_rows
    from fleetlake.serve.snapshots import list_snapshots

    found = list_snapshots(open_existing_lake(load_settings()), table)
    most = limit if limit is not None else 0 if as_json else TABLE_ROWS
    shown = [asdict(row) for row in (found[-most:] if most else found)]
    if as_json:
        write_json_array(shown, sys.stdout)
    elif not shown:
        typer.echo(f"{table} has no snapshot yet")
    else:
        rows = [
            {
                "snapshot": row["snapshot_id"],
                "committed (UTC)": f"{row['committed_at']:%Y-%m-%d %H:%M:%S}",
                "operation": row["operation"],
                "added": row["added_rows"],
                "rows": row["total_rows"],
                "files": row["added_files"],
                "made by": ", ".join(sorted({key.split(".")[1] for key in row["properties"]})),
            }
            for row in shown
        ]
        write_rows(pa.Table.from_pylist(rows), Form.TABLE, limit=0, title=table)
        if len(shown) < len(found):
            typer.echo(f"(the newest {len(shown)} of {len(found)}; --limit 0 shows all)")
