"""fleetlake quarantine: what was rejected, and why."""

from __future__ import annotations

from typing import Annotated

import typer


def quarantine(
    topic: Annotated[str | None, typer.Option(help="Only this topic's, for example gps_data.")] = None,
    limit: Annotated[int | None, typer.Option(min=0, help="Records shown at most, 0 for all; 50 in a table unless given.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Counts and records as JSON.")] = False,
) -> None:
    """Shows the records that break the contract: the rule, the place in Kafka and the payload; first how many per topic and rule.

    In JSON a payload that is UTF-8 is `payload`, any other `payload_base64`. One of more than 64 KiB is cut there, with its size
    as `payload_bytes`: fleetlake query --json has it whole.

    Example: fleetlake quarantine --topic gps_data
    """
    from fleetlake.config.wiring import load_settings, open_existing_lake
    from fleetlake.serve.output import TABLE_ROWS, Form, write_json, write_rows
    from fleetlake.serve.quarantine import as_document, read_quarantine

    most = limit if limit is not None else 0 if as_json else TABLE_ROWS
    found = read_quarantine(open_existing_lake(load_settings()), topic=topic, limit=most)
    if as_json:
        write_json(as_document(found))
    elif not found.counts.num_rows:
        typer.echo("nothing was rejected")
    else:
        write_rows(found.counts, Form.TABLE, limit=0, title="Rejected")
        typer.echo()
        write_rows(found.records.drop_columns(["ingested_at", "payload_bytes"]), Form.TABLE, limit=0, title="Records")
        if found.records.num_rows < found.rejected:
            typer.echo(f"({found.records.num_rows} of {found.rejected} records; --limit 0 shows all)")
