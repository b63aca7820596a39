"""One commit, one attempt: either the table is still as the caller saw it and moves on, or nothing changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta

from pyiceberg.exceptions import CommitFailedException
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table as IcebergTable
from pyiceberg.table import TableProperties
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.update import AssertTableUUID, SetPropertiesUpdate, TableRequirement, TableUpdate
from pyiceberg.table.update.schema import UpdateSchema

from fleetlake.foundation.aws_errors import explain, is_refusal, was_repeated
from fleetlake.foundation.errors import Permanent, Retryable
from fleetlake.foundation.steps import At, Step, nowhere
from fleetlake.lake.append import stage_append
from fleetlake.lake.replace import NewFile, stage_replace
from fleetlake.lake.snapshots import Clock, wall_clock_ms

# Files that wait for their commit so long are written anew before it is tried on a table that was loaded anew. Maintenance deletes
# files that no table knows when they are twice as old, after it has moved the table on (`move_on`): so no commit lands whose files
# are gone. A commit on the table as it was loaded before its files were written is refused then, however late it is.
LONGEST_WAIT = timedelta(minutes=30)
MOVES = 30


class Conflict(Retryable):
    """The table moved on since it was loaded; nothing was committed."""


class UnknownOutcome(Retryable):
    """The catalog broke off: the commit may have landed, or may land later. Nothing may be deleted."""


@contextmanager
def conflict_if_moved(table: IcebergTable) -> Iterator[None]:
    """Conflict if a file of `table` as it was loaded is missing since others moved the table on and expired what it was.

    What is missing from the table as it is now passes: FileNotFoundError, or the Permanent that was made of it.
    """
    try:
        yield
    except (FileNotFoundError, Permanent) as error:
        if isinstance(error, Permanent) and not isinstance(error.__cause__, FileNotFoundError):
            raise
        if not _has_moved(table):
            raise
        raise Conflict(
            "files of the table as it was are gone: another writer expired them", where=".".join(table.name())
        ) from error


def _has_moved(table: IcebergTable) -> bool:
    """True as well if the catalog or its metadata can't be read just now: who asks again is told why."""
    with suppress(Exception):  # drivers of all catalogs
        return table.catalog.load_table(table.name()).metadata_location != table.metadata_location
    return True


def commit(
    table: IcebergTable,
    *,
    added: Iterable[DataFile] = (),
    removed: Iterable[DataFile] = (),
    carried: Iterable[NewFile] = (),
    properties: Mapping[str, str],
    summary: Mapping[str, str] | None = None,
    at: At = nowhere,
    clock: Clock = wall_clock_ms,
) -> IcebergTable:
    """Makes one snapshot of `table` as it was loaded and returns the table as it is then.

    `properties` go into the snapshot's summary and, in the same commit, into the table's properties, where they outlive the
    snapshot's expiry. summary: what the snapshot's summary gets instead, if it is not None. Without files the snapshot is empty but
    moves the branch all the same, so that every writer that built on the older one conflicts. carried: more files to add, with
    sequence numbers of their own: their rows are those of `removed`.
    clock: what dates the snapshot, unless it is behind the table (snapshots.py).
    Raises Conflict if the branch moved since `table` was loaded, UnknownOutcome if the catalog did not say, BadInput if AWS did not
    let these credentials.
    """
    gone = [file.file_path for file in removed]
    if not gone:
        with conflict_if_moved(table):
            staged = stage_append(table, added, properties, summary, now_ms=clock())
        return commit_staged(table, staged.requirements, staged.updates, at=at)
    files = [*(NewFile(file, None) for file in added), *carried]
    with conflict_if_moved(table):
        staged = stage_replace(table, gone, files, properties if summary is None else summary, same_rows=False, now_ms=clock())
    stored = SetPropertiesUpdate(updates=dict(properties))
    return commit_staged(table, staged.requirements, (*staged.updates, stored), at=at)


def move_on(load: Callable[[], IcebergTable], wait: Callable[[int], None]) -> None:
    """Sees to it that no commit lands any more that was made ready before: by an empty snapshot, unless others make one meanwhile.

    load: returns the table as it is now. wait: called with the number of the attempt before the next one. Retryable if none lands.
    """
    table = load()
    before = table.metadata.current_snapshot_id
    for attempt in range(MOVES):
        with suppress(Conflict, UnknownOutcome):
            if before is None:
                commit(table, properties={})
            else:  # whose rows are the same: nothing has to be computed anew
                with conflict_if_moved(table):
                    staged = stage_replace(table, (), (), {}, same_rows=True, now_ms=wall_clock_ms())
                commit_staged(table, staged.requirements, staged.updates)
            return
        wait(attempt)
        table = load()
        if table.metadata.current_snapshot_id != before:
            return
    raise Retryable(f"no commit landed in {MOVES} attempts", where=".".join(table.name()), hint="the same again")


def waits_too_long(written_ms: int, now_ms: int) -> bool:
    """Returns whether files written at `written_ms` may be taken for unused ones before a commit of them lands."""
    return now_ms - written_ms > LONGEST_WAIT // timedelta(milliseconds=1)


def commit_properties(table: IcebergTable, properties: Mapping[str, str]) -> IcebergTable:
    """Sets table properties without a snapshot and returns the table as it is then.

    The branch does not move, so a writer that built on the snapshot before still lands. Raises what `commit` does.
    """
    same_table = AssertTableUUID(uuid=table.metadata.table_uuid)
    return commit_staged(table, (same_table,), (SetPropertiesUpdate(updates=dict(properties)),))


def commit_schema(table: IcebergTable, change: Callable[[UpdateSchema], None]) -> IcebergTable:
    """Changes the schema of `table` as it was loaded and returns the table as it is then; raises what `commit` does.

    change: calls methods of PyIceberg's UpdateSchema. The transaction only collects what they ask for and is never committed.
    """
    update = UpdateSchema(table.transaction(), name_mapping=table.name_mapping())
    change(update)
    updates, requirements = update._commit()
    same_table = AssertTableUUID(uuid=table.metadata.table_uuid)
    return commit_staged(table, (same_table, *requirements), updates) if updates else table


def commit_staged(
    table: IcebergTable,
    requirements: tuple[TableRequirement, ...],
    updates: tuple[TableUpdate, ...],
    *,
    at: At = nowhere,
) -> IcebergTable:
    """Sends what was staged on `table` as it was loaded, once, and returns the table as it is then. Raises what `commit` does."""
    at(Step.STAGED)
    # Straight to the catalog: Transaction.commit_transaction would delete manifests after a failure whose outcome it does not know.
    try:
        answer = table.catalog.commit_table(table, requirements, updates)
    except CommitFailedException as error:
        if was_repeated(error.__cause__):  # and the first request may be what the second conflicts with
            raise UnknownOutcome("the catalog refused a request sent again", where=".".join(table.name())) from error
        raise Conflict("the table was changed by another writer meanwhile", where=".".join(table.name())) from error
    except Exception as error:  # drivers of all catalogs: whatever it was, it did not say that nothing landed
        if is_refusal(error):
            raise explain(error, f"table {'.'.join(table.name())}") from error
        raise UnknownOutcome(f"the catalog did not confirm the commit: {error}", where=".".join(table.name())) from error
    at(Step.SWAPPED)
    before, table.metadata, table.metadata_location = table.metadata, answer.metadata, answer.metadata_location
    _delete_former_metadata(table, before)
    return table


def _delete_former_metadata(table: IcebergTable, before: TableMetadata) -> None:
    """Deletes what left the metadata log, if the table asks for it. Some of it is gone if another writer was here in between."""
    if table.properties.get(TableProperties.METADATA_DELETE_AFTER_COMMIT_ENABLED, "").lower() != "true":
        return
    kept = {entry.metadata_file for entry in table.metadata.metadata_log}
    for entry in before.metadata_log:
        if entry.metadata_file not in kept:
            with suppress(Exception):  # what stays is an orphan
                table.io.delete(entry.metadata_file)
