"""fleetlake report: what the gold tables say."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def report() -> None:
    """Reports on the gold tables.

    Example: fleetlake report trips
    """


@app.command()
def trips(
    device: Annotated[str | None, typer.Option(help="Only this device's.")] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Only trips that set out at or after this (ISO 8601, UTC).")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Only trips that set out before this.")] = None,
    limit: Annotated[int | None, typer.Option(min=0, help="Rows shown at most, 0 for all; 50 in a table unless given.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="An array of objects, without the totals.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values with a header, without the totals.")] = False,
) -> None:
    """Lists the trips by start time: distance, duration, speeds, idling, and whether a trip is still open; then the totals.

    Example: fleetlake report trips --from 2026-01-01 --to 2026-01-02
    """
    from fleetlake.app.wiring import load_settings, open_existing_lake
    from fleetlake.foundation.errors import BadInput
    from fleetlake.serve.as_of import parse_time
    from fleetlake.serve.output import Form, form_of, write_rows
    from fleetlake.serve.report import for_people
    from fleetlake.serve.report import trips as read_trips

    since, before = (parse_time(text, option) if text else None for text, option in ((start, "--from"), (until, "--to")))
    if since and before and since > before:
        raise BadInput(f"--from {start} is later than --to {until}", allowed="a time before --to")
    form = form_of(as_json=as_json, as_csv=as_csv)
    rows, totals = read_trips(open_existing_lake(load_settings()), device=device, start=since, until=before)
    if form is not Form.TABLE:
        write_rows(rows, form, limit=limit)
        return
    write_rows(for_people(rows), form, limit=limit, title="Trips")
    typer.echo(
        f"{totals.trips} trips ({totals.open_trips} open) of {totals.devices} devices: {totals.distance_km:,.1f} km in "
        f"{totals.duration_s / 3600:,.1f} h, {totals.idle_s / 3600:,.1f} h of them idle"
    )
