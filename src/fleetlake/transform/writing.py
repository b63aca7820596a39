"""The end of a refresh, whatever the table: rows into files, and one commit with the marker."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from contextlib import suppress

from pyiceberg.manifest import DataFile
from pyiceberg.table import Table as IcebergTable

from fleetlake.lake.commits import Conflict, commit
from fleetlake.lake.partitions import is_by_day
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

    carried: a relation of rows out of the removed files that stay. Their files are as new to a reader as the newest file that was
    removed and had rows of that day, which a reader may have read or not.
    Raises Conflict if the table was changed meanwhile; the files written are taken away then.
    """
    run, gone = uuid.uuid4().hex, list(removed)
    new = engine.write(rows, table, f"transform/{run}", sort) if rows else []
    kept = engine.write(carried, table, f"carried/{run}", sort) if carried else []
    numbered = _numbered(table, gone) if kept else []
    try:
        files = [NewFile(file, _newest_like(table, file, numbered)) for file in kept]
        commit(table, added=new, removed=gone, carried=files, properties=marker.properties())
    except Conflict:
        for file in (*new, *kept):
            with suppress(OSError):  # one may be gone already, taken for an unused one
                table.io.delete(file.file_path)
        raise


def _numbered(table: IcebergTable, files: Iterable[DataFile]) -> list[tuple[DataFile, int]]:
    """Each of the files with its data sequence number."""
    sequences = {file.file_path: sequence for file, sequence in numbered_files(table)}
    return [(file, sequences[file.file_path]) for file in files]


def _newest_like(table: IcebergTable, kept: DataFile, numbered: Iterable[tuple[DataFile, int]]) -> int:
    """The highest sequence number of files with rows of one file's day; one of another partition spec may have some of any."""
    return max(sequence for file, sequence in numbered if not is_by_day(table, file) or file.partition[0] == kept.partition[0])
