"""fleetlake ingest: from Kafka into the bronze tables."""

from __future__ import annotations

from typing import Annotated

import typer


def ingest(
    once: Annotated[bool, typer.Option("--once", help="Stop when all that is in the topics now is committed.")] = False,
    accept_gaps: Annotated[
        bool, typer.Option("--accept-gaps", help="Go on past records that retention deleted, and write the loss down.")
    ] = False,
    flush_rows: Annotated[int | None, typer.Option(min=1, help="Commit at the latest after so many records.")] = None,
    flush_age: Annotated[float | None, typer.Option(min=0.01, help="Commit at the latest after so many seconds.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Lands every record of the five topics in Iceberg, exactly once; goes on where the tables say it stopped.

    Runs until it gets SIGINT or SIGTERM, which commit what has been read; kill -9 loses and doubles nothing either.

    Example: fleetlake ingest --once
    """
    import signal

    from fleetlake.app.ingesting import open_ingest, print_counts, progress_on_terminal
    from fleetlake.app.wiring import load_settings

    settings = load_settings()
    with progress_on_terminal("ingest") as on_commit:
        engine = open_ingest(settings, accept_gaps=accept_gaps, flush_rows=flush_rows, flush_age_s=flush_age, on_commit=on_commit)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: engine.stop())
        reports = engine.run(once=once)
    print_counts(reports, as_json=as_json)
