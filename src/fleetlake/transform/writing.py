"""The end of a refresh, whatever the table: rows into files, and one commit with the marker."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from pyiceberg.manifest import DataFile
from pyiceberg.table import Table as IcebergTable

from fleetlake.lake.commits import Conflict, commit
from fleetlake.transform.engine import Engine
from fleetlake.transform.marker import Marker


def write_and_commit(
    engine: Engine, rows: str | None, table: IcebergTable, sort: tuple[str, ...], marker: Marker, removed: Iterable[DataFile]
) -> None:
    """Adds the relation `rows` (None for no rows) to `table` as it was loaded, takes files out, and sets the marker, in one commit.

    Raises Conflict if the table was changed meanwhile; the files written are taken away then.
    """
    written = engine.write(rows, table, f"transform/{uuid.uuid4().hex}", sort) if rows else []
    try:
        commit(table, added=written, removed=removed, properties=marker.properties())
    except Conflict:
        for file in written:
            table.io.delete(file.file_path)
        raise
