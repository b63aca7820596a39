"""DuckDB in memory: the only place that opens it, so that no spill of its is where nobody looks for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from fleetlake.foundation.errors import Permanent
from fleetlake.runtime.spill import spill_folder

HINTS = {
    "compaction": "more memory for it, fleetlake maintain compact --memory MB; nothing was changed by what failed",
    "transform": "fleetlake transform --engine spark, whose memory is a setting",
}

Settings = dict[str, str | bool | int | float | list[str]]


class OutOfMemory(Permanent):
    """DuckDB would have to hold more at once than it may, and can't spill it: very large rows, for the most part."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether DuckDB ran out of the memory it may have. Where its rows are taken as Arrow's, that is an OSError."""
    return isinstance(error, duckdb.OutOfMemoryException) or str(error).startswith("Out of Memory Error")


@contextmanager
def memory_database(command: str, settings: Settings | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """Opens a database in UTC that spills what exceeds its memory to a folder of its own below the home. command: named by it.

    What runs out of its memory is raised as OutOfMemory, whatever the statement was.
    """
    try:
        with (
            spill_folder(command) as folder,
            duckdb.connect(config={"temp_directory": str(folder), **NO_DOWNLOADS, **(settings or {})}) as con,
        ):
            _prepare(con)
            yield con
    except (duckdb.Error, OSError, pa.ArrowException) as error:
        if not is_out_of_memory(error):
            raise
        said = " ".join(str(error).split("Possible solutions")[0].split())
        advice = HINTS.get(command, "run it where there is more memory")
        raise OutOfMemory(f"{command} needs more memory than it may have", where=said, hint=advice) from error


def small_database(settings: Settings | None = None) -> duckdb.DuckDBPyConnection:
    """Opens a database in UTC, for what is in memory already, that never writes to a disk. To be closed by the caller."""
    con = duckdb.connect(config={"temp_directory": "", **NO_DOWNLOADS, **(settings or {})})
    _prepare(con)
    return con


def _prepare(con: duckdb.DuckDBPyConnection) -> None:
    """Sets the time zone, and keeps DuckDB's own progress bar out of a command's output."""
    con.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")


NO_DOWNLOADS: Settings = {"autoinstall_known_extensions": False}
