"""fleetlake erase: a device out of the lake."""

from __future__ import annotations

from typing import Annotated

import typer


def erase(
    device: Annotated[str, typer.Option(metavar="ID", help="The device_id, whole.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would go; change nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Takes a device out of every table and every file of the lake, then searches them all; exit code 1 if one still has its id.

    It can't be undone. Rows of other devices stay: where a text of theirs names it, its id is masked. Tables that had it lose their
    older snapshots. Safe beside an ingest; cut off, the same command goes on.
    The report names what is not the lake's: Kafka has the records until its retention ends.

    Example: fleetlake erase --device sim7-00000 --dry-run
    """
    from fleetlake.config.wiring import load_settings
    from fleetlake.workflows import erase as erasing

    report = erasing.erase(load_settings(), device, dry_run=dry_run)
    erasing.print_report(report, as_json=as_json)
    erasing.require_gone(report)
