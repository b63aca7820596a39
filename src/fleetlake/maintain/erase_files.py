"""All files of a lake: which of them hold a device's id, which can't be read, and which no table knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import pyarrow.fs as pa_fs
from pyiceberg.io.pyarrow import PyArrowFileIO

from fleetlake.contracts.tables import contract_of
from fleetlake.lake.catalog import Lake
from fleetlake.lake.object_store import place_of
from fleetlake.lake.places import local_path, sqlite_path
from fleetlake.maintain.current import read_current
from fleetlake.maintain.erase_history import reached_now
from fleetlake.maintain.erase_name import DeviceName
from fleetlake.maintain.erase_search import Found, Searched, search_file
from fleetlake.maintain.erase_table import live_files
from fleetlake.maintain.own_files import OwnFiles, plain

T = TypeVar("T")
ENDINGS = (".parquet", ".avro")  # of files that writers of tables leave half written


@dataclass(frozen=True, slots=True)
class LakeFile:
    """One file, looked through. changed_at: None for a local catalog's, which is never taken away.

    is_own: it lies in the folders of a table, or is the catalog's.
    """

    path: str
    changed_at: datetime | None
    searched: Searched
    is_own: bool


@dataclass(frozen=True, slots=True)
class KnownFiles:
    """paths: files that any snapshot of any table reaches; local ones as plain paths. unread: tables that do not tell theirs."""

    paths: set[str]
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LakeSearch:
    """All files of the warehouse, of tables elsewhere and of a local catalog: how many there are, and those that say something."""

    files: int
    notable: tuple[LakeFile, ...]
    device: DeviceName

    def holders(self, known: set[str]) -> list[str]:
        """Returns the files that hold the id. known: those that tables reach; of others a bound of event ids is evidence too."""
        return sorted(file.path for file in self.notable if self.is_holder(file, known))

    def outside(self, known: set[str]) -> list[str]:
        """Returns the holders that neither lie in the folders of a table nor are in `known`: nobody knows whose they are."""
        own = {file.path for file in self.notable if file.is_own} | known
        return [path for path in self.holders(known) if path not in own]

    def is_holder(self, file: LakeFile, known: set[str]) -> bool:
        found = file.searched.found
        return found > Found.KEY or (found is Found.KEY and (self.device.is_sought_in_texts or file.path not in known))

    def has_rows(self, known: set[str]) -> bool:
        """Whether a file of the lake has a value of the device itself, not just its name in another's field."""
        return any(file.searched.found is Found.OWN and (file.is_own or file.path in known) for file in self.notable)


def search_lake(lake: Lake, device: DeviceName) -> LakeSearch:
    """Reads every file. What is being written meanwhile is one that can't be read yet."""
    io, paths, notable = PyArrowFileIO(dict(lake.catalog.properties)), list[str](), list[tuple[str, datetime | None, Searched]]()
    live = {file.file_path for _, files in _of_tables(lake, lambda name: read_current(lake, name, live_files)) for file in files}
    for path, changed_at in _files(lake, io):
        paths.append(path)
        searched = search_file(io, path, device, live)
        if searched.found or searched.is_broken:
            notable.append((path, changed_at, searched))
    own = OwnFiles((table.location() for _, table in _of_tables(lake, lake.table)), paths)
    found = (LakeFile(path, at, searched, is_own=at is None or own.has(path)) for path, at, searched in notable)
    return LakeSearch(len(paths), tuple(found), device)


def known_files(lake: Lake) -> KnownFiles:
    reached = dict(_of_tables(lake, lambda name: read_current(lake, name, reached_now)))
    unread = tuple(name for name in lake.names() if name not in reached)
    return KnownFiles({plain(path) for paths in reached.values() for path in paths}, unread)


def _of_tables(lake: Lake, read: Callable[[str], T]) -> Iterator[tuple[str, T]]:
    """Yields what `read` makes of each table. Of others' tables those that make it fail are passed over: it may be anything."""
    for name in lake.names():
        try:
            made = read(name)
        except Exception:
            if contract_of(name):
                raise
            continue
        yield name, made


def unused_files(search: LakeSearch, known: KnownFiles, before: datetime) -> Iterator[LakeFile]:
    """Yields files in the folders of tables that are not `known` and are older than `before`, if they hold the id or can't be read.

    A younger one may belong to a commit that is on its way, and what lies elsewhere to somebody else. None as long as a table does
    not tell which files are its own.
    """
    for file in search.notable if not known.unread else ():
        is_unread = file.searched.is_broken and file.path.endswith(ENDINGS)
        if not file.is_own or file.path in known.paths or file.changed_at is None or file.changed_at >= before:
            continue
        if is_unread or search.is_holder(file, known.paths):
            yield file


def delete_orphans(lake: Lake, search: LakeSearch, before: datetime) -> Iterator[str]:
    """Deletes what no table reaches of `unused_files`, and yields its paths. The tables have been moved on since `before`."""
    io = PyArrowFileIO(dict(lake.catalog.properties))
    for file in unused_files(search, known_files(lake), before):
        with suppress(FileNotFoundError):
            io.delete(file.path)
            yield file.path


def _files(lake: Lake, io: PyArrowFileIO) -> Iterator[tuple[str, datetime | None]]:
    warehouse = str(lake.catalog.properties.get("warehouse", "")).rstrip("/")
    roots = [warehouse] if warehouse else []
    for _, table in _of_tables(lake, lake.table):
        location = table.location()
        if not any(plain(location).startswith(f"{plain(root)}/") for root in roots):
            roots.append(location)
    for root in roots:
        filesystem, path = place_of(io, root)
        scheme = "" if local_path(root) else f"{plain(root).split('://')[0]}://"
        for info in filesystem.get_file_info(pa_fs.FileSelector(path, recursive=True, allow_not_found=True)):
            if info.type == pa_fs.FileType.File:
                yield f"{scheme}{info.path}", info.mtime
    if catalog := sqlite_path(str(lake.catalog.properties.get("uri", ""))):
        for suffix in ("", "-wal", "-journal"):
            if (file := Path(f"{catalog}{suffix}")).is_file():
                yield str(file), None
