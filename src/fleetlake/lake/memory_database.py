"""DuckDB in memory: the only place that opens it, so that no spill of its is where nobody looks for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from fleetlake.runtime.spill import spill_folder

Settings = dict[str, str | bool | int | float | list[str]]


@contextmanager
def memory_database(command: str, settings: Settings | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """Opens a database in UTC that spills what exceeds its memory to a folder of its own below the home. command: named by it."""
    with (
        spill_folder(command) as folder,
        duckdb.connect(config={"temp_directory": str(folder), **NO_DOWNLOADS, **(settings or {})}) as con,
    ):
        _prepare(con)
        yield con


def small_database(settings: Settings | None = None) -> duckdb.DuckDBPyConnection:
    """Opens a database in UTC, for what is in memory already, that never writes to a disk. To be closed by the caller."""
    con = duckdb.connect(config={"temp_directory": "", **NO_DOWNLOADS, **(settings or {})})
    _prepare(con)
    return con


def _prepare(con: duckdb.DuckDBPyConnection) -> None:
    """Sets the time zone, and keeps DuckDB's own progress bar out of a command's output."""
    con.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")


NO_DOWNLOADS: Settings = {"autoinstall_known_extensions": False}
