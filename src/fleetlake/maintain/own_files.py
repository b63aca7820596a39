"""Which files are a table's own: the only ones that are ever deleted because no table knows them.

Below a warehouse there may be more: what a symbolic link leads to, another lake, what somebody put there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from fleetlake.lake.ownership import OBJECT
from fleetlake.lake.places import TABLE_FOLDERS, local_path

S3_SCHEMES = re.compile(r"s3[an]?://")  # of the same place


def plain(location: str) -> str:
    """Returns a location as it is compared: a local one as its path, one on S3 with `s3://`."""
    local = local_path(location)
    return S3_SCHEMES.sub("s3://", location, count=1) if local is None else local


class OwnFiles:
    """The files in `data` and `metadata` of tables, reached without a symbolic link below the table's location.

    locations: of the tables. seen: paths that were found; where one says whose a warehouse is, what lies beside and below it is
    another lake's. Paths are as `plain` makes them.
    """

    def __init__(self, locations: Iterable[str], seen: Iterable[str]) -> None:
        self._locations = [plain(location).rstrip("/") for location in locations]
        self._real_folders: dict[str, str] = {}
        self._others = tuple(path.removesuffix(OBJECT) for path in seen if path.endswith(f"/{OBJECT}"))

    def has(self, path: str) -> bool:
        return any(
            path.startswith(tuple(f"{location}/{folder}/" for folder in TABLE_FOLDERS))
            and not any(other.startswith(f"{location}/") and path.startswith(other) for other in self._others)
            and (local_path(location) is None or self._real(path) == f"{self._real_folder(location)}{path.removeprefix(location)}")
            for location in self._locations
        )

    def _real(self, path: str) -> str:
        folder, _, name = path.rpartition("/")
        real = Path(self._real_folder(folder), name)
        return os.path.realpath(real) if real.is_symlink() else str(real)

    def _real_folder(self, folder: str) -> str:
        if folder not in self._real_folders:
            self._real_folders[folder] = os.path.realpath(folder)
        return self._real_folders[folder]
