"""A warehouse that lies above or below another lake's, or holds the home: no lake is sure of its files there, so it is refused."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow.fs as pa_fs
from pyiceberg.io.pyarrow import PyArrowFileIO

from fleetlake.contracts.tables import all_tables
from fleetlake.foundation.errors import BadInput, Permanent
from fleetlake.lake.catalog import Lake
from fleetlake.lake.object_store import place_of
from fleetlake.lake.ownership import OBJECT, owner_of
from fleetlake.lake.places import TABLE_FOLDERS, local_path, location_of, sqlite_path
from fleetlake.lake.storage_errors import storage_told
from fleetlake.lake.unlisted import Claimed

LOCAL_LEVELS, S3_LEVELS = 3, 2  # namespace, table, and what is beside data and metadata, in which no lake is looked for
MOST_LOCAL, MOST_ON_S3 = 2000, 50  # folders that are looked into


def require_apart(lake: Lake, home: Path, *, is_copy: bool = False) -> None:
    """Claimed if another lake's warehouse lies above or below this lake's, in its first levels; BadInput if it holds the home.

    Nothing is written. Symbolic links are not followed downwards. On S3, where nothing moves, it is only looked for until the
    warehouse says whose it is. is_copy: what has the same id is the original's. Raises what the catalog and the storage refuse.
    """
    warehouse = str(lake.catalog.properties.get("warehouse", ""))
    if not warehouse:
        return
    folder = local_path(warehouse)
    if folder is not None:
        root = Path(os.path.realpath(folder))
        _require_not_home(root, Path(os.path.realpath(home)))
        above = [location_of(str(place)) for place in root.parents if _is_file(place / OBJECT)]
        below = [location_of(str(place)) for place in _local_folders(root) if _is_file(place / OBJECT)]
    else:
        lake.has(all_tables()[0].name)  # what the catalog refuses is told first
        lake.require_storage()
        if owner_of(lake, warehouse) is not None:
            return
        above, below = list(_above_on_s3(lake, warehouse)), list(_below_on_s3(lake, warehouse))
    for side, places in (("above", above), ("below", below)):
        for place in places:
            if is_copy or not _is_ours(lake, warehouse, place):
                raise Claimed(
                    f"the warehouse of another lake lies {side} this lake's: {place}",
                    where=warehouse,
                    hint=f"move one of the two; or delete {place.rstrip('/')}/{OBJECT} if no lake is there any more",
                )


def _require_not_home(warehouse: Path, home: Path) -> None:
    if warehouse == home or warehouse in home.parents:
        raise BadInput(
            f"the warehouse holds the home {home}, where Kafka's logs and others' files are",
            where="lake.properties.warehouse",
            allowed="a folder of its own, which may be in the home",
            hint=f"move the tables' folders (bronze, silver, gold, raw) and {OBJECT} to {home / 'warehouse'}, and set it to that",
        )


def _local_folders(root: Path) -> Iterator[Path]:
    """Yield the folders of the first levels below, the nearest first."""
    level, looked_into = [root], 0
    for _ in range(LOCAL_LEVELS):
        following = list[Path]()
        for folder in level:
            looked_into += 1
            if looked_into > MOST_LOCAL:
                return
            with suppress(OSError), os.scandir(folder) as entries:
                following += [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
        level = [folder for folder in following if folder.name not in TABLE_FOLDERS]
        yield from level


def _is_file(path: Path) -> bool:
    with suppress(OSError):
        return path.is_file()
    return False  # in a folder that is closed to us


def _above_on_s3(lake: Lake, warehouse: str) -> Iterator[str]:
    """Prefixes that hold the warehouse's and say whose they are, and that may be looked at."""
    filesystem, place = place_of(PyArrowFileIO(dict(lake.catalog.properties)), warehouse)
    parts = place.strip("/").split("/")
    for length in range(len(parts) - 1, 0, -1):
        prefix = "/".join(parts[:length])
        with _let_in(warehouse):
            if filesystem.get_file_info(f"{prefix}/{OBJECT}").type == pa_fs.FileType.File:
                yield f"s3://{prefix}"


def _below_on_s3(lake: Lake, warehouse: str) -> Iterator[str]:
    filesystem, place = place_of(PyArrowFileIO(dict(lake.catalog.properties)), warehouse)
    level, looked_into = [place.strip("/")], 0
    for depth in range(S3_LEVELS + 1):
        following = list[str]()
        for prefix in level:
            looked_into += 1
            if looked_into > MOST_ON_S3:
                return
            with _let_in(warehouse):
                for info in filesystem.get_file_info(pa_fs.FileSelector(prefix, allow_not_found=True)):
                    if depth and info.type == pa_fs.FileType.File and info.base_name == OBJECT:
                        yield f"s3://{prefix}"
                    if info.type == pa_fs.FileType.Directory and info.base_name not in TABLE_FOLDERS:
                        following.append(info.path)
        level = following


@contextmanager
def _let_in(warehouse: str) -> Iterator[None]:
    """Passes over what these credentials may not look at: another's prefix may be closed to them."""
    try:
        with storage_told(warehouse):
            yield
    except BadInput:
        pass


def _is_ours(lake: Lake, warehouse: str, place: str) -> bool:
    """Whether the other place is this lake's too, as its warehouse was set to another folder once."""
    try:
        own, other = owner_of(lake, warehouse), owner_of(lake, place)
    except (Permanent, OSError):  # it can't be read: another user's, say
        return False
    file = sqlite_path(str(lake.catalog.properties.get("uri", "")))
    if other is None:  # taken away just now
        return True
    if own is not None:
        return other.id == own.id
    return file is not None and other.catalog == str(file.absolute())
