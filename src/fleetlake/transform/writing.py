"""The end of a refresh, whatever the table: rows into files, and one commit with the marker."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from pyiceberg.manifest import DataFile
from pyiceberg.table import Table as IcebergTable

from fleetlake.lake.commits import Conflict, commit
from fleetlake.transform.engine import Engine
from fleetlake.transform.marker import Marker

CARRIED = "carried"  # folder of rows that stay as they were, though the file they were in is replaced


def write_and_commit(
    engine: Engine,
    rows: str | None,
    table: IcebergTable,
    sort: tuple[str, ...],
    marker: Marker,
    removed: Iterable[DataFile],
    *,
    carried: str | None = None,
) -> None:
    """Adds the relation `rows` (None for no rows) to `table` as it was loaded, takes files out, and sets the marker, in one commit.

    carried: a relation of rows out of the removed files that stay; they get files of their own, which is_carried knows.
    Raises Conflict if the table was changed meanwhile; the files written are taken away then.
    """
    run = uuid.uuid4().hex
    written = engine.write(rows, table, f"transform/{run}", sort) if rows else []
    written += engine.write(carried, table, f"{CARRIED}/{run}", sort) if carried else []
    try:
        commit(table, added=written, removed=removed, properties=marker.properties())
    except Conflict:
        for file in written:
            table.io.delete(file.file_path)
        raise


def is_carried(file: DataFile) -> bool:
    """Whether a file holds no row that is new or different."""
    return f"/data/{CARRIED}/" in file.file_path
