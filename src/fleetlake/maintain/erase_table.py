"""One table without a device: its files rewritten, in one commit, then what only older snapshots hold taken from storage."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.manifest import (
    DataFile,
    FileFormat,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
    write_manifest,
)
from pyiceberg.schema import index_by_id
from pyiceberg.table import Table as IcebergTable
from pyiceberg.table.snapshots import Operation, SnapshotSummaryCollector, Summary, update_snapshot_summaries
from pyiceberg.table.update import (
    SetPropertiesUpdate,
)
from pyiceberg.types import BinaryType, StringType

from fleetlake.foundation.aws_errors import error_code
from fleetlake.foundation.errors import BadInput
from fleetlake.lake.commits import commit_staged, conflict_if_moved
from fleetlake.lake.digest import Digest, change_between
from fleetlake.lake.partitions import count_changed
from fleetlake.lake.scan import Damaged
from fleetlake.lake.snapshots import COMPRESSION, FORMAT_VERSION, Clock, stage_snapshot, wall_clock_ms
from fleetlake.lake.write import describe_file
from fleetlake.maintain.erase_copy import partition_without, place_of_copy
from fleetlake.maintain.erase_name import DeviceName
from fleetlake.maintain.erase_rows import examine, searchable, without, without_views
from fleetlake.maintain.erase_search import BATCH_ROWS, UNDECODABLE, Found, bounds_name

MARKER = "fleetlake.ingest"  # is in the table's properties too, and in a summary says that its commit made the snapshot
KEPT = ("fleetlake.", "spark.sql.streaming.")  # of a snapshot's summary: who wrote what, asked for after a crash
PLACES = ("kafka_partition", "kafka_offset")


@dataclass(frozen=True, slots=True)
class Counted:
    """Of one file. own: rows of the device. owners: of rows that only name it, how many are of which other device."""

    own: int = 0
    owners: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A file and what takes its place, None if no row is left. places: partition and offset of the rows that went, if any.

    change: what the table's digest changes by.
    """

    old: DataFile
    new: DataFile | None
    counted: Counted
    places: pa.Table | None
    change: Digest


def live_files(table: IcebergTable) -> list[DataFile]:
    """Returns the data files of the current snapshot.

    BadInput if another engine deletes rows by delete files, which no rewriting here would see, or if they are not Parquet; Damaged
    if a manifest is not what was written, so that files it has lost would be taken for unused ones; Conflict if it was expired
    since `table` was loaded.
    """
    snapshot = table.current_snapshot()
    if snapshot is None:
        return []
    with metadata_whole(table, snapshot.manifest_list):
        manifests = snapshot.manifests(table.io)
    if any(manifest.content == ManifestContent.DELETES for manifest in manifests):
        raise BadInput(
            "the table has delete files", where=".".join(table.name()), hint="rewrite its data files with the engine that made them"
        )
    files = list[DataFile]()
    for manifest in manifests:
        with metadata_whole(table, manifest.manifest_path):
            entries = manifest.fetch_manifest_entry(table.io, discard_deleted=True)
        if len(entries) < (manifest.added_files_count or 0) + (manifest.existing_files_count or 0):
            raise Damaged(manifest.manifest_path, ".".join(table.name()), "metadata")
        files += [entry.data_file for entry in entries]
    if formats := sorted({file.file_format.name for file in files} - {FileFormat.PARQUET.name}):
        raise BadInput(f"the table has files of the format {', '.join(formats)}", where=".".join(table.name()), allowed="Parquet")
    return files


@contextmanager
def metadata_whole(table: IcebergTable, location: str) -> Iterator[None]:
    """Damaged for metadata in use that can't be read or is missing; Conflict if it is not in use any more."""
    try:
        with conflict_if_moved(table):
            yield
    except (FileNotFoundError, *UNDECODABLE) as error:
        raise Damaged(location, ".".join(table.name()), "metadata") from error


def count_rows(table: IcebergTable, file: DataFile, device: DeviceName) -> Counted:
    """Counts the device's rows of a file, and those of others that name it. Damaged if the file can't be read."""
    own, owners = 0, Counter[str]()
    with table.io.new_input(file.file_path).open() as stream:
        with _damage_named(table, file):
            source = pq.ParquetFile(stream)
            batches = source.iter_batches(BATCH_ROWS, columns=searchable(source.schema_arrow))
        while (batch := _next_batch(table, file, batches)) is not None:
            examined = examine(batch, device)
            own += examined.own_rows
            owners.update(examined.owners)
    return Counted(own, owners)


def _next_batch(table: IcebergTable, file: DataFile, batches: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
    with _damage_named(table, file):
        return next(batches, None)


def rewrite_file(table: IcebergTable, file: DataFile, device: DeviceName) -> Rewritten:
    """Copies the file without the device's rows, and with its id masked in those of others, a row group at a time.

    The copy is beside the file, unless that place is called after the device; nobody sees it before a commit.
    """
    location = place_of_copy(table, file, device)
    own, owners, places, kept, change, masked = 0, Counter[str](), list[pa.Table](), 0, Digest(), set[str]()
    with table.io.new_input(file.file_path).open() as stream:
        with _damage_named(table, file):
            source = pq.ParquetFile(stream)
            schema = without_views(source.schema_arrow)
        output = table.io.new_output(location)
        with output.create() as target, pq.ParquetWriter(target, schema.remove_metadata(), compression="zstd") as writer:
            for group in range(source.num_row_groups):
                with _damage_named(table, file):
                    rows = source.read_row_group(group)
                rows = rows.cast(schema)
                examined = examine(rows, device)
                own += examined.own_rows
                owners.update(examined.owners)
                masked |= examined.masked.keys()
                if set(PLACES) <= set(rows.column_names):
                    places.append(rows.filter(examined.own).select(PLACES))
                left = without(rows, examined).replace_schema_metadata(None)
                change += change_between(table.properties, table.schema(), rows, left)
                if left.num_rows:
                    writer.write_table(left)
                kept += left.num_rows
    counted, went = Counted(own, owners), pa.concat_tables(places) if places else None
    if not kept:
        table.io.delete(location)
        return Rewritten(file, None, counted, went, change)
    partition = partition_without(table, file, device, masked)
    new = describe_file(table, location, partition, writer.writer.metadata, len(output))
    return Rewritten(file, new, counted, went, change)


@contextmanager
def _damage_named(table: IcebergTable, file: DataFile) -> Iterator[None]:
    """Around what reads a file, and nothing else: Damaged for one that is not Parquet any more, but not for what fails of our own.

    A missing one is left to the caller, who knows whether it was replaced.
    """
    try:
        yield
    except (pa.ArrowInvalid, EOFError) as error:
        raise Damaged(file.file_path, ".".join(table.name())) from error
    except OSError as error:
        if error.errno is not None or error_code(error):  # what the system or the object store says
            raise
        raise Damaged(file.file_path, ".".join(table.name())) from error  # Arrow's word for a footer or page that it can't decode


def commit_rewritten(
    table: IcebergTable,
    rewritten: Mapping[str, Rewritten],
    device: DeviceName,
    properties: Mapping[str, str],
    *,
    snapshot_id: int,
    clock: Clock = wall_clock_ms,
) -> None:
    """One snapshot on top of `table` as it was loaded, in which the new files stand for the old ones; it has the id `snapshot_id`.

    Not stage_replace of lake/replace.py: that keeps a note of the files that went, and with it their bounds, which may be the id.
    The new files keep the place in the order of arrival (Iceberg's sequence number) of those they replace: who reads what is new
    since then sees nothing new. Conflict if the table moved on, UnknownOutcome if the catalog did not say.
    """
    parent = table.current_snapshot()
    if parent is None:
        return
    with conflict_if_moved(table):
        manifests = [made for m in parent.manifests(table.io) if (made := _without(table, m, rewritten, device, snapshot_id))]
    counts = SnapshotSummaryCollector()
    added, gone = [done.new for done in rewritten.values() if done.new], [done.old for done in rewritten.values()]
    count_changed(counts, table, added, gone)
    summary = Summary(Operation.OVERWRITE, **counts.build(), **(_kept(table) | dict(properties)))
    staged = stage_snapshot(
        table, snapshot_id, manifests, update_snapshot_summaries(summary=summary, previous_summary=parent.summary), now_ms=clock()
    )
    commit_staged(table, staged.requirements, (*staged.updates, SetPropertiesUpdate(updates=dict(properties))))


def _without(
    table: IcebergTable, manifest: ManifestFile, rewritten: Mapping[str, Rewritten], device: DeviceName, snapshot_id: int
) -> ManifestFile | None:
    """The manifest itself if it names no file that is replaced, nor one that was taken out while rows of the device go or whose
    bounds name it; else a new one, None if it is empty.
    """
    entries, names = manifest.fetch_manifest_entry(table.io, discard_deleted=False), _text_columns(table)
    has_own = any(done.counted.own for done in rewritten.values())
    if not any(
        entry.data_file.file_path in rewritten or (_is_deleted(entry) and (has_own or _names(entry, names, device)))
        for entry in entries
    ):
        return manifest
    kept = [made for entry in entries if not _is_deleted(entry) and (made := _entry(entry, rewritten))]
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


def manifests_name(table: IcebergTable, device: DeviceName) -> bool:
    """Whether the bounds of a file that was taken out still name the device. Those of live files are what their rows are.

    Conflict if the table moved on and the manifests are expired.
    """
    snapshot, names = table.current_snapshot(), _text_columns(table)
    with conflict_if_moved(table):
        manifests = snapshot.manifests(table.io) if snapshot else []
        entries = (entry for m in manifests for entry in m.fetch_manifest_entry(table.io, discard_deleted=False))
        return any(_is_deleted(entry) and _names(entry, names, device) for entry in entries)


def _is_deleted(entry: ManifestEntry) -> bool:
    return entry.status == ManifestEntryStatus.DELETED


def _names(entry: ManifestEntry, names: dict[int, str], device: DeviceName) -> bool:
    found = bounds_name(entry.data_file, names, device, is_live=False)
    return found > Found.KEY or (found is Found.KEY and device.is_sought_in_texts)


def _text_columns(table: IcebergTable) -> dict[int, str]:
    """Of all the table's schemas: a manifest may be of an older one."""
    fields = [column for schema in table.schemas().values() for column in index_by_id(schema).values()]
    return {column.field_id: column.name for column in fields if isinstance(column.field_type, StringType | BinaryType)}


def _kept(table: IcebergTable) -> dict[str, str]:
    """What the summaries of older snapshots say of the writers, the newest word of each: those snapshots will be gone."""
    found: dict[str, str] = {}
    for snapshot in sorted(table.snapshots(), key=lambda one: one.sequence_number or 0):
        stored = snapshot.summary.additional_properties if snapshot.summary else {}
        found |= {name: value for name, value in stored.items() if name.startswith(KEPT) and name != MARKER}
    return found
