"""One table without a device: its files rewritten, in one commit, then what only older snapshots hold taken from storage."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.manifest import DataFile, ManifestContent, ManifestEntry, ManifestEntryStatus, ManifestFile, write_manifest
from pyiceberg.table import Table as IcebergTable
from pyiceberg.table.refs import MAIN_BRANCH
from pyiceberg.table.snapshots import Operation, Snapshot, SnapshotSummaryCollector, Summary, update_snapshot_summaries
from pyiceberg.table.update import (
    AssertRefSnapshotId,
    AssertTableUUID,
    RemoveSnapshotRefUpdate,
    RemoveSnapshotsUpdate,
    SetPropertiesUpdate,
    TableUpdate,
)

from fleetlake.foundation.errors import BadInput
from fleetlake.lake.commits import commit_staged
from fleetlake.lake.digest import Digest, change_between
from fleetlake.lake.snapshots import COMPRESSION, FORMAT_VERSION, Clock, stage_snapshot, wall_clock_ms
from fleetlake.lake.write import EPOCH, describe_file
from fleetlake.maintain.erase_search import BATCH_ROWS, in_bounds, matches, searchable

IDENTIFYING = ("payload", "reject_reason", "description")  # and columns called *_id: what may name a device
KEPT = ("fleetlake.", "spark.sql.streaming.")  # of a snapshot's summary: who wrote what, asked for after a crash
PLACES = ("kafka_partition", "kafka_offset")


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A file and what takes its place, None if no row is left. places: partition and offset of the rows that went, if any.

    change: what the table's digest changes by.
    """

    old: DataFile
    new: DataFile | None
    rows: int
    places: pa.Table | None
    change: Digest


def live_files(table: IcebergTable) -> list[DataFile]:
    """BadInput if another engine deletes rows by delete files, which no rewriting here would see."""
    snapshot = table.current_snapshot()
    manifests = snapshot.manifests(table.io) if snapshot else []
    if any(manifest.content == ManifestContent.DELETES for manifest in manifests):
        raise BadInput(
            "the table has delete files", where=".".join(table.name()), hint="rewrite its data files with the engine that made them"
        )
    return [entry.data_file for m in manifests for entry in m.fetch_manifest_entry(table.io, discard_deleted=True)]


def is_of(rows: pa.RecordBatch | pa.Table, device_id: str, pattern: bytes) -> pa.Array:
    """Which rows are the device's: its id is their device_id, or stands in their bytes, reason, description or another *_id."""
    found = pa.array([False] * rows.num_rows)
    for name in searchable(rows.schema):
        column = rows.column(name)
        if name == "device_id":
            found = pc.or_(found, pc.fill_null(pc.equal(column, device_id), False))
        elif name.endswith("_id") or name in IDENTIFYING:
            found = pc.or_(found, matches(column, pattern))
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def count_rows(table: IcebergTable, file: DataFile, device_id: str, pattern: bytes) -> int:
    with table.io.new_input(file.file_path).open() as stream:
        source = pq.ParquetFile(stream)
        columns = searchable(source.schema_arrow)
        batches = source.iter_batches(BATCH_ROWS, columns=columns)
        return sum(pc.sum(is_of(batch, device_id, pattern)).as_py() or 0 for batch in batches)


def rewrite_file(table: IcebergTable, file: DataFile, device_id: str, pattern: bytes) -> Rewritten:
    """Copies the file without the device's rows, a batch at a time, beside the others; nobody sees the copy before a commit."""
    folder, _, name = file.file_path.rpartition("/")
    location = f"{folder}/erased-{uuid.uuid4().hex}-{name[-40:]}"
    gone, places, kept, change = 0, list[pa.Table](), 0, Digest()
    with table.io.new_input(file.file_path).open() as stream:
        source = pq.ParquetFile(stream)
        output = table.io.new_output(location)
        with output.create() as target, pq.ParquetWriter(target, _plain(source.schema_arrow), compression="zstd") as writer:
            for group in range(source.num_row_groups):
                rows = source.read_row_group(group)
                mask = is_of(rows, device_id, pattern)
                gone += pc.sum(mask).as_py() or 0
                if set(PLACES) <= set(rows.column_names):
                    places.append(rows.filter(mask).select(PLACES))
                left = rows.filter(pc.invert(mask)).replace_schema_metadata(None)
                change += change_between(table.properties, table.schema(), rows, left)
                if left.num_rows:
                    writer.write_table(left)
                kept += left.num_rows
    went = pa.concat_tables(places) if places else None
    if not kept:
        table.io.delete(location)
        return Rewritten(file, None, gone, went, change)
    day = file.partition[0]
    footer = writer.writer.metadata
    made = describe_file(table, location, None if day is None else EPOCH + (type(EPOCH).resolution * day), footer, len(output))
    return Rewritten(file, made, gone, went, change)


def _plain(schema: pa.Schema) -> pa.Schema:
    return schema.remove_metadata()


def commit_rewritten(
    table: IcebergTable,
    rewritten: Mapping[str, Rewritten],
    pattern: bytes,
    properties: Mapping[str, str],
    clock: Clock = wall_clock_ms,
) -> None:
    """One snapshot on top of `table` as it was loaded, in which the new files stand for the old ones.

    Not stage_replace of lake/replace.py: that keeps a note of the files that went, and with it their bounds, which may be the id.
    The new files keep the place in the order of arrival (Iceberg's sequence number) of those they replace: who reads what is new
    since then sees nothing new. Conflict if the table moved on, UnknownOutcome if the catalog did not say.
    """
    parent = table.current_snapshot()
    if parent is None:
        return
    snapshot_id = table.metadata.new_snapshot_id()
    manifests = [made for m in parent.manifests(table.io) if (made := _without(table, m, rewritten, pattern, snapshot_id))]
    counts = SnapshotSummaryCollector()
    for done in rewritten.values():
        counts.remove_file(done.old, table.schema(), table.spec())
        if done.new:
            counts.add_file(done.new, table.schema(), table.spec())
    summary = Summary(Operation.OVERWRITE, **counts.build(), **(_kept(table) | dict(properties)))
    staged = stage_snapshot(
        table, snapshot_id, manifests, update_snapshot_summaries(summary=summary, previous_summary=parent.summary), now_ms=clock()
    )
    commit_staged(table, staged.requirements, (*staged.updates, SetPropertiesUpdate(updates=dict(properties))))


def _without(
    table: IcebergTable, manifest: ManifestFile, rewritten: Mapping[str, Rewritten], pattern: bytes, snapshot_id: int
) -> ManifestFile | None:
    """The manifest itself if it names no file that is replaced and no bound holds the id; else a new one, None if it is empty."""
    entries = manifest.fetch_manifest_entry(table.io, discard_deleted=False)
    if not any(entry.data_file.file_path in rewritten or _bounds_hold(entry.data_file, pattern) for entry in entries):
        return manifest
    kept = [made for entry in entries if entry.status != ManifestEntryStatus.DELETED and (made := _entry(entry, rewritten))]
    if not kept:
        return None
    with write_manifest(
        format_version=FORMAT_VERSION,
        spec=table.specs()[manifest.partition_spec_id],
        schema=table.schema(),
        output_file=table.io.new_output(f"{table.location()}/metadata/{uuid.uuid4()}-m0.avro"),
        snapshot_id=snapshot_id,
        avro_compression=COMPRESSION,
    ) as writer:
        for entry in kept:
            writer.add_entry(entry)
    return writer.to_manifest_file()


def _entry(entry: ManifestEntry, rewritten: Mapping[str, Rewritten]) -> ManifestEntry | None:
    done = rewritten.get(entry.data_file.file_path)
    file = done.new if done else entry.data_file
    if file is None:
        return None
    return ManifestEntry.from_args(
        status=ManifestEntryStatus.EXISTING,
        snapshot_id=entry.snapshot_id,
        sequence_number=entry.sequence_number,
        file_sequence_number=entry.file_sequence_number,
        data_file=file,
    )


def manifests_hold(table: IcebergTable, pattern: bytes) -> bool:
    """Whether a bound of a file holds the id, be the file one that was taken out."""
    snapshot = table.current_snapshot()
    manifests = snapshot.manifests(table.io) if snapshot else []
    entries = (entry for m in manifests for entry in m.fetch_manifest_entry(table.io, discard_deleted=False))
    return any(_bounds_hold(entry.data_file, pattern) for entry in entries)


def _bounds_hold(file: DataFile, pattern: bytes) -> bool:
    return in_bounds(file.lower_bounds, pattern) or in_bounds(file.upper_bounds, pattern)


def _kept(table: IcebergTable) -> dict[str, str]:
    """What the summaries of older snapshots say of the writers, the newest word of each: those snapshots will be gone."""
    found: dict[str, str] = {}
    for snapshot in sorted(table.snapshots(), key=lambda one: one.sequence_number or 0):
        stored = snapshot.summary.additional_properties if snapshot.summary else {}
        found |= {name: value for name, value in stored.items() if name.startswith(KEPT)}
    return found


def expire_all_but_current(table: IcebergTable, on_delete: Callable[[str], None]) -> None:
    """Takes from storage what just older snapshots and branches reach, then those themselves, then older table metadata.

    The files go first: cut off in between, the next run still knows them by the snapshots. Conflict if the table moved on.
    """
    current = table.current_snapshot()
    others = [s for s in table.snapshots() if current is None or s.snapshot_id != current.snapshot_id]
    stays = set(_reached(table, current, discard_deleted=True)) if current else set()
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


def reached_now(table: IcebergTable) -> set[str]:
    """Every file the table's snapshots reach, and its metadata."""
    return {table.metadata_location, *(path for snapshot in table.snapshots() for path in _reached(table, snapshot))}


def _reached(table: IcebergTable, snapshot: Snapshot, *, discard_deleted: bool = False) -> Iterator[str]:
    """The manifest list, manifests and data files of a snapshot; those that are still there, if some are gone."""
    yield snapshot.manifest_list
    with suppress(FileNotFoundError):
        for manifest in snapshot.manifests(table.io):
            yield manifest.manifest_path
            with suppress(FileNotFoundError):
                entries = manifest.fetch_manifest_entry(table.io, discard_deleted=discard_deleted)
                yield from (entry.data_file.file_path for entry in entries)


def _is_metadata(location: str) -> tuple[int, str]:
    name = location.rpartition("/")[2]
    return (2 if name.startswith("snap-") else 1 if name.endswith(".avro") else 0), location


def _commit(table: IcebergTable, updates: Iterable[TableUpdate], snapshot_id: int | None) -> None:
    unmoved = AssertRefSnapshotId.model_validate({"ref": MAIN_BRANCH, "snapshot-id": snapshot_id})
    commit_staged(table, (unmoved, AssertTableUUID(uuid=table.metadata.table_uuid)), tuple(updates))
