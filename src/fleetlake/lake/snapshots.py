"""The one place where snapshots are made, and the order of their times.

Iceberg's Java readers refuse a table whose times go back by more than a minute: those of its snapshot log, its metadata log and its
last update. Clocks do go back, and two machines' clocks differ. So a table's times never go back here: a commit by a clock that is
behind the table is dated right after the table's last change, and keeps what the clock said in its summary, as CLOCK.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal

from pyiceberg.avro.codecs import AvroCompressionCodec
from pyiceberg.catalog import Catalog
from pyiceberg.manifest import ManifestFile, write_manifest_list
from pyiceberg.table import StagedTable
from pyiceberg.table import Table as IcebergTable
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.refs import MAIN_BRANCH, SnapshotRefType
from pyiceberg.table.snapshots import Snapshot, Summary
from pyiceberg.table.update import (
    AddSnapshotUpdate,
    AssertRefSnapshotId,
    AssertTableUUID,
    SetSnapshotRefUpdate,
    TableRequirement,
    TableUpdate,
)

from fleetlake.foundation.errors import Retryable

FORMAT_VERSION: Literal[2] = 2
COMPRESSION: AvroCompressionCodec = "deflate"
CLOCK = "fleetlake.clock-ms"  # in a summary: what the writer's clock said, where the snapshot is dated otherwise
# What Iceberg's Java writers say when their clock is behind the table by more than a minute: they commit nothing then.
JAVA_CLOCK_BEHIND = (
    "Expected sorted snapshot log entries",
    "Expected sorted previous metadata log entries",
    "Invalid update timestamp",
)

Clock = Callable[[], int]  # milliseconds since 1970


def wall_clock_ms() -> int:
    """Returns this machine's time, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Staged:
    """What a catalog needs to commit it, and the metadata files written for it, which are for nothing if it does not land."""

    requirements: tuple[TableRequirement, ...]
    updates: tuple[TableUpdate, ...]
    written: tuple[str, ...]


def stage_snapshot(
    table: IcebergTable, snapshot_id: int, manifests: Sequence[ManifestFile], summary: Summary, *, now_ms: int
) -> Staged:
    """Writes the manifest list of a snapshot on top of `table` as it was loaded; returns what a catalog needs to commit it.

    manifests: all that the snapshot has, those made for it carry its id. now_ms: what the writer's clock says. The snapshot is
    dated after the table's last change, whatever the clock says. Nothing is visible before the commit, which fails if the branch
    moved.
    """
    metadata = table.metadata
    parent = metadata.snapshot_by_name(MAIN_BRANCH)
    parent_id, sequence = parent.snapshot_id if parent else None, metadata.next_sequence_number()
    location = f"{table.location()}/metadata/snap-{snapshot_id}-0-{uuid.uuid4()}.avro"
    with write_manifest_list(
        format_version=FORMAT_VERSION,
        output_file=table.io.new_output(location),
        snapshot_id=snapshot_id,
        parent_snapshot_id=parent_id,
        sequence_number=sequence,
        avro_compression=COMPRESSION,
    ) as writer:
        writer.add_manifests(list(manifests))
    dated_ms = time_of_next_change(metadata, now_ms)
    snapshot = Snapshot.model_validate(
        {
            "snapshot-id": snapshot_id,
            "parent-snapshot-id": parent_id,
            "manifest-list": location,
            "sequence-number": sequence,
            "timestamp-ms": dated_ms,
            "summary": _with_clock(summary, now_ms if now_ms != dated_ms else None),
            "schema-id": metadata.current_schema_id,
        }
    )
    unmoved = AssertRefSnapshotId.model_validate({"ref": MAIN_BRANCH, "snapshot-id": parent_id})
    branch = SetSnapshotRefUpdate.model_validate(
        {"ref-name": MAIN_BRANCH, "type": SnapshotRefType.BRANCH, "snapshot-id": snapshot_id}
    )
    return Staged((unmoved, AssertTableUUID(uuid=metadata.table_uuid)), (AddSnapshotUpdate(snapshot=snapshot), branch), (location,))


def _with_clock(summary: Summary, clock_ms: int | None) -> Summary:
    """Returns the summary with what the clock said, without that of another snapshot which an erasure may have kept."""
    stored = {name: value for name, value in summary.additional_properties.items() if name != CLOCK}
    return Summary(summary.operation, **stored, **({CLOCK: str(clock_ms)} if clock_ms is not None else {}))


def time_of_next_change(metadata: TableMetadata, now_ms: int) -> int:
    """Returns `now_ms`, or the millisecond after the table's last change if that is later."""
    made = [entry.timestamp_ms for entry in metadata.snapshot_log[-1:]]
    replaced = [entry.timestamp_ms for entry in metadata.metadata_log[-1:]]
    return max(now_ms, *(last_ms + 1 for last_ms in (metadata.last_updated_ms, *made, *replaced)))


def keep_times_in_order(catalog: Catalog) -> None:
    """Makes every commit through `catalog` write metadata whose times do not go back.

    PyIceberg dates changes of properties, schema or old snapshots by the clock alone. A catalog whose server makes the metadata, as
    a REST catalog's does, is left as it is.
    """
    unchecked: Any = catalog
    stage = getattr(unchecked, "_update_and_stage_table", None)
    if stage is None:
        return

    def stage_in_order(current: IcebergTable | None, *args: Any, **kwargs: Any) -> StagedTable:
        staged: StagedTable = stage(current, *args, **kwargs)
        if current is not None and staged.metadata != current.metadata:
            staged.metadata = in_order(staged.metadata, since_ms=current.metadata.last_updated_ms)
        return staged

    unchecked._update_and_stage_table = stage_in_order


def in_order(metadata: TableMetadata, *, since_ms: int) -> TableMetadata:
    """Returns metadata whose times nowhere go back and end no earlier than `since_ms`; the same object if they already do so.

    Also what an earlier release left out of order is put right, so that Java reads the table again after its next commit.
    """
    snapshot_log, metadata_log = metadata.snapshot_log, metadata.metadata_log
    made = list(accumulate((entry.timestamp_ms for entry in snapshot_log), max))
    replaced = list(accumulate((entry.timestamp_ms for entry in metadata_log), max))
    last_ms = max(since_ms, metadata.last_updated_ms, *made[-1:], *replaced[-1:])
    changes: dict[str, Any] = {}
    if made != [entry.timestamp_ms for entry in snapshot_log]:
        changes["snapshot_log"] = [one.model_copy(update={"timestamp_ms": ms}) for one, ms in zip(snapshot_log, made, strict=True)]
    if replaced != [entry.timestamp_ms for entry in metadata_log]:
        changes["metadata_log"] = [
            one.model_copy(update={"timestamp_ms": ms}) for one, ms in zip(metadata_log, replaced, strict=True)
        ]
    if last_ms != metadata.last_updated_ms:
        changes["last_updated_ms"] = last_ms
    return metadata.model_copy(update=changes) if changes else metadata


def commit_times(metadata: TableMetadata, now_ms: int) -> Mapping[int, int]:
    """Returns when each snapshot was committed, by its id, in milliseconds since 1970, as `believed_times` estimates it."""
    snapshots = sorted(metadata.snapshots, key=lambda one: one.sequence_number or 0)
    believed = believed_times([clock_of(snapshot) for snapshot in snapshots], now_ms)
    return {snapshot.snapshot_id: at_ms for snapshot, at_ms in zip(snapshots, believed, strict=True)}


def history(metadata: TableMetadata, now_ms: int) -> list[tuple[int, int]]:
    """Returns the ids of the snapshots that were the current one, in their order, and since when, as `believed_times` has it."""
    snapshots = {snapshot.snapshot_id: snapshot for snapshot in metadata.snapshots}
    entries = [entry for entry in metadata.snapshot_log if entry.snapshot_id in snapshots]
    clocks = list[int]()
    for entry in entries:
        snapshot = snapshots[entry.snapshot_id]
        is_its_commit = entry.timestamp_ms == snapshot.timestamp_ms  # else the branch was set back to it then
        clocks.append(clock_of(snapshot) if is_its_commit else entry.timestamp_ms)
    times = believed_times(clocks, now_ms)
    return [(entry.snapshot_id, at_ms) for entry, at_ms in zip(entries, times, strict=True)]


def clock_of(snapshot: Snapshot) -> int:
    """Returns what the clock of the snapshot's writer said, in milliseconds since 1970."""
    stored = snapshot.summary.additional_properties.get(CLOCK) if snapshot.summary else None
    return int(stored) if stored else snapshot.timestamp_ms


def refused_for_its_clock(text: str, where: str) -> Retryable | None:
    """Returns the error to raise if Java's exception, by its text, says that this machine's clock is behind the table."""
    if not any(words in text for words in JAVA_CLOCK_BEHIND):
        return None
    return Retryable(
        "this machine's clock is over a minute behind the table's last change, and Iceberg's Java library commits nothing then",
        where=where,
        hint="set the clocks of all machines that write to the lake, then run it again once this one's has passed that change",
    )


def believed_times(clocks_ms: Sequence[int], now_ms: int) -> list[int]:
    """Returns an estimate of when each of a series of commits was made, in their order; estimates never go back.

    clocks_ms: what the clock of each one's writer said. A clock that was ahead of `now_ms` was wrong: such a commit counts as made
    with the one after it, or now. A commit whose clock was behind an earlier commit's counts as made right after that one.
    Either way it is taken for younger than it is rather than for older, so that nothing is deleted too early.
    """
    latest_ms, behind = 0, list[int | None]()
    for clock_ms in clocks_ms:
        if clock_ms <= now_ms:
            latest_ms = max(latest_ms, clock_ms)
        behind.append(latest_ms if clock_ms <= now_ms else None)
    estimates, next_ms = list[int](), now_ms
    for one in reversed(behind):
        next_ms = next_ms if one is None else one
        estimates.append(next_ms)
    return estimates[::-1]
