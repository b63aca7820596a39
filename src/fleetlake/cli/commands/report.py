"""fleetlake report: what the gold tables say."""

from __future__ import annotations

from typing import Annotated

import typer

from fleetlake.cli.reporting import AsCsv, AsJson, Asked, Device, From, Html, Limit, To, answer

app = typer.Typer(no_args_is_help=True, add_completion=False)

HELP = {
    "trips": """Lists the trips by start time: distance, duration, speeds, idling, from where to where; then the totals.

    Example: fleetlake report trips --from 2026-01-01 --to 2026-01-02
    """,
    "driving": """Lists the driving events: what a driver did too hard or too fast, when, how long, how much, on which road.

    Example: fleetlake report driving --device sim7-00000 --html driving.html
    """,
    "fuel": """Lists consumption, refuels and thefts; the totals have the consumption per 100 km.

    Example: fleetlake report fuel --device sim7-00000
    """,
    "exposure": """Shows kilometres and time by weather, incidents near, day or night, and class of road.

    JSON and CSV have a row a device and day.

    Example: fleetlake report exposure --from 2026-01-01
    """,
    "fleet": """Lists vehicles by day: distance, time, trips, events, fuel, score.

    Example: fleetlake report fleet --from 2026-01-01 --csv
    """,
}


@app.callback()
def report() -> None:
    """Reports on the gold tables, as a table, JSON, CSV or one HTML page.

    Example: fleetlake report trips
    """


def _command(name: str) -> None:
    def run(
        device: Device = None,
        start: From = None,
        until: To = None,
        limit: Limit = None,
        html: Html = None,
        as_json: AsJson = False,
        as_csv: AsCsv = False,
    ) -> None:
        from fleetlake.serve.reports import REPORTS

        answer(REPORTS[name], Asked(device, start, until, limit, html, as_json, as_csv))

    app.command(name, help=HELP[name])(run)


_command("trips")
_command("driving")


@app.command()
def scores(
    device: Device = None,
    start: From = None,
    until: To = None,
    weekly: Annotated[bool, typer.Option("--weekly", help="Scores of weeks (from Monday, UTC) instead of days.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Below each score the driving events, and what each cost.")] = False,
    limit: Limit = None,
    html: Html = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Lists the scores of days or weeks, and what each kind of event cost: 100 less weighted events per 100 km.

    With --explain, JSON and CSV have the events of each score in a column of that name.

    Example: fleetlake report scores --device sim7-00000 --explain
    """
    from fleetlake.serve.reports import Period, scores_of

    chosen = scores_of(Period.WEEK if weekly else Period.DAY, explained=explain)
    answer(chosen, Asked(device, start, until, limit, html, as_json, as_csv))


for _name in ("fuel", "exposure", "fleet"):
    _command(_name)
