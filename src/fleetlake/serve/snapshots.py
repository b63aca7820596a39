"""The snapshots of a table: each a state it can be read at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from pyiceberg.table.snapshots import Snapshot

from fleetlake.foundation.errors import Missing
from fleetlake.lake.catalog import Lake, builder_of
from fleetlake.lake.snapshots import Clock, commit_times, wall_clock_ms

OURS = "fleetlake."


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    """One snapshot. Rows and files are those it added or took out; total_rows what the table held then.

    committed_at: as far as its writers' clocks can be believed (lake/snapshots.py). snapshot_id: as text; it has more digits than a
    JSON number keeps. properties: what fleetlake stored with the commit.
    """

    snapshot_id: str
    committed_at: datetime
    operation: str
    added_rows: int
    removed_rows: int
    total_rows: int
    added_files: int
    removed_files: int
    is_current: bool
    properties: dict[str, str]


def list_snapshots(lake: Lake, name: str, clock: Clock = wall_clock_ms) -> list[SnapshotRow]:
    """The snapshots of a table that have not expired, oldest first. Missing if there is no such table."""
    names = lake.names()
    if name not in names:
        raise Missing(f"there is no table {name}", allowed=", ".join(names), hint="" if names else builder_of(name))
    table = lake.table(name)
    current = table.current_snapshot()
    found = sorted(table.snapshots(), key=lambda snapshot: snapshot.sequence_number or 0)
    times = commit_times(table.metadata, clock())
    return [
        _row(snapshot, times[snapshot.snapshot_id], is_current=current is not None and snapshot.snapshot_id == current.snapshot_id)
        for snapshot in found
    ]


def _row(snapshot: Snapshot, time_ms: int, *, is_current: bool) -> SnapshotRow:
    summary = snapshot.summary
    stored = dict(summary.additional_properties) if summary else {}

    def count(key: str) -> int:
        return int(stored.get(key, 0))

    return SnapshotRow(
        snapshot_id=str(snapshot.snapshot_id),
        committed_at=datetime.fromtimestamp(time_ms / 1000, UTC),
        operation=summary.operation.value if summary else "",
        added_rows=count("added-records"),
        removed_rows=count("deleted-records"),
        total_rows=count("total-records"),
        added_files=count("added-data-files"),
        removed_files=count("deleted-data-files"),
        is_current=is_current,
        properties={key: value for key, value in sorted(stored.items()) if key.startswith(OURS)},
    )
