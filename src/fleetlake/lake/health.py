"""What is wrong with a lake, found by opening its files: moved, copied, another's, damaged."""

from __future__ import annotations

import re

from pyiceberg.table import Table as IcebergTable

from fleetlake.foundation.errors import FleetlakeError, Permanent
from fleetlake.lake.catalog import Lake
from fleetlake.lake.identity import state_of
from fleetlake.lake.scan import Damaged
from fleetlake.lake.unlisted import require_newest

IN_QUOTES = re.compile(r"'(.+)'")


def examine_lake(lake: Lake) -> str:
    """Says of a healthy lake how many tables it has, and whose it is. Changes nothing.

    Claimed for a copy, for a warehouse of another lake and for a catalog that lacks tables whose rows are there; Permanent for a
    lake that was moved and has not been used since, and for a catalog older than its warehouse; Damaged, naming the file, if a
    table's metadata, a manifest or the newest data file is not there.
    """
    state = state_of(lake)
    if state.moved_from:
        raise Permanent(
            f"moved here from {state.moved_from}; not used since",
            hint="the next command writes the paths in its metadata again: fleetlake snapshots bronze.gps",
        )
    names = lake.names()
    for name in names:
        open_files(lake, name)
        require_newest(lake.table, name)
    return f"{len(names)} tables, {state.id or 'no id yet: the next command that writes gives it one'}"


def open_files(lake: Lake, name: str) -> None:
    """Opens the table's metadata, its current manifest list, all manifests of that, and one data file."""
    try:
        table = lake.table(name)
    except FileNotFoundError as error:
        raise Damaged(_path_in(error), name, "metadata") from error
    except FleetlakeError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise Damaged(_path_in(error.__cause__), name, "metadata") from error
        raise
    _open_data(table, name)


def _open_data(table: IcebergTable, name: str) -> None:
    snapshot = table.current_snapshot()
    if snapshot is None:
        return
    kind = "metadata"
    try:
        entries = [entry for manifest in snapshot.manifests(table.io) for entry in manifest.fetch_manifest_entry(table.io)]
        kind = "data"
        for entry in entries[:1]:
            with table.io.new_input(entry.data_file.file_path).open() as stream:
                stream.seek(-4, 2)
                if stream.read() != b"PAR1":
                    raise Damaged(entry.data_file.file_path, name)
    except FileNotFoundError as error:
        raise Damaged(_path_in(error), name, kind) from error


def _path_in(error: FileNotFoundError) -> str:
    """The file that was looked for; Arrow says it in its message only."""
    found = IN_QUOTES.search(str(error))
    return str(error.filename or (found[1] if found else error))
