"""A device out of the lake: out of every table, then out of every file, then looked for everywhere.

Cut off anywhere, the same again does what is left: rows are looked for in the tables and the id in storage, no list is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pa_fs
from pyiceberg.io.pyarrow import PyArrowFileIO

from fleetlake.contracts.tables import ERASED
from fleetlake.foundation.errors import Missing, Retryable
from fleetlake.lake.catalog import Lake
from fleetlake.lake.commits import Conflict, UnknownOutcome, commit
from fleetlake.lake.digest import adjusted
from fleetlake.lake.object_store import place_of
from fleetlake.lake.places import local_path, sqlite_path
from fleetlake.lake.write import write_files
from fleetlake.maintain.erase_search import holds, pattern_of
from fleetlake.maintain.erase_table import (
    Rewritten,
    commit_rewritten,
    count_rows,
    expire_all_but_current,
    live_files,
    manifests_hold,
    reached_now,
    rewrite_file,
)

LAYERS = ("bronze", "raw", "silver", "gold")  # a transform at work meanwhile makes nothing of what is gone already
ATTEMPTS = 30
ORPHAN_AGE = timedelta(hours=1)  # an unknown file that is younger may belong to a commit that is on its way


@dataclass(slots=True)
class TableErasure:
    """rows, files: taken out and written anew or dropped. arrived: of the rows, those that came while it ran."""

    table: str
    rows: int = 0
    files: int = 0
    arrived: int = 0


@dataclass(frozen=True, slots=True)
class Erasure:
    """tables: with rows of the device. deleted: files taken from storage. searched: files of the warehouse and of a local catalog,
    looked through afterwards. remaining: those of them that still hold the id.
    """

    tables: tuple[TableErasure, ...]
    deleted: int = 0
    searched: int = 0
    remaining: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wiring:
    """topics: of each bronze table. spoil: has what was computed from several devices computed anew by the next transform.
    wait: back-off before attempt n. now: the clock, UTC.
    """

    topics: Mapping[str, str]
    spoil: Callable[[Lake], None]
    wait: Callable[[int], None]
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))


def count_device(lake: Lake, device_id: str) -> Erasure:
    """What `erase_device` would take out. Missing if no table has anything of it."""
    pattern, found = pattern_of(device_id), []
    for name in _tables(lake):
        table = lake.table(name)
        counts = [count_rows(table, file, device_id, pattern) for file in live_files(table)]
        if any(counts):
            found.append(TableErasure(name, sum(counts), sum(count > 0 for count in counts)))
    if not found:
        raise _nobody(device_id)
    return Erasure(tuple(found))


def erase_device(lake: Lake, device_id: str, wiring: Wiring) -> Erasure:
    """Takes the device out of all tables and all files of theirs, and looks for it in every file afterwards.

    Safe beside an ingest, whose commits go on; what comes in meanwhile is taken out too, as long as it does not come faster. All
    snapshots but the current one go from tables that had the device. Missing if no table and no file has it; Retryable if
    other writers never let a commit through.
    """
    pattern = pattern_of(device_id)
    tables = [_Table(lake, name, device_id, pattern, wiring).erase() for name in _tables(lake)]
    if any(table.rows for table in tables):
        wiring.spoil(lake)
    deleted: list[str] = []
    found = _found(lake, pattern)[0]
    for table in tables:
        place = _plain(lake.table(table.table).location())
        if table.files or any(path.startswith(f"{place}/") for path in found):
            _retried(lambda name=table.table: expire_all_but_current(lake.table(name), deleted.append), table.table, wiring.wait)  # type: ignore[misc]
    deleted += _delete_orphans(lake, found, wiring.now() - ORPHAN_AGE)
    if not found and not any(table.rows for table in tables):
        raise _nobody(device_id)
    remaining, searched = _found(lake, pattern)
    return Erasure(tuple(table for table in tables if table.files), len(deleted), searched, tuple(sorted(remaining)))


class _Table:
    """One table's erasure. Each of its files is looked through once, however often a commit has to be tried."""

    def __init__(self, lake: Lake, name: str, device_id: str, pattern: bytes, wiring: Wiring) -> None:
        self._lake, self._name, self._device_id, self._pattern, self._wiring = lake, name, device_id, pattern, wiring
        self._rewritten: dict[str, Rewritten] = {}
        self._clean: set[str] = set()
        self._used: set[str] = set()

    def erase(self) -> TableErasure:
        counts = TableErasure(self._name)
        for attempt in range(ATTEMPTS):
            table = self._lake.table(self._name)
            live = {file.file_path: file for file in live_files(table)}
            for path, file in live.items():
                if path in self._clean or path in self._rewritten:
                    continue
                if not count_rows(table, file, self._device_id, self._pattern):
                    self._clean.add(path)
                    continue
                self._rewritten[path] = rewrite_file(table, file, self._device_id, self._pattern)
                self._remember_places(self._rewritten[path].places)
            now = {path: done for path, done in self._rewritten.items() if path in live}
            if not now and not manifests_hold(table, self._pattern):
                self._drop_unused()
                return counts
            if not counts.files:
                self._wiring.spoil(self._lake)  # before as well as after: a transform may run in between
            try:
                properties = adjusted(table.properties, (done.change for done in now.values()))
                commit_rewritten(table, now, self._pattern, properties)
            except (Conflict, UnknownOutcome):
                self._wiring.wait(attempt)
                continue
            rows = sum(done.rows for done in now.values())
            counts.arrived += rows if counts.files else 0
            counts.rows, counts.files = counts.rows + rows, counts.files + len(now)
            self._used |= now.keys()
        raise Retryable(
            f"the device can't be taken out: it, or other writers, came first {ATTEMPTS} times",
            where=self._name,
            hint="stop what sends it, then the same again",
        )

    def _remember_places(self, places: pa.Table | None) -> None:
        """Before the rows go: a place that is in both is not erased yet."""
        topic = self._wiring.topics.get(self._name)
        if topic is None or places is None or not places.num_rows:
            return
        self._lake.ensure([ERASED])
        rows = places.append_column("topic", pa.array([topic] * len(places), pa.string()))
        at = pa.repeat(pa.scalar(self._wiring.now(), pa.timestamp("us", tz="UTC")), len(places))
        rows = rows.append_column("erased_at", at)
        folder = f"erase/{self._wiring.now():%Y%m%dT%H%M%S%f}-{len(self._rewritten)}"

        def append() -> None:
            table = self._lake.table(ERASED.name)
            commit(table, added=write_files(table, rows, folder=folder), properties={})

        _retried(append, ERASED.name, self._wiring.wait)

    def _drop_unused(self) -> None:
        """Copies of files that somebody else replaced before ours could."""
        io = self._lake.table(self._name).io
        for path, done in self._rewritten.items():
            if path not in self._used and done.new:
                io.delete(done.new.file_path)


def _retried(action: Callable[[], None], where: str, wait: Callable[[int], None]) -> None:
    for attempt in range(ATTEMPTS):
        try:
            return action()
        except (Conflict, UnknownOutcome):
            wait(attempt)
    raise Retryable(f"other writers came first {ATTEMPTS} times", where=where, hint="the same again")


def _tables(lake: Lake) -> list[str]:
    names = [name for name in lake.names() if name != ERASED.name]
    return sorted(names, key=lambda name: (LAYERS.index(layer) if (layer := name.split(".")[0]) in LAYERS else -1, name))


def _found(lake: Lake, pattern: bytes) -> tuple[dict[str, datetime | None], int]:
    """Files of the warehouse, of tables elsewhere, of a local catalog that hold the id, with their times; how many there are."""
    io, searched, found = PyArrowFileIO(dict(lake.catalog.properties)), 0, dict[str, datetime | None]()
    for path, changed_at in _files(lake, io):
        searched += 1
        if holds(io, path, pattern):
            found[path] = changed_at
    return found, searched


def _files(lake: Lake, io: PyArrowFileIO) -> Iterator[tuple[str, datetime | None]]:
    warehouse = str(lake.catalog.properties.get("warehouse", "")).rstrip("/")
    roots = [warehouse] if warehouse else []
    for name in lake.names():
        location = lake.table(name).location()
        if not any(_plain(location).startswith(f"{_plain(root)}/") for root in roots):
            roots.append(location)
    for root in roots:
        filesystem, path = place_of(io, root)
        scheme = "" if local_path(root) else f"{root.split('://')[0]}://"
        for info in filesystem.get_file_info(pa_fs.FileSelector(path, recursive=True, allow_not_found=True)):
            if info.type == pa_fs.FileType.File:
                yield f"{scheme}{info.path}", info.mtime
    if catalog := sqlite_path(str(lake.catalog.properties.get("uri", ""))):
        for suffix in ("", "-wal", "-journal"):
            if (file := Path(f"{catalog}{suffix}")).is_file():
                yield str(file), None


def _delete_orphans(lake: Lake, found: Mapping[str, datetime | None], before: datetime) -> Iterable[str]:
    """Files with the id that no table reaches and that are older than `before`, deleted."""
    known = {_plain(path) for name in lake.names() for path in reached_now(lake.table(name))}
    io = PyArrowFileIO(dict(lake.catalog.properties))
    for path, changed_at in found.items():
        if path not in known and changed_at is not None and changed_at < before and holds_still(io, path):
            io.delete(path)
            yield path


def holds_still(io: PyArrowFileIO, path: str) -> bool:
    return io.new_input(path).exists()


def _plain(location: str) -> str:
    return local_path(location) or location


def _nobody(device_id: str) -> Missing:
    return Missing(
        f"nothing in the lake is of device {device_id}",
        hint="fleetlake query 'SELECT DISTINCT device_id FROM bronze.vehicle' lists devices; a table of another kind has others",
    )
