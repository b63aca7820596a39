"""A snapshot that puts files in the place of others, made directly as append.py does, and with sequence numbers kept.

Incremental readers find new rows by the data sequence number of a file. A file that only holds rows of files it replaces says so
by the highest number of theirs (Iceberg spec, sequence numbers; Java's RewriteFiles does the same).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pyiceberg.manifest import DataFile, ManifestEntry, ManifestEntryStatus, ManifestFile
from pyiceberg.table import Table as IcebergTable
from pyiceberg.table.refs import MAIN_BRANCH
from pyiceberg.table.snapshots import Operation, Snapshot, SnapshotSummaryCollector, Summary, update_snapshot_summaries

from fleetlake.foundation.errors import Retryable
from fleetlake.lake.append import write_entries
from fleetlake.lake.partitions import count_changed
from fleetlake.lake.snapshots import Staged, stage_snapshot
from fleetlake.lake.storage_errors import telling_of_storage

SAME_ROWS_AS = "fleetlake.same-rows-as"  # in the summary: the snapshot before, which may be expired when someone asks


class Superseded(Retryable):
    """Files that were to be replaced are not all in the table any more; nothing was committed."""


@dataclass(frozen=True, slots=True)
class NewFile:
    """sequence: the data sequence number it is to have, the highest of the files whose rows it holds; None: that of the commit."""

    file: DataFile
    sequence: int | None


@dataclass(frozen=True, slots=True)
class RowsSince:
    """The snapshot whose rows a table has, and its sequence number; 0 for a table without a snapshot."""

    snapshot_id: int = 0
    sequence: int = 0


def rows_since(table: IcebergTable) -> RowsSince:
    """The last snapshot of `table`, as it was loaded, that changed a row; a compaction, whoever makes it, changes none.

    Of another engine's compaction it is the snapshot before, or the compaction itself once that is expired.
    """
    snapshot = table.current_snapshot()
    while snapshot and snapshot.summary and snapshot.summary.operation is Operation.REPLACE:
        if told := snapshot.summary.get(SAME_ROWS_AS):
            return RowsSince(*map(int, told.split()))
        before = table.snapshot_by_id(snapshot.parent_snapshot_id) if snapshot.parent_snapshot_id is not None else None
        if before is None:
            break
        snapshot = before
    return RowsSince(snapshot.snapshot_id, snapshot.sequence_number or 0) if snapshot else RowsSince()


@telling_of_storage
def stage_replace(
    table: IcebergTable,
    removed: Iterable[str],
    added: Sequence[NewFile],
    properties: Mapping[str, str],
    *,
    same_rows: bool,
    now_ms: int,
    without: set[str] | None = None,
) -> Staged:
    """Writes the manifests of a snapshot on top of `table` as it was loaded, without the files `removed` (locations).

    same_rows: the rows stay what they are, as in a compaction. `properties` go into the snapshot's summary only: the table's own,
    an ingest's marker among them, stay untouched. without: manifests known to have none of `removed`, which are not read; it gains
    those that are found so, for who stages the same again, in a hurry. now_ms: what the clock says, in milliseconds since 1970.
    Raises Superseded if one of the files is not in the table.
    """
    parent, wanted = table.metadata.snapshot_by_name(MAIN_BRANCH), set(removed)
    snapshot_id = table.metadata.new_snapshot_id()
    kept, rewritten, gone = _split(
        table, parent.manifests(table.io) if parent else [], wanted, set() if without is None else without
    )
    if parent is None or len(gone) < len(wanted):
        raise Superseded(f"{len(wanted) - len(gone)} of {len(wanted)} files were replaced by another", where=".".join(table.name()))
    new = [
        ManifestEntry.from_args(
            status=ManifestEntryStatus.ADDED, snapshot_id=snapshot_id, sequence_number=one.sequence, data_file=one.file
        )
        for one in added
    ]
    manifests = [made for entries in (new, rewritten, gone) for made in write_entries(table, entries, snapshot_id)]
    summary = _summary(table, parent, new, gone, properties, same_rows=same_rows)
    staged = stage_snapshot(table, snapshot_id, [*manifests, *kept], summary, now_ms=now_ms)
    return replace(staged, written=(*staged.written, *(manifest.manifest_path for manifest in manifests)))


def _split(
    table: IcebergTable, manifests: list[ManifestFile], wanted: set[str], without: set[str]
) -> tuple[list[ManifestFile], list[ManifestEntry], list[ManifestEntry]]:
    """Manifests without a wanted file, which stay as they are; of the others what stays, and the wanted files as deleted."""
    kept, rewritten, gone = [], list[ManifestEntry](), list[ManifestEntry]()
    for manifest in manifests:
        if not manifest.has_added_files() and not manifest.has_existing_files():
            continue
        if manifest.manifest_path in without:
            kept.append(manifest)
            continue
        entries = manifest.fetch_manifest_entry(table.io, discard_deleted=True)
        if not any(entry.data_file.file_path in wanted for entry in entries):
            without.add(manifest.manifest_path)
            kept.append(manifest)
            continue
        for entry in entries:
            is_gone = entry.data_file.file_path in wanted
            (gone if is_gone else rewritten).append(
                ManifestEntry.from_args(
                    status=ManifestEntryStatus.DELETED if is_gone else ManifestEntryStatus.EXISTING,
                    snapshot_id=None if is_gone else entry.snapshot_id,
                    sequence_number=entry.sequence_number,
                    file_sequence_number=entry.file_sequence_number,
                    data_file=entry.data_file,
                )
            )
    return kept, rewritten, gone


def _summary(
    table: IcebergTable,
    parent: Snapshot,
    added: list[ManifestEntry],
    gone: list[ManifestEntry],
    properties: Mapping[str, str],
    *,
    same_rows: bool,
) -> Summary:
    counts = SnapshotSummaryCollector()
    count_changed(counts, table, (entry.data_file for entry in added), (entry.data_file for entry in gone))
    summary = update_snapshot_summaries(Summary(Operation.OVERWRITE, **counts.build(), **properties), parent.summary)
    if not same_rows:
        return summary
    since = rows_since(table)
    told = {SAME_ROWS_AS: f"{since.snapshot_id} {since.sequence}"}
    return Summary(Operation.REPLACE, **summary.additional_properties, **told)  # whose totals PyIceberg does not count by itself
