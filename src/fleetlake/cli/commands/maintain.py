"""fleetlake maintain: what keeps the tables small and quick."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fleetlake.maintain.compaction import CompactionPolicy
    from fleetlake.maintain.retention import ExpiryPolicy

app = typer.Typer(add_completion=False, no_args_is_help=True)

Tables = Annotated[list[str] | None, typer.Option("--table", metavar="NAME", help="Just this table; may be given again.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would go; change nothing.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]
TargetMB = Annotated[
    float, typer.Option(min=1, metavar="MB", help="Size of the files to make; half of it is large enough to stay.")
]
Memory = Annotated[float, typer.Option(min=64, metavar="MB", help="What a sort may hold before it spills to the disk.")]
Keep = Annotated[int, typer.Option(min=1, help="So many of the newest snapshots stay.")]
KeepHourly = Annotated[float, typer.Option(min=0, metavar="HOURS", help="For so long back the last snapshot of each hour stays.")]
Reading = Annotated[
    float, typer.Option(min=0, metavar="MINUTES", help="So long a query that began may go on reading files that were replaced.")
]
OlderThan = Annotated[float, typer.Option(min=0, metavar="HOURS", help="Just files that have not changed for so long.")]
Force = Annotated[bool, typer.Option("--force", help="Even files of less than an hour, when nothing writes to the lake.")]


@app.callback()
def _group() -> None:
    """Small files together, old snapshots and unknown files out, beside a running ingest.

    Example: fleetlake maintain run --every 60
    """


@app.command()
def compact(
    tables: Tables = None, target: TargetMB = 256.0, memory: Memory = 512.0, dry_run: DryRun = False, as_json: AsJson = False
) -> None:
    """Puts small files of a day together. Rows stay what they are, and a transform finds nothing new.

    The small files stay for the snapshots that have them, until `fleetlake maintain expire` removes those.

    Example: fleetlake maintain compact --dry-run
    Example: fleetlake maintain compact --table bronze.gps --target 128
    """
    from fleetlake.config.wiring import load_settings
    from fleetlake.workflows.maintain import compact_tables, print_reports

    reports = compact_tables(load_settings(), tables or [], _compaction(target, memory), dry_run=dry_run)
    print_reports(reports, as_json=as_json)


@app.command()
def expire(
    tables: Tables = None,
    keep: Keep = 100,
    keep_hourly: KeepHourly = 24.0,
    reading: Reading = 60.0,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Removes old snapshots, and the files that only they reach. Branches, tags and what an ingest needs stay.

    Example: fleetlake maintain expire --dry-run
    Example: fleetlake maintain expire --table bronze.gps --keep 20
    """
    from fleetlake.config.wiring import load_settings
    from fleetlake.workflows.maintain import expire_tables, print_reports

    reports = expire_tables(load_settings(), tables or [], _policy(keep, keep_hourly, reading), dry_run=dry_run)
    print_reports(reports, as_json=as_json)


@app.command()
def orphans(
    tables: Tables = None, older_than: OlderThan = 72.0, force: Force = False, dry_run: DryRun = False, as_json: AsJson = False
) -> None:
    """Deletes files below the tables' data and metadata folders that no table knows: left by a writer that was cut off.

    Example: fleetlake maintain orphans --dry-run
    """
    from datetime import timedelta

    from fleetlake.config.wiring import load_settings
    from fleetlake.maintain.orphans import require_safe_age
    from fleetlake.workflows.maintain import delete_orphans_of_tables, print_reports

    age = timedelta(hours=older_than)
    require_safe_age(age, force=force)
    print_reports(delete_orphans_of_tables(load_settings(), tables or [], age, dry_run=dry_run), as_json=as_json)


@app.command()
def run(
    tables: Tables = None,
    every: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="From one round to the next.")] = 60.0,
    target: TargetMB = 256.0,
    memory: Memory = 512.0,
    keep: Keep = 100,
    keep_hourly: KeepHourly = 24.0,
    reading: Reading = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print each report as JSON, a line each.")] = False,
) -> None:
    """Does all of it again and again, beside an ingest; orphans (3 days old) once a day. SIGINT and SIGTERM end it at once.

    Example: fleetlake maintain run --every 60
    """
    from fleetlake.config.wiring import load_settings
    from fleetlake.workflows.maintain import Schedule, maintain_until_signalled

    schedule = Schedule(every, _compaction(target, memory), _policy(keep, keep_hourly, reading))
    maintain_until_signalled(load_settings(), tables or [], schedule, as_json=as_json)


def _compaction(target: float, memory: float) -> CompactionPolicy:
    from fleetlake.maintain.compaction import CompactionPolicy

    return CompactionPolicy(target_bytes=round(target * 1e6), memory_mb=round(memory))


def _policy(keep: int, keep_hourly: float, reading: float) -> ExpiryPolicy:
    from fleetlake.maintain.retention import ExpiryPolicy

    return ExpiryPolicy(newest=keep, reading_s=reading * 60, hourly_s=keep_hourly * 3600)
