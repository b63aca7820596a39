"""The catalog and its tables. The local SQLite catalog, Glue and REST differ by properties only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlparse

from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.exceptions import CommitFailedException, NamespaceAlreadyExistsError, NoSuchTableError, TableAlreadyExistsError
from pyiceberg.table import Table as IcebergTable
from sqlalchemy.exc import SQLAlchemyError

from fleetlake.contracts.iceberg import ICEBERG_TYPES, iceberg_schema, partition_spec
from fleetlake.contracts.tables import Table, all_tables
from fleetlake.foundation.errors import Missing, Retryable

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

    def ensure(self, tables: Iterable[Table]) -> None:
        """Creates the tables that are absent, and adds columns that are absent to those that are computed from others."""
        for table in tables:
            if self.has(table.name):
                if table.reads:
                    self._add_columns(table)
                continue
            with suppress(NamespaceAlreadyExistsError):  # another table's, or another process was first
                self.catalog.create_namespace(table.layer)
            with suppress(TableAlreadyExistsError):
                self.catalog.create_table(
                    table.name,
                    iceberg_schema(table),
                    partition_spec=partition_spec(table),
                    properties=TABLE_PROPERTIES | {"comment": table.description},
                )

    def _add_columns(self, table: Table) -> None:
        """As optional ones: rows of before have none. Retryable if other commits never let this one through."""
        for _ in range(ATTEMPTS):
            stored = self.table(table.name)
            absent = [column for column in table.columns if column.name not in stored.schema().column_names]
            if not absent:
                return
            with suppress(CommitFailedException), stored.update_schema() as update:
                for column in absent:
                    update.add_column(column.name, ICEBERG_TYPES[column.type], doc=column.comment)
        raise Retryable(
            f"{', '.join(column.name for column in absent)} can't be added: other writers are always first", where=table.name
        )

    def table(self, name: str) -> IcebergTable:
        """The table with its newest metadata. Missing if there is none of that name."""
        try:
            return self.catalog.load_table(name)
        except NoSuchTableError as error:
            raise Missing(
                f"there is no table {name}",
                where=f"catalog {self.catalog.name}",
                allowed=", ".join(self.names()) or "nothing yet: the lake is empty",
                hint=builder_of(name),
            ) from error
        except (SQLAlchemyError, OSError) as error:
            raise Retryable(f"the catalog did not answer: {error}".split("\n")[0], where=f"table {name}") from error

    def make_anew(self, name: str) -> IcebergTable:
        """Drops the table and makes it again, empty and with another identity: who knew the old one can't commit to it."""
        definition = next(table for table in all_tables() if table.name == name)
        self.catalog.drop_table(name)
        self.ensure([definition])
        return self.table(name)

    def has(self, name: str) -> bool:
        return self.catalog.table_exists(name)

    def names(self) -> list[str]:
        """All tables as `namespace.table`, sorted."""
        namespaces = self.catalog.list_namespaces()
        return sorted(".".join(identifier) for namespace in namespaces for identifier in self.catalog.list_tables(namespace))

    def close(self) -> None:
        self.catalog.close()


def open_lake(settings: LakeSettings) -> Lake:
    """Opens the catalog, making the folder of a local SQLite file. Missing if the catalog can't be reached."""
    properties = dict(settings.properties)
    uri = properties.get("uri", "")
    try:
        if uri.startswith("sqlite:///"):
            Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        return Lake(load_catalog(settings.name, **properties))
    except (SQLAlchemyError, ValueError, OSError) as error:
        raise Missing(
            f"the lake's catalog {settings.name} can't be opened: {error}".split("\n")[0],
            where=uri or "its configuration",
            hint="fleetlake config show, then fleetlake doctor",
        ) from error


def builder_of(name: str) -> str:
    """The command that makes a table of this name, whether it is one of ours or not."""
    if name.startswith("raw."):
        return "fleetlake etl"
    return "fleetlake transform" if name.startswith(("silver.", "gold.")) else "fleetlake ingest --once"


def row_count(table: IcebergTable) -> int:
    """Rows of the current snapshot, from its summary."""
    snapshot = table.current_snapshot()
    return int(snapshot.summary["total-records"] or 0) if snapshot and snapshot.summary else 0


def local_path(location: str) -> str | None:
    """The path of a file:// location or plain path; None for a location in an object store."""
    parsed = urlparse(location)
    if parsed.scheme in ("", "file"):
        return unquote(parsed.path) if parsed.scheme else location
    return None
