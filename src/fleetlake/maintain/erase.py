"""A device out of the lake: out of every table, then out of every file, then looked for everywhere.

Cut off anywhere, the same again does what is left: rows are looked for in the tables and the id in storage, no list is kept.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial

from pyiceberg.table import Table as IcebergTable

from fleetlake.contracts.tables import ERASED, RAW, all_tables
from fleetlake.foundation.errors import Missing
from fleetlake.lake.catalog import Lake
from fleetlake.lake.commits import LONGEST_WAIT
from fleetlake.lake.unlisted import require_newest
from fleetlake.maintain.current import read_current
from fleetlake.maintain.erase_attempts import LeftTable, OthersTables, TableEraser, TableErasure, Wiring, repeated
from fleetlake.maintain.erase_files import delete_orphans, known_files, search_lake, unused_files
from fleetlake.maintain.erase_history import expire_all_but_current, reached_now, require_not_set_back
from fleetlake.maintain.erase_name import DeviceName
from fleetlake.maintain.erase_table import Counted, count_rows, live_files
from fleetlake.maintain.own_files import plain

ORPHAN_AGE = 2 * LONGEST_WAIT  # an unknown file that is younger may belong to a commit that is on its way


@dataclass(frozen=True, slots=True)
class Erasure:
    """tables: those that had something of the device. deleted: files taken from storage. searched: files of the warehouse and of a
    local catalog, looked through afterwards. remaining: those of them that still hold the id. foreign: those that hold it and lie
    outside the folders of tables, so that they may be somebody else's and are left. broken: those that can't be read as what they
    are, whose bytes were searched. unsearched: those of them that could only be searched in part. left: tables that are none of
    fleetlake's and that the device could not be taken out of.
    """

    tables: tuple[TableErasure, ...]
    deleted: int = 0
    searched: int = 0
    remaining: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    unsearched: tuple[str, ...] = ()
    left: tuple[LeftTable, ...] = ()


def count_device(lake: Lake, device_id: str) -> Erasure:
    """Counts what `erase_device` would take out and mask, and changes nothing. Missing if no table has a row of the device."""
    device, found, others = DeviceName(device_id), list[TableErasure](), OthersTables()

    def count(name: str) -> None:
        counts = read_current(lake, name, partial(_count, device=device))
        if counts:
            masked = sum((Counter(counted.owners) for counted in counts), Counter[str]())
            found.append(TableErasure(name, sum(counted.own for counted in counts), len(counts), masked=dict(masked)))

    for name in _tables(lake):
        others.attempt(name, partial(count, name))
    if not any(table.rows for table in found):
        raise _nobody(device_id, found, others.left)
    return Erasure(tuple(found), left=others.left)


def _count(table: IcebergTable, device: DeviceName) -> list[Counted]:
    """Count each file that has something of the device."""
    return [counted for file in live_files(table) if (counted := count_rows(table, file, device)) != Counted()]


def erase_device(lake: Lake, device_id: str, wiring: Wiring) -> Erasure:
    """Takes the device out of all tables and all files of theirs, and looks for it in every file afterwards.

    Rows of other devices are never taken out: where a text of theirs names the device, its id is masked. Safe beside an ingest,
    whose commits go on; what comes in meanwhile is taken out too, as long as it does not come faster. All snapshots but the current
    one go from tables that had the device. Missing, with nothing changed, if no table and no file has anything of it; Retryable if
    other writers never let a commit through; Damaged if a file in use can't be read; Permanent if the catalog is an older one. A
    table of another's that makes such trouble is left (`Erasure.left`), and the erasure goes on: ours come first.
    """
    device, others = DeviceName(device_id), OthersTables()
    for name in _tables(lake):
        others.attempt(name, partial(require_newest, lake.table, name))
        others.attempt(name, partial(read_current, lake, name, require_not_set_back))
    tables = [TableEraser(lake, name, device, wiring) for name in _tables(lake)]
    for table in tables:
        others.attempt(table.name, partial(table.erase, masks=False))
    before = search_lake(lake, device)
    if not before.has_rows(known_files(lake).paths) and not any(table.counts.rows for table in tables):
        raise _nobody(device_id, [], others.left)
    for table in tables:
        others.attempt(table.name, partial(table.erase, masks=True))
    repeated(lambda: wiring.spoil(lake), "gold", wiring.wait)
    deleted, old = list[str](), wiring.now() - ORPHAN_AGE
    unused = [file.path for file in unused_files(before, known_files(lake), old)]
    for table in tables:  # a table after those that it is made of, which no transform can fill with the device any more then
        others.attempt(table.name, partial(table.move_on, unused))
        others.attempt(table.name, partial(table.erase, masks=True))
    holders = set(before.holders(known_files(lake).paths))

    def expire(table: TableEraser) -> None:
        if table.counts.files or holders & {plain(path) for path in read_current(lake, table.name, reached_now)}:
            repeated(lambda: expire_all_but_current(lake.table(table.name), deleted.append), table.name, wiring.wait)

    for table in tables:
        others.attempt(table.name, partial(expire, table))
    deleted += delete_orphans(lake, before, old)
    after, known = search_lake(lake, device), known_files(lake).paths
    foreign = after.outside(known)
    return Erasure(
        tuple(table.counts for table in tables if table.counts.files),
        len(deleted),
        after.files,
        tuple(path for path in after.holders(known) if path not in foreign),
        tuple(foreign),
        tuple(file.path for file in after.notable if file.searched.is_broken),
        tuple(file.path for file in after.notable if file.searched.unread_bytes),
        others.left,
    )


def _tables(lake: Lake) -> list[str]:
    """Ours first, in the order in which they are made of one another; then others'."""

    ours = [table.name for table in (*RAW, *all_tables())]

    def place(name: str) -> tuple[int, str]:
        return ours.index(name) if name in ours else len(ours), name

    return sorted((name for name in lake.names() if name != ERASED.name), key=place)


def _nobody(device_id: str, named: list[TableErasure], left: tuple[LeftTable, ...]) -> Missing:
    rows = sum(sum(table.masked.values()) for table in named)
    told = f"; {rows:,} rows of other devices name it and stay as they are" if rows else ""
    told += "".join(f"; {table.table}, which is none of fleetlake's, could not be looked at: {table.reason}" for table in left)
    return Missing(
        f"no rows for device {device_id!r}{told}",
        hint="fleetlake query 'SELECT DISTINCT device_id FROM bronze.vehicle' lists devices; a table of another kind has others",
    )
