"""The catalog and its tables. The local SQLite catalog, Glue and REST differ by properties only."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.exceptions import (
    NamespaceAlreadyExistsError,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.table import Table as IcebergTable
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError

from fleetlake.contracts.iceberg import iceberg_schema, partition_spec
from fleetlake.contracts.table import Table
from fleetlake.contracts.tables import RAW, all_tables, contract_of
from fleetlake.foundation.aws_errors import aws_told
from fleetlake.foundation.errors import FleetlakeError, Missing, Permanent, Retryable
from fleetlake.foundation.private import make_private_file, make_private_folder
from fleetlake.lake.aws_properties import is_s3
from fleetlake.lake.commits import Conflict, commit_schema
from fleetlake.lake.evolution import changes_to, make_changes
from fleetlake.lake.object_store import require_listable
from fleetlake.lake.places import local_path, sqlite_path
from fleetlake.lake.snapshots import keep_times_in_order
from fleetlake.lake.storage_errors import storage_told
from fleetlake.lake.unlisted import ORIGINALS, Claimed, require_listed

# Commits are retried by commits.py and the ingest, which check again what they build on; PyIceberg's own retry does not.
TABLE_PROPERTIES = {
    "format-version": "2",
    "write.format.default": "parquet",
    "write.parquet.compression-codec": "zstd",
    "write.distribution-mode": "none",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
    "commit.retry.num-retries": "0",
}

ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class LakeSettings:
    """name: the catalog's name. properties: passed to PyIceberg as they are (type, uri, warehouse, s3.*, glue.*)."""

    name: str
    properties: Mapping[str, str] = field(default_factory=dict)


class Lake:
    """The tables of one catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        keep_times_in_order(catalog)
        self._listed: set[str] = set()

    def ensure(self, tables: Iterable[Table]) -> None:
        """Creates the tables that are absent; gives the others what their contract has gained (evolution.py).

        No row changes. Missing or BadInput, with nothing made, where the warehouse is a bucket that can't be listed; BadInput for a
        table that can't become what its contract says; Retryable if the disk is full.
        """
        with self._told("its tables"):
            for table in tables:
                if not self.has(table.name):
                    self._require_no_rows(table)
                    self._make(table)
                else:
                    self._evolve(table)

    def require_storage(self, *more: str) -> None:
        """Missing or BadInput if the warehouse's bucket is not there or can't be listed; nothing for a local warehouse.

        more: other places that are needed, of which those on S3 are asked for too.
        """
        warehouse = str(self.catalog.properties.get("warehouse", ""))
        if not is_s3(warehouse):
            return
        for place in filter(is_s3, (warehouse, *more)):
            if place not in self._listed:
                require_listable(self.catalog.properties, place)
                self._listed.add(place)

    def _make(self, table: Table) -> None:
        """The table, and its namespace if that is absent too: both or neither."""
        self.require_storage()
        is_new = False
        with suppress(NamespaceAlreadyExistsError, IntegrityError):  # another table's, or another process was first
            self.catalog.create_namespace(table.layer)
            is_new = True
        try:
            self.catalog.create_table(
                table.name,
                iceberg_schema(table),
                self._free_place(table),
                partition_spec=partition_spec(table),
                properties=TABLE_PROPERTIES | {"comment": table.description},
            )
        except TableAlreadyExistsError:
            pass
        except Exception:
            if is_new:
                with suppress(Exception):  # it may have other tables by now; the error to tell is the table's
                    self.catalog.drop_namespace(table.layer)
            raise

    def _free_place(self, table: Table) -> str | None:
        """A folder for a new table; None for the catalog's own choice, unless a table has it that was made under this name.

        A renamed table keeps its folder, and to each of two tables in one folder the other's files are orphans.
        """
        choose = getattr(self.catalog, "_resolve_table_location", None)  # a REST catalog's server chooses
        if choose is None:
            return None
        place: str = choose(None, *table.name.split("."))
        taken = set[str]()
        for name in self.names():
            if contract_of(name) is None:
                with suppress(FleetlakeError):  # the files of one that can't be read are known to nobody
                    taken.add(self.table(name).location().rstrip("/"))
        return f"{place}-{uuid.uuid4().hex[:8]}" if place in taken else None

    def _require_no_rows(self, table: Table) -> None:
        """Claimed if rows of a table of this name are in the warehouse: made over them, it would have their files for orphans."""
        listed = {name for name in ORIGINALS if name != table.name}
        try:
            require_listed(self.catalog.properties, listed, where=f"catalog {self.catalog.name}")
        except Claimed:
            if not self.has(table.name):  # else another process has made it and filled it meanwhile
                raise

    def _evolve(self, table: Table) -> None:
        """Retryable if other commits never let this one through."""
        for _ in range(ATTEMPTS):
            stored = self.table(table.name)
            changes = changes_to(stored.schema(), table)
            if not changes:
                return
            with suppress(Conflict):
                commit_schema(stored, partial(make_changes, changes=changes))
        told = ", ".join(change.column for change in changes)
        raise Retryable(f"columns can't be changed ({told}): other writers are always first", where=table.name)

    def table(self, name: str, *, again: bool = True) -> IcebergTable:
        """The table with its newest metadata. Missing if there is none of that name, Permanent if its metadata is not there.

        again: look once more for metadata that is not there.
        """
        try:
            with self._told(f"table {name}"):
                return self.catalog.load_table(name)
        except NoSuchTableError as error:
            raise Missing(
                f"there is no table {name}",
                where=f"catalog {self.catalog.name}",
                allowed=", ".join(self.names()) or "nothing yet: the lake is empty",
                hint=builder_of(name),
            ) from error
        except FileNotFoundError as error:
            if again:  # another commit may have taken the file away just then
                return self.table(name, again=False)
            raise Permanent(
                f"the metadata of table {name} is not where the catalog says: {error}",
                where=f"catalog {self.catalog.name}",
                hint="fleetlake doctor says what is wrong with the lake",
            ) from error
        except OSError as error:
            raise _no_answer(error, f"table {name}") from error

    def make_anew(self, name: str) -> IcebergTable:
        """Drops the table and makes it again, empty and with another identity: who knew the old one can't commit to it."""
        definition = next(table for table in all_tables() if table.name == name)
        with self._told(f"table {name}"):
            self.catalog.drop_table(name)
            self._make(definition)  # over the files of the old one
        return self.table(name)

    def has(self, name: str) -> bool:
        with self._told(f"table {name}"):
            return self.catalog.table_exists(name)

    def names(self) -> list[str]:
        """All tables as `namespace.table`, sorted. In Glue just those of our layers: the account's other databases are not ours."""
        with self._told("its tables"):
            if self.catalog.properties.get("type") == "glue":
                namespaces: list[tuple[str, ...]] = [(layer,) for layer in sorted({table.layer for table in (*all_tables(), *RAW)})]
            else:
                namespaces = [tuple(namespace) for namespace in self.catalog.list_namespaces()]
            return sorted(".".join(identifier) for namespace in namespaces for identifier in self._tables_of(namespace))

    def _tables_of(self, namespace: tuple[str, ...]) -> list[tuple[str, ...]]:
        try:
            return list(self.catalog.list_tables(namespace))
        except NoSuchNamespaceError:
            return []

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Retryable for a catalog that does not answer, a locked one for example; else as `storage_told` tells it."""
        where = f"catalog {self.catalog.name}, {what}"
        try:
            with storage_told(where):
                yield
        except SQLAlchemyError as error:
            raise _no_answer(error, where) from error

    def close(self) -> None:
        self.catalog.close()


def _no_answer(error: Exception, where: str) -> Retryable:
    return Retryable(f"the catalog did not answer: {error}".split("\n")[0], where=where)


def _is_locked(error: Exception) -> bool:
    """By another process, for longer than SQLite was told to wait."""
    return isinstance(error, OperationalError) and getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY


def open_lake(settings: LakeSettings, *, botocore_session: Any = None) -> Lake:
    """Opens the catalog, making a local SQLite file, its folder and its warehouse, for their owner only.

    Missing if it can't be reached, Retryable if it is locked.
    botocore_session: what Glue's client is made from; None: one with botocore's own patience.
    """
    properties: dict[str, Any] = dict(settings.properties)
    uri = properties.get("uri", "")
    if properties.get("type") == "glue":
        if botocore_session is not None:
            properties["botocore-session"] = botocore_session
        if "glue.max-retries" in properties:
            properties["glue.max-retries"] = int(properties["glue.max-retries"])  # botocore takes no text
    try:
        if file := sqlite_path(uri):
            _make_private(file, properties.get("warehouse", ""))
        with aws_told(f"catalog {settings.name}"):
            return Lake(load_catalog(settings.name, **properties))
    except (SQLAlchemyError, ValueError, OSError) as error:
        if _is_locked(error):
            raise _no_answer(error, f"catalog {settings.name}") from error
        raise Missing(
            f"the lake's catalog {settings.name} can't be opened: {error}".split("\n")[0],
            where=uri or "its configuration",
            hint="fleetlake config show, then fleetlake doctor",
        ) from error


def _make_private(catalog: Path, warehouse: str) -> None:
    """The folder and file of an SQLite catalog, and a new one's warehouse: none of what is in them is for others."""
    make_private_folder(catalog.parent)
    if catalog.exists():
        return
    make_private_file(catalog)
    if folder := local_path(warehouse):
        make_private_folder(Path(folder).absolute())


def builder_of(name: str) -> str:
    """The command that makes a table of this name, whether it is one of ours or not."""
    if name.startswith("raw."):
        return "fleetlake etl"
    return "fleetlake transform" if name.startswith(("silver.", "gold.")) else "fleetlake ingest --once"


def row_count(table: IcebergTable) -> int:
    """Rows of the current snapshot, from its summary."""
    snapshot = table.current_snapshot()
    return int(snapshot.summary["total-records"] or 0) if snapshot and snapshot.summary else 0
