"""A DuckDB in which the lake's tables can be read and nothing else can be done."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import duckdb
import pyarrow as pa
from pyiceberg.table import Table as IcebergTable

from fleetlake.contracts.tables import all_tables
from fleetlake.foundation.errors import BadInput, FleetlakeError, Permanent
from fleetlake.lake.catalog import builder_of
from fleetlake.lake.memory_database import Settings as Limits
from fleetlake.lake.memory_database import memory_database
from fleetlake.lake.places import local_path, pattern_of
from fleetlake.lake.scan import damage_named, quote

NO_TABLE = re.compile('Table with name "?([^" ]+)"? does not exist')


@contextmanager
def reading_session(
    expose: Callable[[duckdb.DuckDBPyConnection], Iterable[IcebergTable]], *, memory_limit: str = "1GB", threads: int = 0
) -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory database in UTC, closed against everything but the views that `expose` makes; it returns the tables they read.

    Views read the tables' Parquet files when they are asked, so DuckDB has to reach these files: external access goes off except
    for the folders of the tables. With that, COPY, ATTACH, INSTALL, read_csv and their like reach no other file and no network;
    variables of this process are not tables; and no SET can undo it. threads: 0 for as many as there are cores.
    """
    limits: Limits = {"memory_limit": memory_limit, **({"threads": threads} if threads else {})}
    with memory_database("query", {**limits, "autoload_known_extensions": False}) as con:
        places = [f"{place.rstrip('/')}/" for table in expose(con) if (place := local_path(table.location()))]
        folders = ", ".join(quote(folder) for place in places for folder in dict.fromkeys((place, pattern_of(place))))
        con.execute(f"SET allowed_directories = [{folders}]")
        con.execute("SET enable_external_access = false")
        con.execute("SET python_enable_replacements = false")
        con.execute("SET lock_configuration = true")
        yield con


def fetch(
    con: duckdb.DuckDBPyConnection, sql: str, *, tables: Sequence[str] = (), parameters: Mapping[str, object] | None = None
) -> pa.Table:
    """All rows of a SELECT. What DuckDB refuses is raised as BadInput; tables: what is named if a table is unknown."""
    try:
        with damage_named(con):
            return con.sql(sql, params=dict(parameters) if parameters else None).to_arrow_table()
    except duckdb.Error as error:
        raise explain(error, tables) from error


def explain(error: duckdb.Error, tables: Sequence[str] = ()) -> FleetlakeError:
    """A DuckDB error in one line of our own kind."""
    if isinstance(error, duckdb.CatalogException) and (found := NO_TABLE.search(str(error))):
        return no_table(found[1], tables)
    said = " ".join(str(error).split("\n\nLINE")[0].split())
    if isinstance(error, duckdb.OutOfMemoryException):
        return Permanent(
            "the query needs more memory than it may have", where=said, hint="read fewer columns or a shorter time, or aggregate"
        )
    if isinstance(error, (duckdb.IOException, duckdb.InternalException)):
        return Permanent(f"the lake could not be read: {said}", hint="run it again; a file may have been replaced meanwhile")
    return BadInput(f"the query was not accepted: {said}")


def no_table(name: str, tables: Sequence[str]) -> BadInput:
    """The error for a table there is none of, with the full name that may have been meant."""
    bare = name.rpartition(".")[2].lower()
    meant = [table for table in tables if "." not in name and table.rpartition(".")[2] == bare]
    ours = any(table.name == name for table in all_tables())
    return BadInput(
        f"there is no table {name}",
        allowed=", ".join(tables),
        hint=" or ".join(meant) if meant else builder_of(name) if ours else "",
    )
