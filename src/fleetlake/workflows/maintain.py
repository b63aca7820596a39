"""Maintenance of all tables, once or again and again until a signal."""

from __future__ import annotations

import json
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from types import FrameType
from typing import TYPE_CHECKING

from fleetlake.contracts.tables import all_tables, bronze_of, contract_of
from fleetlake.foundation.display import escape_controls
from fleetlake.foundation.errors import FleetlakeError, Missing
from fleetlake.maintain.compaction import NOT_OURS, Compacted, CompactionPolicy, compact
from fleetlake.maintain.expiry import Expired, expire
from fleetlake.maintain.orphans import DEFAULT_AGE, Orphans, delete_orphans
from fleetlake.maintain.retention import ExpiryPolicy
from fleetlake.serve.output import write_json
from fleetlake.transform.marker import read_marker

if TYPE_CHECKING:
    from fleetlake.config.settings import Settings
    from fleetlake.lake.catalog import Lake

    Report = Compacted | Expired | Orphans
    Task = Callable[[Lake, str], Report]

ORPHANS_EVERY_S = 86_400.0
UNNAMED = f"{NOT_OURS}; --table with its name says that its files may be deleted"
FIRST_WAIT_S, LONGEST_WAIT_S = 0.02, 0.5  # an ingest may commit every 0.3 s: who waits longer does not fare better


class _Stopped(BaseException):
    """A signal came. No Exception, so that nobody takes it for a failure of their own."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """every_s: from the end of one round to the start of the next. Orphans are looked for in the first round, then once a day."""

    every_s: float
    compaction: CompactionPolicy
    expiry: ExpiryPolicy
    orphan_age: timedelta = DEFAULT_AGE


def back_off(attempt: int) -> None:
    time.sleep(min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**attempt) * random.random())  # noqa: S311  # no secret depends on it


def compact_tables(settings: Settings, names: Sequence[str], policy: CompactionPolicy, *, dry_run: bool) -> list[Compacted]:
    """names: of tables, none for all. Missing if there is no such table."""
    lake = _lake(settings, dry_run=dry_run)
    return [_compact(lake, name, policy, dry_run=dry_run) for name in _chosen(lake, names)]


def _compact(lake: Lake, name: str, policy: CompactionPolicy, *, dry_run: bool = False) -> Compacted:
    return compact(lake, name, policy, wait=back_off, read_up_to=read_by_transforms(lake, name), dry_run=dry_run)


def read_by_transforms(lake: Lake, name: str) -> set[int]:
    """The sequence numbers up to which the tables made of this one have read it."""
    found = set[int]()
    for table in all_tables():
        sources = (*table.reads, *([bronze_of(table.event).name] if table.layer == "silver" and table.event else []))
        if name in sources and lake.has(table.name):
            marker = read_marker(lake.table(table.name))
            if marker and name in marker.sources:
                found.add(marker.sources[name].sequence)
    return found


def expire_tables(settings: Settings, names: Sequence[str], policy: ExpiryPolicy, *, dry_run: bool) -> list[Expired]:
    """names: of tables, none for all of fleetlake's; another's lose snapshots only if named. Missing if there is no such table."""
    lake = _lake(settings, dry_run=dry_run)
    return [
        expire(lake, name, policy, wait=back_off, dry_run=dry_run)
        if _may_delete(name, names)
        else Expired(name, dry_run, 0, 0, left_alone=UNNAMED)
        for name in _chosen(lake, names)
    ]


def delete_orphans_of_tables(settings: Settings, names: Sequence[str], age: timedelta, *, dry_run: bool) -> list[Orphans]:
    """names: of tables, none for all of fleetlake's; another's lose files only if named. Missing if there is no such table."""
    lake = _lake(settings, dry_run=dry_run)
    return [
        delete_orphans(lake, name, age, wait=back_off, dry_run=dry_run)
        if _may_delete(name, names)
        else Orphans(name, dry_run, (), 0, 0, left_alone=UNNAMED)
        for name in _chosen(lake, names)
    ]


def _may_delete(name: str, names: Sequence[str]) -> bool:
    """Whether a table's snapshots and files may go: it is fleetlake's, or was asked for by its name."""
    return name in names or contract_of(name) is not None


def _lake(settings: Settings, *, dry_run: bool = False) -> Lake:
    from fleetlake.config.wiring import open_existing_lake

    return open_existing_lake(settings, to_write=not dry_run)


def _chosen(lake: Lake, names: Sequence[str]) -> list[str]:
    there = lake.names()
    for name in names:
        if name not in there:
            raise Missing(
                f"there is no table {name}", where="--table", allowed=", ".join(there) or "nothing yet: the lake is empty"
            )
    return list(dict.fromkeys(names)) or there


def maintain_until_signalled(settings: Settings, names: Sequence[str], schedule: Schedule, *, as_json: bool) -> None:
    """Rounds over the tables until SIGINT or SIGTERM, which end it at once, wherever it is: what is half done is safe so.

    What fails in one table is told on stderr, and the others go on; the next round tries again.
    """
    with _ended_by_signal():
        lake, orphans_at = _lake(settings), time.monotonic()
        _chosen(lake, names)  # an unknown one is told at once
        while True:
            tasks: list[Task] = [
                lambda lake, name: _compact(lake, name, schedule.compaction),
                lambda lake, name: expire(lake, name, schedule.expiry, wait=back_off),
            ]
            if time.monotonic() >= orphans_at:
                tasks.append(lambda lake, name: delete_orphans(lake, name, schedule.orphan_age, wait=back_off))
                orphans_at = time.monotonic() + ORPHANS_EVERY_S
            _round(lake, names, tasks, as_json=as_json)
            time.sleep(schedule.every_s)


def _round(lake: Lake, names: Sequence[str], tasks: Sequence[Task], *, as_json: bool) -> None:
    try:
        chosen = _chosen(lake, names)
    except Exception as error:  # drivers of all catalogs; the next round may find it well again
        _say(error)
        return
    for name in (name for name in chosen if _may_delete(name, names)):
        for task in tasks:
            try:
                report = task(lake, name)
            except Exception as error:
                _say(error)
                continue
            if _did_something(report):
                print(json.dumps(asdict(report)) if as_json else _line(report), flush=True)


def _say(error: Exception) -> None:
    from fleetlake.config.masking import without_secrets

    told = str(error) if isinstance(error, FleetlakeError) else f"unexpected {type(error).__name__}: {error}"
    print(f"error: {escape_controls(' '.join(without_secrets(told).split()))}", file=sys.stderr, flush=True)


@contextmanager
def _ended_by_signal() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise _Stopped

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except _Stopped:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _did_something(report: Report) -> bool:
    if isinstance(report, Compacted):
        return bool(report.removed)
    return bool(report.expired if isinstance(report, Expired) else report.files)


def print_reports(reports: Sequence[Report], *, as_json: bool) -> None:
    if as_json:
        write_json([asdict(report) for report in reports])
        return
    for report in reports:
        print(_line(report))
        if isinstance(report, Orphans) and report.dry_run:
            print(*(f"  {escape_controls(path)}" for path in report.files), sep="\n", end="\n" if report.files else "")


def _line(report: Report) -> str:
    if report.left_alone:
        return f"{report.table}: left alone, {report.left_alone}"
    if isinstance(report, Compacted):
        return _line_of_compaction(report)
    would = "would be " if report.dry_run else ""
    if isinstance(report, Orphans):
        count = len(report.files) if report.dry_run else report.deleted
        return f"{report.table}: {count:,} orphans {would}deleted, {report.size_bytes / 1e6:,.1f} MB"
    files = f"{report.manifest_lists + report.manifests:,} metadata files and {report.data_files:,} data files"
    freed = f", {report.data_bytes / 1e6:,.1f} MB" if report.data_files else ""
    return f"{report.table}: {report.expired:,} snapshots {would}expired, {report.kept:,} kept; {files} {would}deleted{freed}"


def _line_of_compaction(report: Compacted) -> str:
    if not report.removed and not report.superseded:
        return f"{report.table}: nothing to put together"
    removed = f"{report.table}: {report.removed:,} small files, {report.removed_bytes / 1e6:,.1f} MB"
    if report.dry_run:
        return f"{removed}, would be put together"
    left = f"; {report.superseded:,} groups left, others changed them meanwhile" if report.superseded else ""
    return f"{removed}, put into {report.added:,} of {report.added_bytes / 1e6:,.1f} MB{left}"
