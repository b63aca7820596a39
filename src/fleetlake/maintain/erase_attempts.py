"""One table's part of an erasure: its files without the device in the place of those with it, however often a commit is tried."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow as pa
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table as IcebergTable

from fleetlake.contracts.tables import ERASED, contract_of
from fleetlake.foundation.errors import FleetlakeError, Retryable
from fleetlake.lake.catalog import Lake
from fleetlake.lake.commits import LONGEST_WAIT, Conflict, UnknownOutcome, commit, move_on
from fleetlake.lake.digest import adjusted
from fleetlake.lake.scan import Damaged
from fleetlake.lake.write import write_files
from fleetlake.maintain.erase_copy import require_rewritable
from fleetlake.maintain.erase_history import reached_now
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

ATTEMPTS = 30
COMPUTED = ("silver.", "gold.")
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
class LeftTable:
    """A table that is none of fleetlake's, and why the device could not be taken out of it, or not wholly."""

    table: str
    reason: str


class OthersTables:
    """What is done with tables that are none of fleetlake's: they may be anything, and must not keep the device in ours."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}

    def attempt(self, name: str, action: Callable[[], None]) -> None:
        """Does it; where it fails with another's table, notes why, and leaves that table alone from then on."""
        if contract_of(name):
            action()
        elif name not in self._reasons:
            try:
                action()
            except Exception as error:  # whatever readers make of a table of another tool
                is_told = isinstance(error, FleetlakeError)
                self._reasons[name] = " ".join((str(error) if is_told else f"{type(error).__name__}: {error}").split())

    @property
    def left(self) -> tuple[LeftTable, ...]:
        return tuple(LeftTable(name, reason) for name, reason in sorted(self._reasons.items()))


@dataclass(frozen=True, slots=True)
class Wiring:
    """topics: of each bronze table. spoil: has what was computed from several devices computed anew by the next transform; it may
    raise Conflict, and is repeated then. wait: back-off before attempt n. now: the clock, UTC.
    """

    topics: Mapping[str, str]
    spoil: Callable[[Lake], None]
    wait: Callable[[int], None]
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class _Unsettled:
    """A commit without an answer. It landed, or still may, on the snapshot `parent_id` and on no other."""

    parent_id: int | None
    snapshot_id: int
    replaced: Mapping[str, Rewritten]


class TableEraser:
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
                if are_all and not now and not (masks and manifests_name(table, self._device)):
                    self._drop_unused(table)
                    return
                if (now or are_all) and self._commit(table, now):
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
        """Sees to it that no commit brings the device back, or a file that is about to go, which was made ready before.

        So a table that a transform makes is moved on, whose sources it may have read before the device went, and one that has a
        file of `unused`.
        """
        location = plain(self._lake.table(self.name).location())
        if self.name.startswith(COMPUTED) or any(path.startswith(f"{location}/") for path in unused):
            move_on(lambda: self._lake.table(self.name), self._wiring.wait)

    def _commit(self, table: IcebergTable, now: Mapping[str, Rewritten]) -> bool:
        """Once; returns whether it surely landed. Conflict if the table moved on; one without an answer is left to `_settle`."""
        if any(done.counted.own for done in now.values()) and not self.counts.rows:
            self._spoil()  # in case this is cut off before the end
        require_rewritable(table)
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
        """Copies of the live files that have to be replaced, made if they are not yet, and whether all files were looked at.

        Copies that have waited for their commit so long that others may delete them are made anew.
        """
        for path in [path for path, at in self._copied_at.items() if self._wiring.now() - at > LONGEST_WAIT]:
            self._rewritten.pop(path, None)
            del self._copied_at[path]
        first_at, are_all = self._waiting_since(live), True
        for path, file in live.items():
            if first_at and self._wiring.now() - first_at > COPYING_FOR:
                return self._copies_of(live), False
            try:
                if path not in self._counted:
                    self._counted[path] = count_rows(table, file, self._device)
                counted = self._counted[path]
                if path not in self._rewritten and (counted.own or (masks and counted.owners)):
                    require_rewritable(table)
                    self._copied_at[path] = self._wiring.now()
                    first_at = first_at or self._copied_at[path]
                    self._rewritten[path] = rewrite_file(table, file, self._device)
                    self._remember_places(self._rewritten[path].places)
            except FileNotFoundError as error:
                self._copied_at.pop(path, None)
                first_at, are_all = self._waiting_since(live), False
                if any(path == file.file_path for file in live_files(self._lake.table(self.name))):
                    raise Damaged(path, self.name) from error  # else replaced and expired meanwhile, by files not looked at yet
        return self._copies_of(live), are_all

    def _waiting_since(self, live: Collection[str]) -> datetime | None:
        return min((at for path, at in self._copied_at.items() if path in live), default=None)

    def _copies_of(self, live: Collection[str]) -> dict[str, Rewritten]:
        return {path: done for path, done in self._rewritten.items() if path in live}

    def _spoil(self) -> None:
        repeated(lambda: self._wiring.spoil(self._lake), "gold", self._wiring.wait)

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

        repeated(append, ERASED.name, self._wiring.wait)

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


def repeated(action: Callable[[], None], where: str, wait: Callable[[int], None]) -> None:
    for attempt in range(ATTEMPTS):
        try:
            return action()
        except (Conflict, UnknownOutcome):
            wait(attempt)
    raise Retryable(f"other writers came first {ATTEMPTS} times", where=where, hint="the same again")
