"""fleetlake transform: from bronze to silver and gold."""

from __future__ import annotations

from typing import Annotated

import typer


def transform(
    full: Annotated[
        bool, typer.Option("--full", help="Compute all of silver and gold from bronze again; the result is the same.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Brings silver (one row per event, late ones marked) and gold (trips, stops) up to what has been ingested.

    Reads only what is new since the last run. A table whose model or thresholds changed is computed anew.

    Example: fleetlake transform
    """
    import sys
    from dataclasses import asdict

    import pyarrow as pa

    from fleetlake.app.wiring import load_settings, open_lake_from, transform_settings
    from fleetlake.serve.output import Form, write_json, write_rows
    from fleetlake.transform.runner import run_transform

    settings = load_settings()

    def tell(table: str) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\033[Ktransform: {table}")

    report = run_transform(open_lake_from(settings), transform_settings(settings), full=full, on_progress=tell)
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
    if as_json:
        write_json(asdict(report))
        return
    for counts in (report.silver, report.gold):
        rows = pa.Table.from_pylist([asdict(count) for count in counts])
        write_rows(rows.drop_columns([name for name in ("topic", "rebuilt") if name in rows.column_names]), Form.TABLE)
