"""A device out of the lake, and a report of what holds it elsewhere."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pyiceberg.io.pyarrow import PyArrowFileIO

from fleetlake.contracts.events import EVENTS
from fleetlake.contracts.gold import GOLD
from fleetlake.contracts.tables import bronze_of
from fleetlake.foundation.display import escape_controls
from fleetlake.foundation.errors import BadInput, FleetlakeError, Unproven
from fleetlake.lake.commits import commit
from fleetlake.maintain.erase import Erasure, count_device, erase_device
from fleetlake.maintain.erase_attempts import TableErasure, Wiring
from fleetlake.maintain.erase_name import MASK, DeviceName
from fleetlake.maintain.erase_search import search_bytes, search_file
from fleetlake.runtime.spill import FOLDER as SPILL
from fleetlake.runtime.spill import is_ours, live_spills, spill_root, spill_roots
from fleetlake.transform.marker import read_marker

if TYPE_CHECKING:
    from fleetlake.config.settings import Settings
    from fleetlake.lake.catalog import Lake

SPOILT = "erased"  # no model's digest: the table is computed anew
NOT_SEARCHED = ("kafka", "warehouse", SPILL)  # folders of the home: the broker's, and those that are searched apart
FORMER_SPILLS = ("fleetlake-rewrite-*", "fleetlake-transform-*", "fleetlake-query-*")  # in the temporary folder, of older versions

MOST_DEVICES, MOST_PATHS = 10, 3  # that a line names
PROBE_S = 3.0  # how long a broker has to answer at all; without one the report says that it was not looked at


@dataclass(frozen=True, slots=True)
class SearchedSpill:
    """The spill of a process that is at work. holders: the files of it that hold the id; they go when it ends."""

    folder: str
    command: str
    pid: int
    files: int
    holders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ErasureReport:
    """elsewhere: files of the home, beside the lake, that hold the id, and spills of older versions. spills: what commands that are
    at work have spilled, and whether it holds the id; what others left was removed. outside: what no search here reaches.
    """

    device_id: str
    dry_run: bool
    erasure: Erasure
    elsewhere: tuple[str, ...]
    spills: tuple[SearchedSpill, ...]
    outside: tuple[str, ...]


def erase(settings: Settings, device_id: str, *, dry_run: bool) -> ErasureReport:
    """BadInput without an id; Missing if nobody has it."""
    from fleetlake.config.wiring import open_existing_lake

    if not device_id:
        raise BadInput("a device's id is not empty", where="--device")
    lake = open_existing_lake(settings, to_write=not dry_run)
    erasure = count_device(lake, device_id) if dry_run else erase_device(lake, device_id, erase_wiring())
    device = DeviceName(device_id)
    elsewhere = (*_in_home(settings.home, device), *_in_former_spills(device))
    outside = (*_topics(settings), *_strange_spills(settings.home), *OUTSIDE)
    return ErasureReport(device_id, dry_run, erasure, elsewhere, tuple(_in_spills(settings.home, device)), outside)


def erase_wiring() -> Wiring:
    topics = {bronze_of(event).name: event.topic for event in EVENTS}
    return Wiring(topics, spoil_shared_tables, wait=lambda attempt: time.sleep(min(0.05 * 2**attempt, 1.0)))


def spoil_shared_tables(lake: Lake) -> None:
    """Has the tables whose rows are made of several devices (camera_traffic) computed again by the next transform.

    The commit moves the branch, so that a transform which has read their sources before conflicts, and reads them again. Raises
    Conflict if another writer came first.
    """
    for table in GOLD:
        if table.entity == "device_id" or not lake.has(table.name):
            continue
        stored = lake.table(table.name)
        marker = read_marker(stored)
        commit(stored, properties=replace(marker, definition=SPOILT).properties() if marker else {})


OUTSIDE = (
    "other copies of the landing (spark.landing) and of checkpoints, if they are not below the home",
    "object versions of an S3 bucket that keeps them, and its replicas",
    "results of Athena's queries, and Snowflake's (query results, Time Travel)",
    "backups, exports and reports of before",
)


def _topics(settings: Settings) -> Iterator[str]:
    from fleetlake.broker.topics import cluster_id
    from fleetlake.config.wiring import kafka_settings
    from fleetlake.workflows.ingest import sources_now

    try:
        kafka = kafka_settings(settings)
        cluster_id(kafka, timeout_s=PROBE_S)
        sources = list(sources_now(kafka).values())
    except FleetlakeError as error:
        yield f"Kafka's topics until their retention ends (not looked at: {error.what}); a new lake made from them has it again"
        return
    for source in sources:
        marks = ", ".join(f"partition {p}: {low} to {high}" for p, (low, high) in sorted(source.watermarks.items()) if high > low)
        if marks:
            yield f"Kafka's topic {source.topic} until its retention ends ({marks}); a new lake made from it has it again"


def _in_home(home: Path, device: DeviceName) -> Iterator[str]:
    io = PyArrowFileIO()
    for top in sorted(home.resolve().iterdir()):
        if top.name in NOT_SEARCHED or top.name.startswith("catalog.db"):
            continue
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            with suppress(PermissionError):
                if path.is_file() and search_file(io, str(path), device).found:
                    yield str(path)


def _in_spills(home: Path, device: DeviceName) -> Iterator[SearchedSpill]:
    for root in spill_roots(home):
        for spill in live_spills(root):
            files = _files_below(spill.folder)
            yield SearchedSpill(str(spill.folder), spill.command, spill.pid, len(files), tuple(_holders(files, device)))


def _strange_spills(home: Path) -> Iterator[str]:
    root = spill_root(home)
    if os.path.lexists(root) and not is_ours(root):
        yield f"{root}, which is a link, belongs to another user or is open to others: what their commands spill"


def _in_former_spills(device: DeviceName) -> Iterator[str]:
    for pattern in FORMER_SPILLS:
        for folder in Path(tempfile.gettempdir()).glob(pattern):
            if is_ours(folder):
                yield from _holders(_files_below(folder), device)


def _files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _holders(files: list[Path], device: DeviceName) -> Iterator[str]:
    io = PyArrowFileIO()
    for path in files:
        with suppress(OSError):  # gone, or another user's
            if search_bytes(io, str(path), device).found:
                yield str(path)


def print_report(report: ErasureReport, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(report), indent=2))
        return
    for line in _lines_of_tables(report):
        print(line)
    if not report.dry_run:
        print(f"{report.erasure.deleted:,} files of before deleted; {report.erasure.searched:,} files of the lake searched")
        for path in report.erasure.remaining:
            print(f"still holds it: {escape_controls(path)}")
        for path in report.erasure.foreign:
            print(f"holds it, outside the lake's tables and left as it is: {escape_controls(path)}")
        for path in report.erasure.broken:
            if path not in (*report.erasure.remaining, *report.erasure.foreign):
                part = "in part only" if path in report.erasure.unsearched else "all of them"
                searched = f"its bytes were searched, {part}"
                print(f"can't be read, as it is being written or was cut off; {searched}: {escape_controls(path)}")
        if not report.erasure.remaining:
            device = escape_controls(report.device_id)
            print(f"no file of the lake holds {device}; run fleetlake transform to compute again what cameras saw")
    for spill in report.spills:
        holds = f"{len(spill.holders):,} of them hold it" if spill.holders else "none was seen to hold it"
        at_work = f"spill of {spill.command}, process {spill.pid}, which is at work"
        print(f"{at_work}: {spill.files:,} files searched, {holds}: {escape_controls(spill.folder)}")
    for path in report.elsewhere:
        print(f"not the lake's, holds it: {escape_controls(path)}")
    for place in report.outside:
        print(f"not searched: {escape_controls(place)}")


def _lines_of_tables(report: ErasureReport) -> Iterator[str]:
    yield from (_line_of(table, dry_run=report.dry_run) for table in report.erasure.tables)
    for left in report.erasure.left:
        yield f"{escape_controls(left.table)}: none of fleetlake's tables, and left as it is: {escape_controls(left.reason)}"


def _line_of(table: TableErasure, *, dry_run: bool) -> str:
    """What goes, and in whose rows the id is masked: the devices with most of them first."""
    done, later = ("would be taken out" if dry_run else "taken out"), ""
    if table.arrived:
        later = f", {table.arrived:,} of them arrived meanwhile"
    line = f"{table.table}: {table.rows:,} rows of the device {done}{later}"
    if table.masked:
        by_rows = sorted(table.masked.items(), key=lambda one: (-one[1], one[0]))
        whose = ", ".join(f"{escape_controls(device) or 'not known whose'}: {rows:,}" for device, rows in by_rows[:MOST_DEVICES])
        more = f" and {len(by_rows) - MOST_DEVICES:,} more" if len(by_rows) > MOST_DEVICES else ""
        masked = sum(table.masked.values())
        line += f"; its id {'would be ' if dry_run else ''}replaced by {MASK} in {masked:,} rows of other devices ({whose}{more})"
    return f"{line}; {table.files:,} files"


def require_gone(report: ErasureReport) -> None:
    """Unproven if a file of the lake, one among its files or a spill still holds the id, or if one of them or a table of another's
    could not be looked through.
    """
    if report.erasure.left:
        raise Unproven(
            f"{len(report.erasure.left)} tables that are none of fleetlake's could not be rid of the device",
            where=", ".join(left.table for left in report.erasure.left[:MOST_PATHS]),
            hint="take it out with the tool that made them, or drop them, then the same again",
        )
    if report.erasure.remaining:
        raise Unproven(
            f"{len(report.erasure.remaining)} files of the lake still hold the id",
            where=report.erasure.remaining[0],
            hint="stop what sends it, wait an hour if a writer was cut off, then the same again",
        )
    held = [path for spill in report.spills for path in spill.holders]
    if held:
        raise Unproven(
            f"{len(held)} files that a command at work has spilled still hold the id",
            where=held[0],
            hint="the same again when that command has ended",
        )
    if report.erasure.foreign:
        raise Unproven(
            f"{len(report.erasure.foreign)} files outside the lake's tables name the device, and were left as they are",
            where=", ".join(report.erasure.foreign[:MOST_PATHS]),
            hint="see whose they are; delete them or take them out of the warehouse, then the same again",
        )
    if report.erasure.unsearched:
        raise Unproven(
            f"{len(report.erasure.unsearched)} files of the lake could not be searched: they were cut off, or are being written",
            where=report.erasure.unsearched[0],
            hint="the same again an hour after they were written: those that no table has are deleted then from its folders; "
            "what lies elsewhere in the warehouse has to be moved out of it",
        )
