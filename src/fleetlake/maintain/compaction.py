"""Small files of a day into large ones, beside writers and readers: rows, markers and what is new to a reader stay as they are."""

from __future__ import annotations

import uuid
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from pyiceberg.manifest import DataFile, ManifestContent
from pyiceberg.table import Table as IcebergTable

from fleetlake.contracts.tables import contract_of
from fleetlake.foundation.errors import Permanent
from fleetlake.lake.catalog import Lake
from fleetlake.lake.memory_database import OutOfMemory
from fleetlake.lake.partitions import NoDaySpec, day_spec, is_by_day
from fleetlake.lake.replace import NewFile, Superseded
from fleetlake.lake.rewrite import payload_bytes, rewrite_files
from fleetlake.lake.scan import Damaged, numbered_files, unread_columns
from fleetlake.lake.snapshots import wall_clock_ms
from fleetlake.lake.unlisted import require_newest
from fleetlake.maintain.current import read_current
from fleetlake.maintain.replacing import replace_files

MB = 1_000_000
FEWEST_TO_HALVE = 4  # each half has two
NOT_OURS = "it is none of fleetlake's tables"
BY_ARRIVAL = ("kafka_partition", "kafka_offset")  # what transforms and checks look rows up by in tables that are not sorted


@dataclass(frozen=True, slots=True)
class CompactionPolicy:
    """target_bytes: of a file that is written; one of half of that is large enough to be left alone.

    most_files: that one commit replaces; with more it takes longer than an ingest that commits every 0.3 s leaves it.
    memory_mb: what a sort may hold before it spills.
    """

    target_bytes: int = 256 * MB
    most_files: int = 500
    memory_mb: int = 512

    @property
    def payload_bytes(self) -> int:
        """The most bytes of rejected records in a group of files: a sort spills 2,048 rows at least, held four times."""
        return self.memory_mb * MB // 4


@dataclass(frozen=True, slots=True)
class LiveFile:
    """day: the partition, days since 1970, None for rows without a time. sequence: Iceberg's data sequence number.

    payload_bytes: of rejected records, not compressed.
    """

    location: str
    day: int | None
    sequence: int
    size_bytes: int
    payload_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Compacted:
    """removed, removed_bytes: files that were replaced, or would be. added, added_bytes: by which; none in a dry run.

    superseded: groups of files of which another writer had replaced some meanwhile; they are left to the next run.
    left_alone: why nothing was looked at, if so.
    """

    table: str
    dry_run: bool
    removed: int = 0
    removed_bytes: int = 0
    added: int = 0
    added_bytes: int = 0
    superseded: int = 0
    left_alone: str = ""


def compact(
    lake: Lake,
    name: str,
    policy: CompactionPolicy,
    *,
    wait: Callable[[int], None],
    read_up_to: Collection[int] = (),
    dry_run: bool = False,
) -> Compacted:
    """Replaces small files of a table by larger ones of the same rows, one commit for each group of files.

    read_up_to: sequence numbers up to which incremental readers have read the table: files on both sides of one are not mixed, so
    that nobody reads again what it has read. wait: called with the number of the attempt before a commit is tried again.
    Raises Retryable if other writers never let a commit through, Permanent if the catalog is older than the table's folder, Damaged
    if a file of the table can't be read; groups that were committed before stay so, and nothing else has changed. OutOfMemory, once
    all others are done, for files with rows so large that two of them can't be sorted.
    """
    if contract_of(name) is None:
        return Compacted(name, dry_run, left_alone=NOT_OURS)
    require_newest(lake.table, name)
    table, left_alone, numbered = read_current(lake, name, _look)
    if left_alone:
        return Compacted(name, dry_run, left_alone=left_alone)
    files = [_live(table, file, number, policy) for file, number in numbered.values()]
    groups = plan(files, policy, read_up_to)
    done = list[Sequence[LiveFile]]()
    new, superseded = list[NewFile](), 0
    pending, too_large = [] if dry_run else list(groups), None
    while pending:
        group = pending.pop(0)
        old, since_ms = [numbered[file.location][0] for file in group], wall_clock_ms()
        try:
            written = rewrite_files(
                table, old, sort=_sort_of(name), folder=f"compacted/{uuid.uuid4().hex}",
                target_bytes=policy.target_bytes, memory_limit=f"{policy.memory_mb}MB",
            )  # fmt: skip
        except Damaged:
            if {file.location for file in group} <= {file.file_path for file, _ in read_current(lake, name, numbered_files)}:
                raise
            superseded += 1  # replaced and expired meanwhile
            continue
        except OutOfMemory as error:
            if len(group) < FEWEST_TO_HALVE:
                too_large = error
            else:
                pending[:0] = [group[: len(group) // 2], group[len(group) // 2 :]]
            continue
        sequence = max(file.sequence for file in group)
        added = [NewFile(file, sequence) for file in written]
        _require_same_count(table, sum(file.record_count for file in old), added)
        try:
            replace_files(lake, name, [file.location for file in group], added, same_rows=True, wait=wait, since_ms=since_ms)
        except Superseded:
            superseded += 1
            continue
        done.append(group)
        new += added
    if too_large:
        raise too_large
    replaced = [file for group in (groups if dry_run else done) for file in group]
    return Compacted(
        name, dry_run, len(replaced), sum(file.size_bytes for file in replaced), len(new),
        sum(one.file.file_size_in_bytes for one in new), superseded,
    )  # fmt: skip


def _look(table: IcebergTable) -> tuple[IcebergTable, str, dict[str, tuple[DataFile, int]]]:
    """The table, why it is to be left alone if it is, and its files of a day each by path, each with its sequence number."""
    if left_alone := _why_left_alone(table):
        return table, left_alone, {}
    return table, "", {file.file_path: (file, number) for file, number in numbered_files(table) if is_by_day(table, file)}


def _why_left_alone(table: IcebergTable) -> str:
    if _has_delete_files(table):
        return "it has delete files, of another engine: its own procedures compact it"
    if unread := unread_columns(table):
        told = ", ".join(f"{field.name}: {field.field_type}" for field in unread)
        return f"it has columns of types that fleetlake does not read ({told}): the tool that added them compacts it"
    try:
        day_spec(table)
    except NoDaySpec as error:
        return error.what
    return ""


def _live(table: IcebergTable, file: DataFile, sequence: int, policy: CompactionPolicy) -> LiveFile:
    is_large = 2 * file.file_size_in_bytes >= policy.target_bytes
    held = 0 if is_large else payload_bytes(table, file)
    return LiveFile(file.file_path, file.partition[0], sequence, file.file_size_in_bytes, held)


def plan(files: Iterable[LiveFile], policy: CompactionPolicy, read_up_to: Collection[int] = ()) -> tuple[tuple[LiveFile, ...], ...]:
    """Groups of files, each to be replaced by about one file: of one day, read by the same readers, in order of arrival.

    A file is only taken together with smaller ones that are at least as large as it is in all, so that each byte is rewritten about
    log2(target / smallest file) times, however often files are added.
    """
    bounds = sorted(read_up_to)

    def place(file: LiveFile) -> tuple[int, int]:
        return -1 if file.day is None else file.day, bisect_left(bounds, file.sequence)

    small = sorted((file for file in files if _is_small(file, policy)), key=place)
    return tuple(
        tuple(group)
        for _, of_place in groupby(small, key=place)
        for chunk in _chunks(_worthwhile(of_place), policy)
        if len(group := _worthwhile(chunk)) > 1
    )


def _is_small(file: LiveFile, policy: CompactionPolicy) -> bool:
    return 2 * file.size_bytes < policy.target_bytes and 2 * file.payload_bytes < policy.payload_bytes


def _worthwhile(files: Iterable[LiveFile]) -> list[LiveFile]:
    """As many of the smallest as possible, of which all but the largest are together at least as large as that."""
    by_size, smaller_bytes, taken = sorted(files, key=lambda file: file.size_bytes), 0, 0
    for number, file in enumerate(by_size, 1):
        if smaller_bytes >= file.size_bytes:
            taken = number
        smaller_bytes += file.size_bytes
    return sorted(by_size[:taken], key=lambda file: (file.sequence, file.location))


def _chunks(files: Iterable[LiveFile], policy: CompactionPolicy) -> Iterator[list[LiveFile]]:
    chunk, size_bytes, payload_bytes = list[LiveFile](), 0, 0
    for file in files:
        size_bytes, payload_bytes = size_bytes + file.size_bytes, payload_bytes + file.payload_bytes
        is_full = size_bytes > policy.target_bytes or payload_bytes > policy.payload_bytes or len(chunk) == policy.most_files
        if chunk and is_full:
            yield chunk
            chunk, size_bytes, payload_bytes = [], file.size_bytes, file.payload_bytes
        chunk.append(file)
    yield chunk


def _sort_of(name: str) -> tuple[str, ...]:
    contract = contract_of(name)
    return (contract.sort if contract else ()) or BY_ARRIVAL


def _has_delete_files(table: IcebergTable) -> bool:
    snapshot = table.current_snapshot()
    manifests = snapshot.manifests(table.io) if snapshot else []
    return any(manifest.content == ManifestContent.DELETES for manifest in manifests)


def _require_same_count(table: IcebergTable, expected: int, added: Sequence[NewFile]) -> None:
    found = sum(one.file.record_count for one in added)
    if found == expected:
        return
    for one in added:
        table.io.delete(one.file.file_path)
    raise Permanent(f"{found} rows were read of {expected} that the files to compact have", where=".".join(table.name()))
