"""Files in the place of others, beside writers that commit all the time: staged anew on what the table is then, until it lands."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from pyiceberg.table import Table as IcebergTable

from fleetlake.foundation.errors import Retryable
from fleetlake.lake.catalog import Lake
from fleetlake.lake.commits import Conflict, UnknownOutcome, commit_staged, conflict_if_moved, waits_too_long
from fleetlake.lake.replace import NewFile, Superseded, stage_replace
from fleetlake.lake.snapshots import Clock, wall_clock_ms

COMMIT_ID = "fleetlake.maintain"
ATTEMPTS = 15


def replace_files(
    lake: Lake,
    name: str,
    removed: Iterable[str],
    added: Sequence[NewFile],
    *,
    same_rows: bool,
    wait: Callable[[int], None],
    since_ms: int | None = None,
    clock: Clock = wall_clock_ms,
) -> IcebergTable:
    """Puts `added` in the place of `removed` (locations) in one snapshot, and returns the table as it was loaded last.

    Rows that others add meanwhile stay. since_ms: when the first of `added` was begun, None: just now. wait: called with the number
    of the attempt before it is tried again. Raises Superseded if a file to be removed is gone, Retryable after ATTEMPTS or if
    `added` have waited too long for it (lake/commits.py); they are deleted then, unless a commit without an answer may still put
    them into the table.
    """
    gone, commit_id, unsettled = list(removed), uuid.uuid4().hex, False
    table: IcebergTable | None = None
    without: set[str] = set()
    since_ms = clock() if since_ms is None else since_ms
    refused = f"in {ATTEMPTS} attempts: other writers are always first"
    for attempt in range(ATTEMPTS):
        if attempt:
            wait(attempt)
        try:
            loaded = table = lake.table(name)
            if unsettled and _has(table, commit_id):
                return table
            if waits_too_long(since_ms, clock()):
                refused = "in time: they may be taken for unused ones by now"
                break
            summary = {COMMIT_ID: commit_id}
            with conflict_if_moved(table):
                staged = stage_replace(table, gone, added, summary, same_rows=same_rows, now_ms=clock(), without=without)
        except Superseded:
            _discard(loaded, [] if unsettled else [one.file.file_path for one in added])
            raise
        except Retryable:
            continue
        try:
            return commit_staged(table, staged.requirements, staged.updates)
        except Conflict:
            _discard(table, staged.written)
        except UnknownOutcome:
            unsettled = True  # late, it lands only on the snapshot it was built on, and then the next attempt does not
    if table is not None and not unsettled:
        _discard(table, [one.file.file_path for one in added])
    raise Retryable(f"files could not be replaced {refused}", where=name, hint="the same again")


def _has(table: IcebergTable, commit_id: str) -> bool:
    return any(snapshot.summary and snapshot.summary.get(COMMIT_ID) == commit_id for snapshot in table.snapshots())


def _discard(table: IcebergTable, locations: Iterable[str]) -> None:
    for location in locations:
        with suppress(OSError):  # what stays is an orphan
            table.io.delete(location)
