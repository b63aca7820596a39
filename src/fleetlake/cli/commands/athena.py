"""fleetlake athena: SQL on Athena."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def _group() -> None:
    """SQL on Athena over the same tables, with what it cost.

    Example: fleetlake athena query "SELECT count(*) FROM gold.trips"
    """


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help="One statement in Athena's dialect.", show_default=False)] = "",
    named: Annotated[str | None, typer.Option(help="A named query instead; deploy athena plan prints them.")] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option(help="A value for the next ? or, of a named query, the next parameter: a number, DATE '...', else text."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=0, help="Rows read at most, 0 for all; 50 in a table unless given.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="An array of objects.")] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Comma-separated values with a header; ' before what a spreadsheet would calculate.")
    ] = False,
) -> None:
    """Runs one statement in the workgroup and writes its rows; what it scanned and cost goes to stderr. Ctrl-C stops it there too.

    Tables are bronze.*, silver.*, gold.*, raw.*; names without a dot are the views and landing tables of aws.view_database.

    Example: fleetlake --profile aws athena query --named trips_of_a_day --parameter 2026-01-31
    """
    from fleetlake.cloud.athena.named import literal
    from fleetlake.cloud.athena.named import named as named_query
    from fleetlake.config.wiring import load_settings
    from fleetlake.foundation.errors import BadInput
    from fleetlake.serve.output import TABLE_ROWS, Form, form_of, write_rows
    from fleetlake.workflows.deploy_athena import athena_of, clear_line

    form = form_of(as_json=as_json, as_csv=as_csv)
    if bool(sql.strip()) == (named is not None):
        raise BadInput("a statement or --named, one of them", hint="fleetlake athena query --named fleet_state_now")
    settings, values = load_settings(), tuple(parameter or ())
    if named is None:
        statement, literals = sql, tuple(literal(value) for value in values)
    else:
        statement, literals = named_query(named, settings.aws.view_database).bound(values)
    athena = athena_of(settings)
    try:
        execution = athena.run(statement, literals, what=named or "")
    finally:
        clear_line()
    most = limit if limit is not None else TABLE_ROWS if form is Form.TABLE else 0
    rows = athena.rows(execution, most + 1 if most else 0)
    write_rows(rows.slice(0, most) if most else rows, form, limit=0)
    if most and rows.num_rows > most:
        typer.echo(f"there are more than these {most} rows; --limit 0 shows all", err=True)
    typer.echo(f"{execution.elapsed_s:.1f} s, {execution.scanned_bytes:,} bytes scanned, {execution.usd:.6f} USD", err=True)
