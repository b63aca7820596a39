"""Whose a warehouse is: the one catalog that may write to it.

A lake has a random id. It stands in its catalog (a table of its own in the SQLite file, with the place of that file), in its
warehouse (the object `fleetlake-lake.json`, which names the catalog), and, where the catalog is a server's, in each home that uses
it. Every command that writes asks before it does; one that reads asks too, and warns.

What is refused is what would let two catalogs delete each other's files: a copied lake, whose metadata still names the original's
files, and a warehouse that another catalog has. A lake that was moved is known by its files: they are not where its catalog says,
and lie at the same places in its warehouse; its metadata is then written again (relocation.py).
"""

from __future__ import annotations

import errno
import socket
import sqlite3
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fleetlake.foundation.errors import BadInput, Retryable
from fleetlake.lake.catalog import Lake
from fleetlake.lake.ownership import OBJECT, Copied, Owner, ServedLake, now, other_lake, owner_of, write_owner
from fleetlake.lake.places import is_same_file, local_path, location_of, sqlite_path
from fleetlake.lake.relocation import CatalogTable, LakePlace, relocate, tables_of
from fleetlake.lake.unlisted import Claimed, require_listed_now

LOCK_S, LOOK_S = 60.0, 5.0  # how long a process is waited for that relocates the same lake, and that just commits
RECORD = "CREATE TABLE IF NOT EXISTS fleetlake_lake (id TEXT NOT NULL, created TEXT NOT NULL, catalog TEXT NOT NULL)"
MOVES = "CREATE TABLE IF NOT EXISTS fleetlake_moves (old TEXT NOT NULL, new TEXT NOT NULL)"

Say = Callable[[str], None]
Step = Callable[[str], None]  # tests cut in here


def require_own(lake: Lake, home: Path, *, say: Say, step: Step = lambda name: None) -> str:
    """Returns the lake's id, once it is sure that the lake's catalog is the one that may write to its warehouse.

    A lake without an id is given one; a local lake that was moved gets its paths written again, and `say` is told so. Claimed,
    with nothing written, for a copy and for a warehouse of another catalog. Retryable while another process holds the catalog.
    """
    file = catalog_file(lake)
    if file is None:
        return ServedLake(lake, home).require_own()
    return _Local(lake, file, say, step).require_own()


def look(lake: Lake, *, say: Say) -> None:
    """The same for those who only read: warns instead of refusing, and gives no id; a moved lake is mended all the same.

    BadInput if that can't be, since the folder can't be written.
    """
    file = catalog_file(lake)
    if file is None:
        return
    local = _Local(lake, file, say, lambda name: None)
    try:
        if local.judge().moved:
            local.require_own()
    except Copied as error:
        say(f"warning: {error.what}; what is read are the files of the original; {error.hint}")
    except Claimed as error:
        say(f"warning: {error}")


@dataclass(frozen=True, slots=True)
class LakeState:
    """id: empty for a lake that has none yet. moved_from: where its tables were, empty if they are where the catalog says."""

    id: str
    moved_from: str


def state_of(lake: Lake) -> LakeState:
    """Who the lake is, with nothing written. Claimed or Copied for one that may not write to its warehouse."""
    file = catalog_file(lake)
    if file is None:
        return LakeState(ServedLake(lake, Path()).known_id(), "")
    judged = _Local(lake, file, lambda line: None, lambda name: None).judge()
    origins = ", ".join(sorted({str(table.root) for table in judged.moved}))
    return LakeState(judged.id if judged.is_settled else "", origins)


def adopt(lake: Lake, *, say: Say, step: Step = lambda name: None) -> str:
    """Makes a copied lake one of its own: another id, and the paths to its own files. Returns the id.

    Permanent if a file of the copy is not there. Claimed for a warehouse of another catalog, which can't be shared; BadInput if the
    lake is its own already.
    """
    file = catalog_file(lake)
    if file is None:
        raise BadInput("a catalog of a server is not adopted: those who use it share its warehouse", where="lake.properties.type")
    return _Local(lake, file, say, step).adopt()


def moves_of(lake: Lake) -> list[tuple[str, str]]:
    """The folders that held the warehouse and where they went, oldest first: what lies beside the warehouse went with it."""
    file = catalog_file(lake)
    if file is None:
        return []
    with closing(sqlite3.connect(file, timeout=LOOK_S)) as connection:
        try:
            return [(str(old), str(new)) for old, new in connection.execute("SELECT old, new FROM fleetlake_moves ORDER BY rowid")]
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):
                raise Retryable(f"the catalog did not answer: {error}", where=str(file)) from error
            return []


def catalog_file(lake: Lake) -> Path | None:
    """The file of an SQLite catalog."""
    return sqlite_path(str(lake.catalog.properties.get("uri", "")))


@dataclass(frozen=True, slots=True)
class _Judged:
    """id: the lake's, a new one if it has none. owners: of the warehouses that its tables lie in, by location. moved: tables whose
    metadata has to be written again. is_settled: catalog and warehouses say so already.
    """

    id: str
    created: str
    owners: Mapping[str, Owner | None]
    moved: Sequence[CatalogTable]
    is_settled: bool


class _Local:
    """A lake whose catalog is an SQLite file."""

    def __init__(self, lake: Lake, file: Path, say: Say, step: Step) -> None:
        self._lake, self._file, self._say, self._step = lake, file.absolute(), say, step
        self._warehouse = str(lake.catalog.properties.get("warehouse", ""))
        path = local_path(self._warehouse) if self._warehouse else None
        self._folder = Path(path).absolute() if path is not None else None
        self._machine = socket.gethostname()

    def judge(self) -> _Judged:
        """What is so, with nothing written. Claimed or Copied if this catalog may not write."""
        with self._errors_told(), closing(sqlite3.connect(self._file, timeout=LOOK_S, isolation_level=None)) as connection:
            return self._judge(connection)

    def require_own(self) -> str:
        self._lake.require_storage()
        judged = self.judge()
        if judged.is_settled and not judged.moved:
            return judged.id
        superseded: list[Path] = []
        with self._transaction() as connection:  # what was judged outside may have changed, and nobody else judges now
            judged = self._judge(connection)
            if judged.moved and self._folder is not None:
                origins = ", ".join(sorted({str(table.root) for table in judged.moved}))
                paths = f"the paths in the metadata of {len(judged.moved)} tables are written again"
                self._say(f"this lake was moved from {origins} to {self._folder}: {paths}")
                superseded = relocate(connection, judged.moved, self._folder, must_be_whole=False)
                self._remember_move(connection, judged.moved)
            self._step("relocated")
            self._write(connection, judged.id, judged.created, judged.owners)
        _delete(superseded)
        return judged.id

    def adopt(self) -> str:
        with self._transaction() as connection:
            try:
                self._judge(connection)
            except Copied:
                pass
            else:
                raise BadInput("this lake is its own already: there is nothing to adopt", where=str(self._file))
            states = [(table, self._state(table)) for table in tables_of(connection)]
            self._require_listed(connection, owner_of(self._lake, self._warehouse))
            self._require_own_elsewhere(states)
            tables = [table for table, state in states if state in (LakePlace.TWIN, LakePlace.MOVED)]
            if self._folder is None:
                raise AssertionError(self._warehouse)  # nothing is a copy then
            superseded = relocate(connection, tables, self._folder, must_be_whole=True)
            self._remember_move(connection, tables)
            self._step("relocated")
            id_ = uuid.uuid4().hex
            self._write(connection, id_, now(), {self._warehouse: owner_of(self._lake, self._warehouse)})
        _delete(superseded)
        self._say(f"lake {id_}: its {len(tables)} tables now use the files in {self._folder}, and nothing else does")
        return id_

    def _require_own_elsewhere(self, states: Sequence[tuple[CatalogTable, LakePlace]]) -> None:
        """Claimed if a table's only files are in another lake's warehouse: once adopted, nothing could be written any more."""
        originals = {table.root for table, state in states if state is LakePlace.TWIN}
        for table, state in states:
            if state is not LakePlace.ELSEWHERE or table.root is None:
                continue
            owner = owner_of(self._lake, location_of(str(table.root)))
            if table.root in originals or (owner is not None and not self._is_mine(owner)):
                whose = owner or "the original"
                raise Claimed(
                    f"the copy is not whole: table {table.full_name} lies in {table.root}, the warehouse of {whose}",
                    where=str(self._file),
                    hint=f"copy {table.root / table.namespace / table.name} below {self._folder} too, then fleetlake adopt",
                )

    def _write(self, connection: sqlite3.Connection, id_: str, created: str, owners: Mapping[str, Owner | None]) -> None:
        """The warehouses first: killed in between, they name this catalog, and the next command takes the id from there."""
        ours = Owner(id_, created, str(self._file), self._machine)
        for root, before in owners.items():
            if before is None or (before.id, before.catalog) != (ours.id, ours.catalog):
                write_owner(self._lake, root, ours, replace=before is not None)
        self._step("warehouse written")
        connection.execute(RECORD)
        connection.execute("DELETE FROM fleetlake_lake")
        connection.execute("INSERT INTO fleetlake_lake VALUES (?, ?, ?)", (ours.id, ours.created, ours.catalog))
        self._step("catalog written")

    def _remember_move(self, connection: sqlite3.Connection, tables: Sequence[CatalogTable]) -> None:
        connection.execute(MOVES)
        for old in sorted({str(table.root.parent) for table in tables if table.root}):
            connection.execute("INSERT INTO fleetlake_moves VALUES (?, ?)", (old, str(self._folder and self._folder.parent)))

    def _require_one_name(self) -> None:
        """Claimed for a catalog file with hard links: what is written to one of them is in the lakes of all of them."""
        names = self._file.stat().st_nlink
        if names > 1:
            raise Claimed(
                f"the catalog is one file under {names} names (hard links, as cp -al and some backups make them):"
                " what one lake commits would be in the others too",
                where=str(self._file),
                hint="give it a file of its own while nothing writes: in its folder, cp catalog.db own.db && mv own.db catalog.db;"
                " a copied lake then needs fleetlake adopt",
            )

    def _judge(self, connection: sqlite3.Connection) -> _Judged:
        self._require_one_name()
        recorded = _recorded(connection)
        states = [(table, self._state(table)) for table in tables_of(connection)]
        roots = [location_of(str(table.root)) for table, state in states if state is LakePlace.ELSEWHERE and table.root]
        for table, state in states:
            if state is LakePlace.TWIN and not self._is_mine(owner_of(self._lake, location_of(str(table.root)))):
                raise Copied(f"this lake is a copy of the one in {table.root}", Path(str(table.root)), where=str(self._file))
        places = dict.fromkeys([self._warehouse, *sorted(roots)] if self._warehouse else sorted(roots))
        owners = {place: owner_of(self._lake, place) for place in places}
        for place, owner in owners.items():
            self._require_mine(recorded, owner, place)
        self._require_listed(connection, owners.get(self._warehouse))
        mine = recorded or next(filter(None, owners.values()), None)
        is_settled = recorded is not None and recorded.catalog == str(self._file) and all(map(self._is_mine, owners.values()))
        moved = [table for table, state in states if state is LakePlace.MOVED]
        return _Judged(mine.id if mine else uuid.uuid4().hex, mine.created if mine else now(), owners, moved, is_settled)

    def _require_listed(self, connection: sqlite3.Connection, owner: Owner | None) -> None:
        """Claimed if the warehouse has rows of tables that this catalog does not have: it is new, or older than they are."""
        require_listed_now(
            self._lake.catalog.properties,
            lambda: {table.full_name for table in tables_of(connection)},
            owner=str(owner or ""),
            where=str(self._file),
        )

    def _require_mine(self, recorded: Owner | None, owner: Owner | None, root: str) -> None:
        """Claimed if another catalog has the warehouse. recorded: what this catalog says of itself."""
        if owner is None or (self._is_mine(owner) and (recorded is None or recorded.id == owner.id)):
            return
        if recorded is None or recorded.id != owner.id:
            raise other_lake(root, owner)
        if is_same_file(Path(owner.catalog), self._file):
            raise Claimed(
                f"the lake's catalog is {owner.catalog}, and {self._file} is that same file under another path",
                where=root,
                hint=f"fleetlake --home {owner.catalog.removesuffix('/catalog.db')}, which is the path the lake is written by",
            )
        if _may_hold(Path(owner.catalog), owner.id):
            raise Claimed(
                f"this catalog is a copy of {owner.catalog}, and both use the same files",
                where=root,
                hint=f"copy the warehouse too, set lake.properties.warehouse to it, then fleetlake adopt; or delete {self._file}",
            )
        if local_path(root) is None and owner.machine != self._machine:
            raise Claimed(
                f"the warehouse belongs to this lake's catalog {owner.catalog} on {owner.machine}, which is not seen from here",
                where=root,
                hint=f"use just one of the two; if it was moved here, delete {root.rstrip('/')}/{OBJECT}",
            )

    def _is_mine(self, owner: Owner | None) -> bool:
        if owner is None:
            return False
        with suppress(OSError):
            return owner.catalog == str(self._file) or Path(owner.catalog).resolve() == self._file.resolve()
        return False

    def _state(self, table: CatalogTable) -> LakePlace:
        return table.state(self._folder) if self._folder is not None else LakePlace.ELSEWHERE

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._errors_told(), closing(sqlite3.connect(self._file, timeout=LOCK_S, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _errors_told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if "readonly" in str(error):
                raise _not_writable(self._file, error) from error
            raise Retryable(f"the catalog did not answer: {error}", where=str(self._file)) from error
        except (PermissionError, OSError) as error:
            if not isinstance(error, PermissionError) and error.errno != errno.EROFS:
                raise
            raise _not_writable(Path(error.filename or self._file), error) from error


def _delete(superseded: Sequence[Path]) -> None:
    """Old manifests may hold ids in their bounds, which an erasure would find. What can't be deleted is an orphan."""
    for path in superseded:
        with suppress(OSError):
            path.unlink()


def _recorded(connection: sqlite3.Connection) -> Owner | None:
    """What a catalog says of itself; None if it says nothing."""
    try:
        row = connection.execute("SELECT id, created, catalog FROM fleetlake_lake").fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        return None
    return Owner(str(row[0]), str(row[1]), str(row[2]), machine="") if row else None


def _may_hold(file: Path, id_: str) -> bool:
    """Whether a file is the catalog of the lake; True as well if it is there and can't be looked at."""
    try:
        if not file.is_file():
            return False
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=LOOK_S)) as connection:
            recorded = _recorded(connection)
            return recorded is not None and recorded.id == id_
    except (sqlite3.OperationalError, PermissionError):
        return True
    except sqlite3.DatabaseError:  # no SQLite file any more
        return False


def _not_writable(place: Path, error: Exception) -> BadInput:
    return BadInput(
        f"the lake's folder can't be written: {error}",
        where=str(place),
        hint="make it writable for one command: what has to be written is the id of the lake, or its paths since it was moved",
    )
