"""Old snapshots out of a table's metadata, then the files that only they reached. Cut off in between, what stays are orphans."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from pyiceberg.manifest import ManifestFile
from pyiceberg.table import Table as IcebergTable
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.table.update import AssertRefSnapshotId, AssertTableUUID, RemoveSnapshotsUpdate, TableRequirement

from fleetlake.foundation.errors import BadInput, Retryable
from fleetlake.lake.catalog import Lake
from fleetlake.lake.commits import Conflict, UnknownOutcome, commit_staged
from fleetlake.lake.scan import Damaged
from fleetlake.lake.snapshots import commit_times
from fleetlake.lake.unlisted import require_newest
from fleetlake.maintain.retention import ExpiryPolicy, Past, plan_expiry

ATTEMPTS = 30
BATCH = 1000  # PyIceberg looks each one up in all others
CONNECTIONS = 8


@dataclass(frozen=True, slots=True)
class UnreachedFiles:
    """Locations that no snapshot of a table reaches any more."""

    manifest_lists: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()
    data_files: tuple[str, ...] = ()
    data_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Expired:
    """expired, kept: snapshots. The others: files deleted, or with dry_run those that would be. data_bytes: of the data files.

    left_alone: why nothing was looked at, if so.
    """

    table: str
    dry_run: bool
    expired: int
    kept: int
    manifest_lists: int = 0
    manifests: int = 0
    data_files: int = 0
    data_bytes: int = 0
    left_alone: str = ""


def expire(
    lake: Lake,
    name: str,
    policy: ExpiryPolicy,
    *,
    wait: Callable[[int], None],
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    dry_run: bool = False,
) -> Expired:
    """Removes the snapshots that the policy does not keep, and the files that none that is left reaches.

    Safe beside writers and readers: it only lands on the table it was planned on. wait: called with the number of the attempt
    before it is planned again. Retryable after ATTEMPTS; Permanent if the catalog is older than the
    table's folder. After a commit without an answer no file of those snapshots is deleted.
    """
    table = lake.table(name)
    require_collectable(table)
    require_newest(lake.table, name)
    going = _going(table, policy, now())
    if dry_run:
        return _report(name, going, len(table.snapshots()), _find_unreached(lake, table, going), dry_run=True)
    table, gone, refused = _remove(lake, table, policy, wait, now)
    unreached = _find_unreached(lake, table, gone)
    for locations in (unreached.data_files, unreached.manifests, unreached.manifest_lists):
        delete_files(table.io.delete, locations)
    if refused:
        raise Retryable(f"snapshots could not be removed in {ATTEMPTS} attempts: other writers are always first", where=name)
    return _report(name, gone, len(table.snapshots()) + len(gone), unreached, dry_run=False)


def require_collectable(table: IcebergTable) -> None:
    """BadInput if the table's properties say that its files are not its own."""
    if table.properties.get("gc.enabled", "true").lower() == "false":
        raise BadInput("its files are not to be deleted: gc.enabled is false", where=f"table {'.'.join(table.name())}")


def _remove(
    lake: Lake, table: IcebergTable, policy: ExpiryPolicy, wait: Callable[[int], None], now: Callable[[], datetime]
) -> tuple[IcebergTable, list[Snapshot], bool]:
    """The table as it is afterwards, the snapshots that surely went, and whether it was given up before all did."""
    gone, attempt = list[Snapshot](), 0
    while batch := _going(table, policy, now())[:BATCH]:
        try:
            table = commit_staged(table, _unmoved(table), (_removal(batch),))
        except (Conflict, UnknownOutcome):
            attempt += 1
            if attempt == ATTEMPTS:
                return table, gone, True
            wait(attempt)
            table = lake.table(name=".".join(table.name()))
        else:
            gone += batch
            attempt = 0
    return table, gone, False


def _going(table: IcebergTable, policy: ExpiryPolicy, now: datetime) -> list[Snapshot]:
    metadata = table.metadata
    named = {ref.snapshot_id for ref in metadata.refs.values()}
    now_ms = round(now.timestamp() * 1000)
    times = commit_times(metadata, now_ms)
    past = [Past.of(snapshot, times[snapshot.snapshot_id]) for snapshot in table.snapshots()]
    ids = plan_expiry(past, metadata.current_snapshot_id, named, policy, now_ms)
    by_id = {snapshot.snapshot_id: snapshot for snapshot in table.snapshots()}
    return [by_id[one] for one in ids]


def _unmoved(table: IcebergTable) -> tuple[TableRequirement, ...]:
    """No branch or tag was set to one of them meanwhile, as PyIceberg would remove it too."""
    refs = table.metadata.refs.items()
    unmoved = [AssertRefSnapshotId.model_validate({"ref": ref, "snapshot-id": named.snapshot_id}) for ref, named in refs]
    return (AssertTableUUID(uuid=table.metadata.table_uuid), *unmoved)


def _removal(snapshots: Iterable[Snapshot]) -> RemoveSnapshotsUpdate:
    return RemoveSnapshotsUpdate.model_validate({"snapshot-ids": [snapshot.snapshot_id for snapshot in snapshots]})


def _find_unreached(lake: Lake, table: IcebergTable, gone: list[Snapshot]) -> UnreachedFiles:
    """Another expiry, an erasure's, may take files away while it reads: then it looks again. Damaged if that was not it."""
    try:
        return find_unreached(table, gone)
    except FileNotFoundError:
        name = ".".join(table.name())
        try:
            return find_unreached(lake.table(name), gone)
        except FileNotFoundError as error:
            raise Damaged(str(error.filename or error), name, "metadata") from error


def find_unreached(table: IcebergTable, gone: Iterable[Snapshot]) -> UnreachedFiles:
    """Files of `gone` that no other snapshot of `table` reaches. Each manifest is read once, and only those it takes.

    FileNotFoundError if a manifest of another snapshot is missing.
    """
    gone = list(gone)
    if not gone:
        return UnreachedFiles()
    ids = {snapshot.snapshot_id for snapshot in gone}
    kept = _manifests(table, (snapshot for snapshot in table.snapshots() if snapshot.snapshot_id not in ids))
    only = {path: manifest for path, manifest in _manifests(table, gone, lenient=True).items() if path not in kept}
    sizes = dict[str, int]()
    for manifest in only.values():
        with suppress(FileNotFoundError):  # another has been here
            entries = manifest.fetch_manifest_entry(table.io, discard_deleted=True)
            sizes |= {entry.data_file.file_path: entry.data_file.file_size_in_bytes for entry in entries}
    # The newest first: after an append they hold all that a merged manifest had, and the rest need not be read.
    for manifest in sorted(kept.values(), key=lambda one: one.sequence_number or 0, reverse=True):
        if not sizes:
            break
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
            sizes.pop(entry.data_file.file_path, None)
    lists = tuple(snapshot.manifest_list for snapshot in gone)
    return UnreachedFiles(lists, tuple(only), tuple(sizes), sum(sizes.values()))


def _manifests(table: IcebergTable, snapshots: Iterable[Snapshot], *, lenient: bool = False) -> dict[str, ManifestFile]:
    """By location. lenient: what is not there any more is passed over."""
    found = dict[str, ManifestFile]()
    for snapshot in snapshots:
        try:
            found |= {manifest.manifest_path: manifest for manifest in snapshot.manifests(table.io)}
        except FileNotFoundError:
            if not lenient:
                raise
    return found


def delete_files(delete: Callable[[str], None], locations: Iterable[str]) -> int:
    """Deletes them, a few at a time; returns how many. What is gone already is passed over, and so is what can't be deleted."""

    def try_to_delete(location: str) -> int:
        try:
            delete(location)
        except OSError:  # what stays is an orphan
            return 0
        return 1

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return sum(pool.map(try_to_delete, locations))


def _report(name: str, gone: list[Snapshot], before: int, unreached: UnreachedFiles, *, dry_run: bool) -> Expired:
    return Expired(
        name,
        dry_run,
        len(gone),
        before - len(gone),
        len(unreached.manifest_lists),
        len(unreached.manifests),
        len(unreached.data_files),
        unreached.data_bytes,
    )
