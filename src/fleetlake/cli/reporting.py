"""What the commands that report share: their options, and how an answer is given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from datetime import datetime

    from fleetlake.serve.reports import ReportDefinition, Selection

Device = Annotated[str | None, typer.Option(help="Only this device's.")]
From = Annotated[str | None, typer.Option("--from", metavar="TIME", help="Only what began at or after this (ISO 8601, UTC).")]
To = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Only what began before this.")]
Limit = Annotated[int | None, typer.Option(min=0, help="Rows shown at most, 0 for all; 50 in a table unless given.")]
Html = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write one page with a map and the table; 2000 rows unless --limit is given.")
]
AsJson = Annotated[bool, typer.Option("--json", help="An array of objects with every column, without the totals.")]
AsCsv = Annotated[
    bool,
    typer.Option(
        "--csv", help="Comma-separated values with every column, without the totals; ' before what a spreadsheet would calculate."
    ),
]


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of a command that reports, as they were given."""

    device: str | None = None
    start: str | None = None
    until: str | None = None
    limit: int | None = None
    html: Path | None = None
    as_json: bool = False
    as_csv: bool = False

    def selection(self) -> Selection:
        """BadInput for what is not a time, and for a period that ends before it begins."""
        from fleetlake.foundation.errors import BadInput
        from fleetlake.serve.reports import Selection

        start, until = _time(self.start, "--from"), _time(self.until, "--to")
        if start and until and start > until:
            raise BadInput(f"--from {self.start} is later than --to {self.until}", allowed="a time before --to")
        return Selection(self.device, start, until)


def answer(report: ReportDefinition, asked: Asked) -> None:
    """Reads the report and gives it as a table, JSON, CSV or page."""
    from fleetlake.config.wiring import load_settings, open_existing_lake
    from fleetlake.foundation.errors import BadInput
    from fleetlake.serve.output import Form, form_of, write_rows
    from fleetlake.serve.reports import read_report, require_folder, write_report, write_report_page

    form, selection = form_of(as_json=asked.as_json, as_csv=asked.as_csv), asked.selection()
    if asked.html and form is not Form.TABLE:
        raise BadInput("--html and --json or --csv together", allowed="one of them")
    if asked.html:
        require_folder(asked.html)
    lake = open_existing_lake(load_settings())
    found = read_report(lake, report, selection)
    if asked.html:
        size = write_report_page(lake, found, asked.html, limit=asked.limit)
        typer.echo(f"{found.totals_line or found.nothing}\n{asked.html} ({size / 1000:,.0f} kB)")
    elif form is Form.TABLE:
        write_report(found, limit=asked.limit)
    else:
        write_rows(found.rows, form, limit=asked.limit)


def _time(text: str | None, option: str) -> datetime | None:
    from fleetlake.serve.as_of import parse_time

    return parse_time(text, option) if text else None
