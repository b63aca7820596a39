"""Rows in a warehouse that its catalog does not know of: what a lost `catalog.db`, or an older one, leaves behind.

A catalog that is not there is made again, empty, and to an empty catalog the files of a full warehouse are orphans. So a table that
holds what can't be computed from others (bronze, raw) is never made over the rows of one of the same name; nothing is decided by
what the catalog remembers of itself, since it may be new.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import pyarrow.fs as pa_fs
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.table import Table as IcebergTable

from fleetlake.contracts.tables import ERASED, RAW, all_tables
from fleetlake.foundation.errors import BadInput, Permanent
from fleetlake.lake.object_store import place_of

# Others are made of these.
ORIGINALS = tuple(table.name for table in (*all_tables(), ERASED, *RAW) if table.layer in ("bronze", "raw"))
ENDINGS = ("", ".db")  # of a namespace's folder, the second one in Glue's databases
METADATA = re.compile(r"(\d+)-.*\.metadata\.json")  # the name of a file
RESTORE = (
    "bring the catalog back from a backup; or give this home another warehouse, or the command another home (--home DIR);"
    " or, if these rows are not wanted any more, move the folders of the tables away"
)


class Claimed(BadInput):
    """The warehouse, or the files that the catalog names, belong to another catalog."""


def require_listed(properties: Mapping[str, Any], listed: Collection[str], *, owner: str = "", where: str) -> None:
    """Claimed if the warehouse holds rows of a bronze or raw table that is not among `listed`, the tables of the catalog.

    owner: what the warehouse says of whose it is.
    """
    warehouse = str(properties.get("warehouse", "")).rstrip("/")
    absent = [name for name in ORIGINALS if name not in listed] if warehouse else []
    lost = [name for name, folder in _folders_of(properties, warehouse, absent) if has_rows(properties, folder)]
    if lost:
        of_lake = f" ({owner})" if owner else ""
        raise Claimed(
            f"the warehouse {warehouse} holds rows of {', '.join(lost)}{of_lake} that this catalog does not know:"
            " it is missing, or is not the newest one of the warehouse",
            where=where,
            hint=RESTORE,
        )


def require_listed_now(properties: Mapping[str, Any], names: Callable[[], Collection[str]], *, owner: str, where: str) -> None:
    """Claimed as `require_listed`; the catalog is asked again first: another process may have made and filled a table meanwhile."""
    try:
        require_listed(properties, names(), owner=owner, where=where)
    except Claimed:
        require_listed(properties, names(), owner=owner, where=where)


def _folders_of(properties: Mapping[str, Any], warehouse: str, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Name and folder of those tables that have one. They are looked for in one call, since on S3 each look takes its time."""
    if not names:
        return
    folders = [(name, f"{warehouse}/{name.replace('.', f'{ending}/')}") for name in names for ending in ENDINGS]
    io = PyArrowFileIO(dict(properties))
    places = [place_of(io, folder) for _, folder in folders]
    for found, info in zip(folders, places[0][0].get_file_info([place for _, place in places]), strict=True):
        if info.type == pa_fs.FileType.Directory:
            yield found


def has_rows(properties: Mapping[str, Any], folder: str) -> bool:
    """Whether a table's folder holds metadata of a table with rows; True as well where the metadata can't be read."""
    newest = max(_metadata_files(PyArrowFileIO(dict(properties)), folder), default=None)
    if newest is None:
        return False
    try:
        metadata = _read(PyArrowFileIO(dict(properties)), folder, newest[1])
        current = metadata.get("current-snapshot-id")
        summaries = [one.get("summary", {}) for one in metadata.get("snapshots", ()) if one["snapshot-id"] == current]
        return any(str(summary.get("total-records", "unknown")) != "0" for summary in summaries)
    except (ValueError, KeyError, TypeError, AttributeError, FileNotFoundError):
        return True


def require_newest(load: Callable[[str], IcebergTable], name: str) -> None:
    """Permanent if the table's folder holds metadata that is newer than what the catalog names: an older catalog was brought back.

    A commit that was cut off leaves metadata with the number after the current one, never a later number. load: loads a table; it
    is called again after its folder was listed, so that commits meanwhile are no surprise.
    """
    table = load(name)
    listed = sorted(_metadata_files(table.io, table.location()), reverse=True)
    table = load(name)
    current = METADATA.fullmatch(table.metadata_location.rpartition("/")[2])
    if current is None:
        return
    for number, file in listed:
        if number <= int(current[1]) + 1:
            return
        if _uuid_of(table, file) == str(table.metadata.table_uuid):  # else of a table that was there before
            raise Permanent(
                f"the catalog is older than the warehouse: it has version {int(current[1])} of table {name},"
                f" and there is metadata of version {number}, whose files would be taken for orphans",
                where=f"{table.location()}/metadata/{file}",
                hint="bring the newest catalog back; or, if this older state is right, move the newer metadata files away",
            )


def _uuid_of(table: IcebergTable, file: str) -> str:
    try:
        return str(_read(table.io, table.location(), file).get("table-uuid"))
    except FileNotFoundError:  # an expiry took it away meanwhile
        return ""
    except (ValueError, AttributeError):
        return str(table.metadata.table_uuid)


def _metadata_files(io: Any, folder: str) -> Iterator[tuple[int, str]]:
    """Number and name of each metadata file of a table."""
    filesystem, place = place_of(io, f"{folder.rstrip('/')}/metadata")
    for info in filesystem.get_file_info(pa_fs.FileSelector(place, allow_not_found=True)):
        if found := METADATA.fullmatch(info.base_name):
            yield int(found[1]), info.base_name


def _read(io: Any, folder: str, file: str) -> Any:
    filesystem, place = place_of(io, f"{folder.rstrip('/')}/metadata")
    with filesystem.open_input_stream(f"{place}/{file}", compression=None) as stream:
        content = stream.read()
    return json.loads(gzip.decompress(content) if file.endswith(".gz.metadata.json") else content)
