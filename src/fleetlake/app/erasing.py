"""A device out of the lake, and a report of what holds it elsewhere."""

from __future__ import annotations

import json
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
from fleetlake.maintain.erase import Erasure, Wiring, count_device, erase_device
from fleetlake.maintain.erase_search import holds, pattern_of
from fleetlake.transform.marker import read_marker

if TYPE_CHECKING:
    from fleetlake.app.settings import Settings
    from fleetlake.lake.catalog import Lake

SPOILT = "erased"  # no model's digest: the table is computed anew
NOT_SEARCHED = ("kafka", "warehouse")  # folders of the home: the broker's, which is told apart, and the lake's, which was searched

PROBE_S = 3.0  # how long a broker has to answer at all; without one the report says that it was not looked at


@dataclass(frozen=True, slots=True)
class Report:
    """elsewhere: files of the home, beside the lake, that hold the id. outside: what no search here reaches."""

    device_id: str
    dry_run: bool
    erasure: Erasure
    elsewhere: tuple[str, ...]
    outside: tuple[str, ...]


def erase(settings: Settings, device_id: str, *, dry_run: bool) -> Report:
    """BadInput without an id; Missing if nobody has it."""
    from fleetlake.app.wiring import open_existing_lake

    if not device_id.strip():
        raise BadInput("a device's id is not empty", where="--device")
    lake = open_existing_lake(settings, to_write=not dry_run)
    erasure = count_device(lake, device_id) if dry_run else erase_device(lake, device_id, erase_wiring())
    elsewhere = tuple(_in_home(settings.home, pattern_of(device_id)))
    return Report(device_id, dry_run, erasure, elsewhere, (*_topics(settings), *OUTSIDE))


def erase_wiring() -> Wiring:
    topics = {bronze_of(event).name: event.topic for event in EVENTS}
    return Wiring(topics, spoil_shared_tables, wait=lambda attempt: time.sleep(min(0.05 * 2**attempt, 1.0)))


def spoil_shared_tables(lake: Lake) -> None:
    """Has the tables whose rows are made of several devices (camera_traffic) computed anew by the next transform."""
    for table in GOLD:
        if table.entity == "device_id" or not lake.has(table.name):
            continue
        stored = lake.table(table.name)
        marker = read_marker(stored)
        if marker is not None and marker.definition != SPOILT:
            with stored.transaction() as transaction:
                transaction.set_properties(replace(marker, definition=SPOILT).properties())


OUTSIDE = (
    "other copies of the landing (spark.landing) and of checkpoints, if they are not below the home",
    "object versions of an S3 bucket that keeps them, and its replicas",
    "results of Athena's queries, and Snowflake's (query results, Time Travel)",
    "backups, exports and reports of before",
)


def _topics(settings: Settings) -> Iterator[str]:
    from fleetlake.app.ingesting import sources_now
    from fleetlake.app.wiring import kafka_settings
    from fleetlake.broker.topics import cluster_id

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


def _in_home(home: Path, pattern: bytes) -> Iterator[str]:
    io = PyArrowFileIO()
    for top in sorted(home.resolve().iterdir()):
        if top.name in NOT_SEARCHED or top.name.startswith("catalog.db"):
            continue
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            with suppress(PermissionError):
                if path.is_file() and holds(io, str(path), pattern):
                    yield str(path)


def print_report(report: Report, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(report), indent=2))
        return
    done = "would be taken out" if report.dry_run else "taken out"
    for table in report.erasure.tables:
        later = f", {table.arrived:,} of them arrived meanwhile" if table.arrived else ""
        print(f"{table.table}: {table.rows:,} rows {done} of {table.files:,} files{later}")
    if not report.dry_run:
        print(f"{report.erasure.deleted:,} files of before deleted; {report.erasure.searched:,} files of the lake searched")
        for path in report.erasure.remaining:
            print(f"still holds it: {escape_controls(path)}")
        if not report.erasure.remaining:
            device = escape_controls(report.device_id)
            print(f"no file of the lake holds {device}; run fleetlake transform to compute again what cameras saw")
    for path in report.elsewhere:
        print(f"not the lake's, holds it: {escape_controls(path)}")
    for place in report.outside:
        print(f"not searched: {escape_controls(place)}")


def require_gone(report: Report) -> None:
    """Unproven if a file of the lake still holds the id."""
    if report.erasure.remaining:
        raise Unproven(
            f"{len(report.erasure.remaining)} files of the lake still hold the id",
            where=report.erasure.remaining[0],
            hint="stop what sends it, wait an hour if a writer was cut off, then the same again",
        )
