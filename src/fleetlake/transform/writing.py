"""The end of a refresh, whatever the table: rows into files, and one commit with the marker."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from pyiceberg.manifest import DataFile
from pyiceberg.table import Table as IcebergTable

from fleetlake.lake.commits import Conflict, commit
from fleetlake.lake.replace import NewFile
from fleetlake.lake.scan import numbered_files
from fleetlake.transform.engine import TransformEngine
from fleetlake.transform.marker import TransformMarker


def write_and_commit(
    engine: TransformEngine,
    rows: str | None,
    table: IcebergTable,
    sort: tuple[str, ...],
    marker: TransformMarker,
    removed: Iterable[DataFile],
    *,
    carried: str | None = None,
) -> None:
    """Adds the relation `rows` (None for no rows) to `table` as it was loaded, takes files out, and sets the marker, in one commit.

    carried: a relation of rows out of the removed files that stay. Their files are as new to a reader as the newest file of that
    day that was removed, which a reader may have read or not.
    Raises Conflict if the table was changed meanwhile; the files written are taken away then.
    """
    run, gone = uuid.uuid4().hex, list(removed)
    new = engine.write(rows, table, f"transform/{run}", sort) if rows else []
    kept = engine.write(carried, table, f"carried/{run}", sort) if carried else []
    newest = _newest_of_day(table, gone) if kept else {}
    try:
        files = [NewFile(file, newest[file.partition[0]]) for file in kept]
        commit(table, added=new, removed=gone, carried=files, properties=marker.properties())
    except Conflict:
        for file in (*new, *kept):
            table.io.delete(file.file_path)
        raise


def _newest_of_day(table: IcebergTable, files: Iterable[DataFile]) -> dict[int | None, int]:
    """The highest data sequence number of the files of each day."""
    newest = dict[int | None, int]()
    sequences = {file.file_path: sequence for file, sequence in numbered_files(table)}
    for file in files:
        day = file.partition[0]
        newest[day] = max(newest.get(day, 0), sequences[file.file_path])
    return newest
