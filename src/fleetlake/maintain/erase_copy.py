"""Where the copy of a file goes that an erasure makes, which partition it is in, and whether a table may have it at all."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from urllib.parse import unquote_plus

from pyiceberg.manifest import DataFile
from pyiceberg.schema import index_by_id
from pyiceberg.table import Table as IcebergTable
from pyiceberg.transforms import IdentityTransform
from pyiceberg.typedef import Record

from fleetlake.contracts.tables import contract_of
from fleetlake.foundation.errors import BadInput
from fleetlake.lake.partitions import Partition
from fleetlake.lake.snapshots import FORMAT_VERSION
from fleetlake.maintain.erase_name import DeviceName


def require_rewritable(table: IcebergTable) -> None:
    """BadInput if files of the table are not to be deleted, or if its metadata is not of the version that is written here."""
    where = ".".join(table.name())
    if contract_of(where) is None and table.properties.get("gc.enabled", "true").lower() == "false":
        raise BadInput("its files are not to be deleted: gc.enabled is false", where=where)
    if table.format_version != FORMAT_VERSION:
        raise BadInput(f"the table is of Iceberg's format version {table.format_version}", where=where, allowed=str(FORMAT_VERSION))


def place_of_copy(table: IcebergTable, file: DataFile, device: DeviceName) -> str:
    """Returns a place beside the file, or one in `data` if that is called after the device, as `device_id=veh-9` by other tools."""
    folder, _, name = file.file_path.rpartition("/")
    if device.id in unquote_plus(file.file_path.removeprefix(table.location())):
        folder, name = f"{table.location()}/data", f"{uuid.uuid4().hex}.parquet"
    return f"{folder}/erased-{uuid.uuid4().hex}-{name[-40:]}"


def partition_without(table: IcebergTable, file: DataFile, device: DeviceName, masked: Collection[str]) -> Partition:
    """Returns the partition of a file whose columns `masked` were changed: that of before, with a text in it masked as in the rows.

    BadInput where it is made of such a column in a way that does not tell the partition of each changed row.
    """
    values = list(file.partition._data)
    for at, field_ in enumerate(table.specs()[file.spec_id].fields):
        source = index_by_id(table.schema()).get(field_.source_id)
        if source is None or source.name not in masked or values[at] is None:
            continue
        if not isinstance(field_.transform, IdentityTransform) or not isinstance(values[at], str):
            raise BadInput(
                f"texts of other devices name it in column {source.name}, by which the table is partitioned",
                where=".".join(table.name()),
                allowed=f"a partition spec without {field_.transform}({source.name})",
                hint="partition the table otherwise and rewrite its files, with the tool that made it; then the same again",
            )
        values[at] = device.mask_text(values[at], device.word)
    return Partition(file.spec_id, Record(*values))
