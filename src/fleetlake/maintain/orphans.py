"""Files below a table's location that its metadata does not know: what a writer left that was cut off, or lost a race."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow.fs as pa_fs
from pyiceberg.table import Table as IcebergTable

from fleetlake.contracts.tables import contract_of
from fleetlake.foundation.errors import BadInput, FleetlakeError
from fleetlake.lake.catalog import Lake
from fleetlake.lake.commits import move_on
from fleetlake.lake.object_store import arrow_io, place_of
from fleetlake.lake.places import TABLE_FOLDERS, local_path
from fleetlake.lake.unlisted import require_newest
from fleetlake.maintain.current import read_current
from fleetlake.maintain.expiry import delete_files, require_collectable
from fleetlake.maintain.own_files import OwnFiles

DEFAULT_AGE = timedelta(days=3)  # Iceberg's own
SHORTEST_AGE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Orphans:
    """files: paths (s3: bucket/key), sorted. deleted: how many of them, 0 with dry_run. size_bytes: of all of them.

    left_alone: why nothing was looked at, if so.
    """

    table: str
    dry_run: bool
    files: tuple[str, ...]
    size_bytes: int
    deleted: int
    left_alone: str = ""


def require_safe_age(age: timedelta, *, force: bool) -> None:
    """BadInput if files so young may belong to a commit that is on its way."""
    if age < SHORTEST_AGE and not force:
        raise BadInput(
            "files so young may belong to a commit that is on its way",
            where="--older-than",
            allowed=f"{SHORTEST_AGE.total_seconds() / 3600:g} hour or more",
            hint="--force if nothing writes to the lake now",
        )


def delete_orphans(
    lake: Lake,
    name: str,
    age: timedelta,
    *,
    wait: Callable[[int], None],
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    dry_run: bool = False,
) -> Orphans:
    """Deletes data and metadata files older than `age` that no snapshot of the table reaches, nor its metadata log.

    Files are listed before the metadata is loaded: a commit in between makes them known. If there are any the table is moved on, so
    that no commit lands that a writer made ready with them before it slept, and the metadata is looked at again. What lies behind a
    symbolic link or is another lake's is left alone. wait: called with the number of the attempt before moving on is tried again.
    Damaged, with nothing deleted, if a manifest that is in use is missing; Permanent if the catalog is older than the folder.
    """
    table = lake.table(name)
    require_collectable(table)
    require_newest(lake.table, name)
    listed = list(_listed(table))
    scheme = "" if local_path(table.location()) is not None else "s3://"
    own = OwnFiles([table.location()], (f"{scheme}{path}" for path, _, _ in listed))
    sizes = {path: size for path, changed_at, size in listed if changed_at is not None and changed_at < now() - age}
    sizes = {path: size for path, size in sizes.items() if own.has(f"{scheme}{path}")}
    try:
        _drop_known(lake, table, name, sizes)
        if sizes and not dry_run:
            move_on(lambda: lake.table(name), wait)
            _drop_known(lake, table, name, sizes)
    except _UnknownFilesError as error:
        return Orphans(name, dry_run, (), 0, 0, left_alone=str(error))
    files = tuple(sorted(sizes))
    filesystem, _ = place_of(table.io, table.location())
    deleted = 0 if dry_run else delete_files(filesystem.delete_file, files)  # by path: in a location some names mean another file
    return Orphans(name, dry_run, files, sum(sizes.values()), deleted)


def _drop_known(lake: Lake, table: IcebergTable, name: str, sizes: dict[str, int]) -> None:
    """Take out of `sizes` the paths that the table reaches now, or another one that may share its folder: one of the user's own."""
    for one in lake.names() if sizes else ():
        if one == name or contract_of(one) is None or contract_of(name) is None:
            try:
                known = read_current(lake, one, lambda now: set(_known(now)))
            except FleetlakeError as error:
                if one == name:
                    raise
                if one in lake.names():  # else it was dropped meanwhile
                    raise _UnknownFilesError(f"{one}, which may have files there, can't be read: {error.what}") from error
                continue
            for location in known:
                sizes.pop(_path(table, location), None)


class _UnknownFilesError(Exception):
    """A table does not tell which files are its own."""


def _listed(table: IcebergTable) -> Iterator[tuple[str, datetime | None, int]]:
    """Path without scheme, last change, bytes."""
    for folder in TABLE_FOLDERS:
        filesystem, place = place_of(table.io, f"{table.location().rstrip('/')}/{folder}")
        for info in filesystem.get_file_info(pa_fs.FileSelector(place, allow_not_found=True, recursive=True)):
            if info.type == pa_fs.FileType.File:
                yield info.path, info.mtime, info.size or 0


def _path(table: IcebergTable, location: str) -> str:
    """s3a:// and s3:// are the same place."""
    path: str = arrow_io(table.io).parse_location(location)[2]
    return path


def _known(table: IcebergTable) -> Iterator[str]:
    metadata = table.metadata
    yield table.metadata_location
    yield from (entry.metadata_file for entry in metadata.metadata_log)
    yield from (file.statistics_path for file in metadata.statistics)
    yield from (file.statistics_path for file in metadata.partition_statistics)
    seen = set[str]()
    for snapshot in table.snapshots():
        yield snapshot.manifest_list
        for manifest in snapshot.manifests(table.io):
            if manifest.manifest_path in seen:
                continue
            seen.add(manifest.manifest_path)
            yield manifest.manifest_path
            entries = manifest.fetch_manifest_entry(table.io, discard_deleted=True)
            yield from (entry.data_file.file_path for entry in entries)
