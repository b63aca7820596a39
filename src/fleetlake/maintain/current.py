"""Reading a table while others may move it on and delete the files of what it was."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from pyiceberg.table import Table as IcebergTable

from fleetlake.foundation.errors import Retryable
from fleetlake.lake.catalog import Lake
from fleetlake.lake.commits import Conflict, conflict_if_moved
from fleetlake.lake.scan import Damaged

ATTEMPTS = 30
T = TypeVar("T")


def read_current(lake: Lake, name: str, read: Callable[[IcebergTable], T]) -> T:
    """Returns what `read` makes of the table as it is now; loads it again if files it needs were expired meanwhile.

    Damaged if a file is missing though the table did not move; Retryable if it moves all the time.
    """
    for _ in range(ATTEMPTS):
        table = lake.table(name)
        try:
            with suppress(Conflict), conflict_if_moved(table):
                return read(table)
        except FileNotFoundError as error:
            path = str(error.filename or error)
            raise Damaged(path, name, "data" if ".parquet" in path else "metadata") from error
    raise Retryable(f"the table was changed {ATTEMPTS} times while it was read", where=name, hint="the same again")
