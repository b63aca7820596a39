"""fleetlake replay: recorded drives as events."""

from __future__ import annotations

from datetime import tzinfo
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fleetlake.simulate.replay import Problem, ReplayReport


class ReplayTarget(StrEnum):
    KAFKA = "kafka"
    NDJSON = "ndjson"


def replay(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="CSV (.csv, .csv.gz, .tsv, .txt) and GPX files.")],
    assign: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="FIELD=COLUMN[:UNIT]",
            help="Which column an event field comes from, for example speed=velocity:mph or weather_data.temperature=temp:degF.",
        ),
    ] = None,
    mapping_file: Annotated[
        Path | None, typer.Option("--mapping", metavar="FILE.toml", help='The same as lines: speed = "velocity:mph".')
    ] = None,
    speedup: Annotated[
        str, typer.Option(metavar="X|max", help="Recorded seconds per second: 1 is the recorded pace, max is all at once.")
    ] = "max",
    to: Annotated[ReplayTarget, typer.Option(help="Kafka, or JSON lines on stdout.")] = ReplayTarget.KAFKA,
    timezone: Annotated[str, typer.Option(metavar="ZONE", help="Zone of times that name none, for example Europe/London.")] = "UTC",
    as_json: Annotated[bool, typer.Option("--json", help="The report as one JSON object (with --to ndjson: on stderr).")] = False,
) -> None:
    """Sends recorded drives as gps_data events, and as other events where a field of theirs is mapped.

    Names such as device_id, vehicle_id, timestamp, lat, lon, bearing and speed need no --map. Without a device column, the file's
    name is the device. Absent columns stay null; speed and heading then follow from the positions, and `derived` says so. Rows that
    break the contract are sent too, and reported: the ingest quarantines them. The same file gives the same event ids every time.

    Example: fleetlake replay drive.csv --map speed=velocity:mph --map timestamp=when --timezone Europe/London
    """
    import sys

    from fleetlake.config.wiring import load_settings, open_producer
    from fleetlake.foundation.display import escape_controls
    from fleetlake.simulate.replay import parse_assignments, read_drives, read_mapping, send_drives
    from fleetlake.simulate.sink import NdjsonSink
    from fleetlake.workflows.simulate import parse_speedup

    settings, pace, zone = load_settings(), parse_speedup(speedup), _zone(timezone)
    mapping = (read_mapping(mapping_file) if mapping_file else {}) | parse_assignments(assign or [])
    drives = read_drives(files, mapping, timezone=zone, memory_bytes=settings.replay.memory_bytes)
    for file, points, count in drives.left_out:
        print(f"warning: {escape_controls(file)}: {_count(count, points)} not sent; only a track's points are", file=sys.stderr)
    if to is ReplayTarget.NDJSON:
        report = send_drives(drives, NdjsonSink(sys.stdout), speedup=pace, on_progress=_progress)
    else:
        with open_producer(settings) as producer:
            report = send_drives(drives, producer, speedup=pace, on_progress=_progress)
    for problem in report.problems:
        print(f"warning: {escape_controls(_in_words(problem))}; sent all the same", file=sys.stderr)
    print(_as_json(report) if as_json else _summary(report), file=sys.stderr if to is ReplayTarget.NDJSON else sys.stdout)


def _zone(name: str) -> tzinfo:
    from datetime import UTC
    from zoneinfo import ZoneInfo

    from fleetlake.foundation.errors import BadInput

    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (OSError, ValueError, LookupError) as error:
        raise BadInput(f"--timezone {name} is not known here", allowed="UTC, or a name such as Europe/London") from error


def _progress(sent: int, rows: int) -> None:
    import sys

    if sys.stderr.isatty():
        print(f"\r{sent:,} of {rows:,} rows", end="\n" if sent == rows else "", file=sys.stderr)


def _in_words(problem: Problem) -> str:
    more = ", ..." if problem.rows > len(problem.first) else ""
    return f"{problem.what} in {_count(problem.rows, 'row')}: {', '.join(problem.first)}{more}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _summary(report: ReplayReport) -> str:
    sent = ", ".join(f"{count:,} {topic}" for topic, count in report.sent.items())
    period = f", {report.first:%Y-%m-%d %H:%M:%S} to {report.last:%Y-%m-%d %H:%M:%S} UTC" if report.first and report.last else ""
    derived = ", ".join(f"{name} for {count:,}" for name, count in report.derived.items() if count)
    return f"{_count(report.rows, 'row')} of {_count(report.devices, 'device')}{period}: sent {sent} events" + (
        f"; derived {derived}" if derived else ""
    )


def _as_json(report: ReplayReport) -> str:
    import json
    from dataclasses import asdict

    from fleetlake.serve.output import plain

    return json.dumps(plain(asdict(report)))
