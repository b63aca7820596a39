"""What only older snapshots of a table hold, taken from storage, and every file that its snapshots reach."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress

from pyiceberg.manifest import ManifestFile
from pyiceberg.table import Table as IcebergTable
from pyiceberg.table.refs import MAIN_BRANCH
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.table.update import (
    AssertRefSnapshotId,
    AssertTableUUID,
    RemoveSnapshotRefUpdate,
    RemoveSnapshotsUpdate,
    TableUpdate,
)

from fleetlake.foundation.errors import Permanent
from fleetlake.lake.commits import commit_staged
from fleetlake.maintain.erase_search import UNDECODABLE
from fleetlake.maintain.erase_table import live_files, metadata_whole

AUDITED = "wap.id"  # in the summary of a snapshot that was written to be looked at first


def expire_all_but_current(table: IcebergTable, on_delete: Callable[[str], None]) -> None:
    """Takes from storage what just older snapshots and branches reach, then those themselves, then older table metadata.

    The files go first: cut off in between, the next run still knows them by the snapshots. Conflict if the table moved on.
    """
    current = table.current_snapshot()
    others = [s for s in table.snapshots() if current is None or s.snapshot_id != current.snapshot_id]
    in_use = {file.file_path for file in live_files(table)}  # Damaged if a manifest in use does not tell them all
    stays = in_use | set(_reached(table, current, discard_deleted=True, is_in_use=True)) if current else in_use
    # Data files before the manifests that name them.
    for location in sorted({path for snapshot in others for path in _reached(table, snapshot)} - stays, key=_is_metadata):
        with suppress(FileNotFoundError):
            table.io.delete(location)
            on_delete(location)
    if others:
        ids = [snapshot.snapshot_id for snapshot in others]
        refs = [name for name, ref in table.metadata.refs.items() if ref.snapshot_id in ids]
        updates: list[TableUpdate] = [RemoveSnapshotRefUpdate.model_validate({"ref-name": name}) for name in refs]
        updates.append(RemoveSnapshotsUpdate.model_validate({"snapshot-ids": ids}))
        _commit(table, updates, current.snapshot_id if current else None)
        table = table.refresh()
    for entry in table.metadata.metadata_log:
        with suppress(FileNotFoundError, OSError):
            table.io.delete(entry.metadata_file)
            on_delete(entry.metadata_file)


def require_not_set_back(table: IcebergTable) -> None:
    """Permanent if the table was set back to an older snapshot: an erasure would destroy what only the newer ones have."""
    snapshots = {snapshot.snapshot_id: snapshot for snapshot in table.snapshots()}
    kept = set[int]()
    for ref in table.metadata.refs.values():
        at: int | None = ref.snapshot_id
        while at is not None and at in snapshots and at not in kept:
            kept.add(at)
            at = snapshots[at].parent_snapshot_id
    current = table.current_snapshot()
    last = (current.sequence_number if current else 0) or 0
    newer = [
        one
        for one in snapshots.values()
        if (one.sequence_number or 0) > last and one.snapshot_id not in kept and not (one.summary and one.summary.get(AUDITED))
    ]
    if newer:
        newest = max(newer, key=lambda one: one.sequence_number or 0)
        raise Permanent(
            f"the table was set back to an older snapshot: what its {len(newer)} newer ones have would be lost",
            where=".".join(table.name()),
            hint=f"set it to snapshot {newest.snapshot_id} again, or let them expire",
        )


def reached_now(table: IcebergTable) -> set[str]:
    """Returns every file the table's snapshots reach, and its metadata, former and statistics too.

    Conflict if the table moved on and files of its snapshot are expired; Damaged if one in use is missing or can't be read.
    """
    metadata = table.metadata
    statistics = (file.statistics_path for file in (*metadata.statistics, *metadata.partition_statistics))
    former = (entry.metadata_file for entry in metadata.metadata_log)
    current = metadata.current_snapshot_id
    reached = (path for one in table.snapshots() for path in _reached(table, one, is_in_use=one.snapshot_id == current))
    return {table.metadata_location, *statistics, *former, *reached}


def _reached(table: IcebergTable, snapshot: Snapshot, *, discard_deleted: bool = False, is_in_use: bool = False) -> Iterator[str]:
    """The manifest list, manifests and data files of a snapshot; those that can still be read, if some are gone or broken.

    is_in_use: raise Conflict or Damaged instead, as what is not known to be reached would be deleted.
    """

    def reading(location: str) -> AbstractContextManager[None]:
        return metadata_whole(table, location) if is_in_use else suppress(FileNotFoundError, *UNDECODABLE)

    yield snapshot.manifest_list
    manifests, paths = list[ManifestFile](), list[str]()
    with reading(snapshot.manifest_list):
        manifests = snapshot.manifests(table.io)
    for manifest in manifests:
        yield manifest.manifest_path
        with reading(manifest.manifest_path):
            entries = manifest.fetch_manifest_entry(table.io, discard_deleted=discard_deleted)
            paths = [entry.data_file.file_path for entry in entries]
        yield from paths
        paths = []


def _is_metadata(location: str) -> tuple[int, str]:
    name = location.rpartition("/")[2]
    return (2 if name.startswith("snap-") else 1 if name.endswith(".avro") else 0), location


def _commit(table: IcebergTable, updates: Iterable[TableUpdate], snapshot_id: int | None) -> None:
    unmoved = AssertRefSnapshotId.model_validate({"ref": MAIN_BRANCH, "snapshot-id": snapshot_id})
    commit_staged(table, (unmoved, AssertTableUUID(uuid=table.metadata.table_uuid)), tuple(updates))
