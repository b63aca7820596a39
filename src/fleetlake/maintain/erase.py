"""A device out of the lake: out of every table, then out of every file, then looked for everywhere.

Cut off anywhere, the same again does what is left: rows are looked for in the tables and the id in storage, no list is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

import pyarrow as pa
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table as IcebergTable

from fleetlake.contracts.tables import ERASED
from fleetlake.foundation.errors import Missing, Retryable
from fleetlake.lake.catalog import Lake
from fleetlake.lake.commits import LONGEST_WAIT, Conflict, UnknownOutcome, commit, move_on
from fleetlake.lake.digest import adjusted
from fleetlake.lake.scan import Damaged
from fleetlake.lake.unlisted import require_newest
from fleetlake.lake.write import write_files
from fleetlake.maintain.current import read_current
from fleetlake.maintain.erase_files import delete_orphans, known_files, search_lake, unused_files
from fleetlake.maintain.erase_history import expire_all_but_current, reached_now
from fleetlake.maintain.erase_name import DeviceName
from fleetlake.maintain.erase_table import (
    Counted,
    Rewritten,
    commit_rewritten,
    count_rows,
    live_files,
    manifests_name,
    rewrite_file,
)
from fleetlake.maintain.own_files import plain

LAYERS = ("bronze", "raw", "silver", "gold")  # a transform at work meanwhile makes nothing of what is gone already
ATTEMPTS = 30
ORPHAN_AGE = 2 * LONGEST_WAIT  # an unknown file that is younger may belong to a commit that is on its way
COPYING_FOR = LONGEST_WAIT / 2  # then what is copied is committed, before others may take the copies for unused ones


@dataclass(slots=True)
class TableErasure:
    """rows: of the device, taken out. masked: of rows that only name it, how many of which other device ("": not known whose) have
    its id masked. files: rewritten or dropped for either. arrived: of the rows, those that came while it ran.
    """

    table: str
    rows: int = 0
    files: int = 0
    arrived: int = 0
    masked: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Erasure:
    """tables: those that had something of the device. deleted: files taken from storage. searched: files of the warehouse and of a
    local catalog, looked through afterwards. remaining: those of them that still hold the id. foreign: those that hold it and lie
    outside the folders of tables, so that they may be somebody else's and are left. broken: those that can't be read as what they
    are, whose bytes were searched. unsearched: those of them that could only be searched in part.
    """

    tables: tuple[TableErasure, ...]
    deleted: int = 0
    searched: int = 0
    remaining: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    unsearched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wiring:
    """topics: of each bronze table. spoil: has what was computed from several devices computed anew by the next transform; it may
    raise Conflict, and is repeated then. wait: back-off before attempt n. now: the clock, UTC.
    """

    topics: Mapping[str, str]
    spoil: Callable[[Lake], None]
    wait: Callable[[int], None]
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))


def count_device(lake: Lake, device_id: str) -> Erasure:
    """Counts what `erase_device` would take out and mask, and changes nothing. Missing if no table has a row of the device."""
    device, found = DeviceName(device_id), list[TableErasure]()
    for name in _tables(lake):
        counts = read_current(lake, name, partial(_count, device=device))
        if counts:
            masked = sum((Counter(counted.owners) for counted in counts), Counter[str]())
            found.append(TableErasure(name, sum(counted.own for counted in counts), len(counts), masked=dict(masked)))
    if not any(table.rows for table in found):
        raise _nobody(device_id, found)
    return Erasure(tuple(found))


def _count(table: IcebergTable, device: DeviceName) -> list[Counted]:
    """Count each file that has something of the device."""
    return [counted for file in live_files(table) if (counted := count_rows(table, file, device)) != Counted()]


def erase_device(lake: Lake, device_id: str, wiring: Wiring) -> Erasure:
    """Takes the device out of all tables and all files of theirs, and looks for it in every file afterwards.

    Rows of other devices are never taken out: where a text of theirs names the device, its id is masked. Safe beside an ingest,
    whose commits go on; what comes in meanwhile is taken out too, as long as it does not come faster. All snapshots but the current
    one go from tables that had the device. Missing, with nothing changed, if no table and no file has anything of it; Retryable if
    other writers never let a commit through; Damaged if a file in use can't be read; Permanent if the catalog is an older one.
    """
    device = DeviceName(device_id)
    for name in _tables(lake):
        require_newest(lake.table, name)
    tables = [_Table(lake, name, device, wiring) for name in _tables(lake)]
    for table in tables:
        table.erase(masks=False)
    before = search_lake(lake, device)
    known = known_files(lake)
    if not before.has_rows(known) and not any(table.counts.rows for table in tables):
        raise _nobody(device_id, [])
    for table in tables:
        table.erase(masks=True)
    _repeated(lambda: wiring.spoil(lake), "gold", wiring.wait)
    deleted, old = list[str](), wiring.now() - ORPHAN_AGE
    unused = [file.path for file in unused_files(before, known_files(lake), old)]
    for table in tables:
        table.move_on(unused)
    holders = set(before.holders(known_files(lake)))
    for table in tables:
        if table.counts.files or holders & {plain(path) for path in read_current(lake, table.name, reached_now)}:
            _repeated(lambda name=table.name: expire_all_but_current(lake.table(name), deleted.append), table.name, wiring.wait)  # type: ignore[misc]
    deleted += delete_orphans(lake, before, old)
    after, known = search_lake(lake, device), known_files(lake)
    foreign = after.outside(known)
    return Erasure(
        tuple(table.counts for table in tables if table.counts.files),
        len(deleted),
        after.files,
        tuple(path for path in after.holders(known) if path not in foreign),
        tuple(foreign),
        tuple(file.path for file in after.notable if file.searched.is_broken),
        tuple(file.path for file in after.notable if file.searched.unread_bytes),
    )


@dataclass(frozen=True, slots=True)
class _Unsettled:
    """A commit without an answer. It landed, or still may, on the snapshot `parent_id` and on no other."""

    parent_id: int | None
    snapshot_id: int
    replaced: Mapping[str, Rewritten]


class _Table:
    """One table's erasure. Each of its files is looked through once, however often a commit has to be tried."""

    def __init__(self, lake: Lake, name: str, device: DeviceName, wiring: Wiring) -> None:
        self._lake, self.name, self._device, self._wiring = lake, name, device, wiring
        self._counted: dict[str, Counted] = {}
        self._rewritten: dict[str, Rewritten] = {}
        self._copied_at: dict[str, datetime] = {}
        self._unsettled: list[_Unsettled] = []
        self._kept: set[str] = set()  # old files whose copies are in the table, or were in a commit without an answer
        self.counts = TableErasure(name)

    def erase(self, *, masks: bool) -> None:
        """Rewrites files until none has a row of the device, and, with masks, none names it and no manifest does."""
        attempt = 0
        while attempt < ATTEMPTS:
            table = self._lake.table(self.name)
            try:
                live = {file.file_path: file for file in live_files(table)}
                self._settle(table, live)
                now, are_all = self._rewrite(table, live, masks=masks)
                if not now and not (masks and manifests_name(table, self._device)):
                    self._drop_unused(table)
                    return
                if self._commit(table, now):
                    attempt += are_all  # else there is more to come that was there before
                    continue
            except Conflict:
                pass
            self._wiring.wait(attempt)
            attempt += 1
        raise Retryable(
            f"the device can't be taken out: it, or other writers, came first {ATTEMPTS} times",
            where=self.name,
            hint="stop what sends it, then the same again",
        )

    def move_on(self, unused: Iterable[str]) -> None:
        """Before those of the paths go that are the table's: no commit that was made ready with one of them lands then."""
        location = plain(self._lake.table(self.name).location())
        if any(path.startswith(f"{location}/") for path in unused):
            move_on(lambda: self._lake.table(self.name), self._wiring.wait)

    def _commit(self, table: IcebergTable, now: Mapping[str, Rewritten]) -> bool:
        """Once; returns whether it surely landed. Conflict if the table moved on; one without an answer is left to `_settle`."""
        if any(done.counted.own for done in now.values()) and not self.counts.rows:
            self._spoil()  # in case this is cut off before the end
        parent, snapshot_id = table.current_snapshot(), table.metadata.new_snapshot_id()
        properties = adjusted(table.properties, (done.change for done in now.values()))
        try:
            commit_rewritten(table, now, self._device, properties, snapshot_id=snapshot_id)
        except UnknownOutcome:
            self._unsettled.append(_Unsettled(parent.snapshot_id if parent else None, snapshot_id, now))
            self._kept |= now.keys()
            return False
        self._unsettled.clear()  # the table moved, so that none of them can land any more
        self._count(now)
        return True

    def _settle(self, table: IcebergTable, live: Collection[str]) -> None:
        """Counts the commit without an answer that landed, if one did. As long as the table has not moved, one still may."""
        current = table.current_snapshot()
        if not self._unsettled or (current.snapshot_id if current else None) == self._unsettled[-1].parent_id:
            return
        for tried in self._unsettled:  # all on one snapshot, so at most one of them
            copies = {done.new.file_path for done in tried.replaced.values() if done.new}
            if table.snapshot_by_id(tried.snapshot_id) or not copies.isdisjoint(live):
                self._count(tried.replaced)
                break
        self._unsettled.clear()

    def _rewrite(self, table: IcebergTable, live: Mapping[str, DataFile], *, masks: bool) -> tuple[dict[str, Rewritten], bool]:
        """Copies of the live files that have to be replaced, made if they are not yet, and whether those are all.

        Copies that have waited for their commit so long that others may delete them are made anew.
        """
        for path in [path for path, at in self._copied_at.items() if self._wiring.now() - at > LONGEST_WAIT]:
            self._rewritten.pop(path, None)
            del self._copied_at[path]
        first_at = min((at for path, at in self._copied_at.items() if path in live), default=None)
        for path, file in live.items():
            if first_at and self._wiring.now() - first_at > COPYING_FOR:
                return self._copies_of(live), False
            try:
                if path not in self._counted:
                    self._counted[path] = count_rows(table, file, self._device)
                counted = self._counted[path]
                if path not in self._rewritten and (counted.own or (masks and counted.owners)):
                    self._copied_at[path] = self._wiring.now()
                    first_at = first_at or self._copied_at[path]
                    self._rewritten[path] = rewrite_file(table, file, self._device)
                    self._remember_places(self._rewritten[path].places)
            except FileNotFoundError as error:
                if any(path == file.file_path for file in live_files(self._lake.table(self.name))):
                    raise Damaged(path, self.name) from error  # else replaced and expired meanwhile
        return self._copies_of(live), True

    def _copies_of(self, live: Collection[str]) -> dict[str, Rewritten]:
        return {path: done for path, done in self._rewritten.items() if path in live}

    def _spoil(self) -> None:
        _repeated(lambda: self._wiring.spoil(self._lake), "gold", self._wiring.wait)

    def _count(self, now: Mapping[str, Rewritten]) -> None:
        own = sum(done.counted.own for done in now.values())
        self.counts.arrived += own if self.counts.rows else 0
        self.counts.rows += own
        self.counts.files += len(now)
        for done in now.values():
            self.counts.masked = dict(Counter(self.counts.masked) + Counter(done.counted.owners))
        self._kept |= now.keys()

    def _remember_places(self, places: pa.Table | None) -> None:
        """Before the rows go: a place that is in both is not erased yet."""
        topic = self._wiring.topics.get(self.name)
        if topic is None or places is None or not places.num_rows:
            return
        self._lake.ensure([ERASED])
        rows = places.append_column("topic", pa.array([topic] * len(places), pa.string()))
        at = pa.repeat(pa.scalar(self._wiring.now(), pa.timestamp("us", tz="UTC")), len(places))
        rows = rows.append_column("erased_at", at)
        folder = f"erase/{self._wiring.now():%Y%m%dT%H%M%S%f}-{len(self._rewritten)}"
        tried = list[str]()

        def append() -> None:
            table = self._lake.table(ERASED.name)
            if tried and any(part in file.file_path for part in tried for file in live_files(table)):
                return  # its answer was lost
            tried.append(f"/{folder}-{len(tried)}/")
            commit(table, added=write_files(table, rows, folder=tried[-1].strip("/")), properties={})

        _repeated(append, ERASED.name, self._wiring.wait)

    def _drop_unused(self, table: IcebergTable) -> None:
        """Deletes copies of files that somebody else replaced before ours could, so that no snapshot and no commit names them.

        A copy that was in a commit without an answer stays, as that may still land: it is an orphan if it does not.
        """
        copies = {path: done.new.file_path for path, done in self._rewritten.items() if done.new and path not in self._kept}
        known = reached_now(table) if copies else set()
        for path, copy in copies.items():
            if copy not in known:
                del self._rewritten[path]  # should the file come back, it is copied anew
                with suppress(FileNotFoundError):
                    table.io.delete(copy)


def _repeated(action: Callable[[], None], where: str, wait: Callable[[int], None]) -> None:
    for attempt in range(ATTEMPTS):
        try:
            return action()
        except (Conflict, UnknownOutcome):
            wait(attempt)
    raise Retryable(f"other writers came first {ATTEMPTS} times", where=where, hint="the same again")


def _tables(lake: Lake) -> list[str]:
    names = [name for name in lake.names() if name != ERASED.name]
    return sorted(names, key=lambda name: (LAYERS.index(layer) if (layer := name.split(".")[0]) in LAYERS else -1, name))


def _nobody(device_id: str, named: list[TableErasure]) -> Missing:
    rows = sum(sum(table.masked.values()) for table in named)
    return Missing(
        f"no rows for device {device_id!r}" + (f"; {rows:,} rows of other devices name it and stay as they are" if rows else ""),
        hint="fleetlake query 'SELECT DISTINCT device_id FROM bronze.vehicle' lists devices; a table of another kind has others",
    )
