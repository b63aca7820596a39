"""Folders of this machine as the lake's libraries want them named, and back: the one place where a path becomes a location.

PyIceberg, Hadoop and SQLAlchemy read the same characters differently. PyIceberg splits a `file://` location at `#` and `?` and
decodes nothing; Hadoop and Spark's writers take all of it as it is; SQLAlchemy ends the name of an SQLite file at `?` and decodes
`%20`; DuckDB takes `*`, `?` and `[` for a pattern, and a folder called `a=b` for a column. PyIceberg and Hadoop read a path without
a scheme literally, so that is how a folder is named whose `file://` form would not come back whole.
"""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from urllib.parse import urlparse

from fleetlake.foundation.errors import BadInput

TABLE_FOLDERS = ("data", "metadata")  # all that Iceberg's writers make in a table's; beside them may be another table's
FILE, SQLITE = "file:", "sqlite:///"
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # also what the file system gave us that is not UTF-8
# Hadoop's patterns, lists in Spark's settings, URIs that Spark makes of paths, the end of an SQLite file's name for its driver.
NOT_FOR_SPARK = frozenset("#?%{}[]*\\,;")
PATTERN = re.compile(r"[*?\[]")
ESCAPED = re.compile(r"\[([*?\[])\]")


def location_of(path: Path | str) -> str:
    """The Iceberg location of an absolute path: `file://PATH` if that is read as the same path everywhere, else the path itself."""
    located = f"file://{path}"
    return located if urlparse(located).path == str(path) else str(path)


def local_path(location: str) -> str | None:
    """The path of a file: location or of a plain path, nothing decoded; None for a location in an object store."""
    if location.startswith(FILE):
        rest = location.removeprefix(FILE)
        return "/" + rest[2:].partition("/")[2] if rest.startswith("//") else rest
    return None if SCHEME.match(location) else location


def is_same_file(first: Path, second: Path) -> bool:
    """Whether both paths lead to one file or folder; False if one leads nowhere."""
    try:
        return first.samefile(second)
    except OSError:
        return False


def sqlite_uri(path: Path | str) -> str:
    """What SQLAlchemy opens the SQLite file of an absolute path by."""
    return SQLITE + str(path).replace("%", "%25").replace("?", "%3F")


def sqlite_path(uri: str) -> Path | None:
    """The SQLite file that SQLAlchemy opens by this URI; None for another database, and for one in memory."""
    if not uri.startswith(SQLITE):
        return None
    from sqlalchemy.engine import make_url

    name = make_url(uri).database
    return Path(name) if name and name != ":memory:" else None


def pattern_of(path: str) -> str:
    """The pattern that DuckDB finds just this file by."""
    return PATTERN.sub(r"[\g<0>]", path)


def path_of_pattern(pattern: str) -> str:
    """The path that `pattern_of` made a pattern of."""
    return ESCAPED.sub(r"\1", pattern)


def require_writable(place: Path) -> None:
    """BadInput if a part of a lake, or the folder that it would be made in, can't be written by us: better now than half-way."""
    there = next((one for one in (place, *place.parents) if os.access(one, os.F_OK)), Path("/"))
    if os.access(there, os.W_OK):
        return
    reason = errno.EROFS if os.statvfs(there).f_flag & os.ST_RDONLY else errno.EACCES
    raise BadInput(
        f"the lake can't be written: {os.strerror(reason)}",
        where=str(there),
        hint="make it writable, or another one: fleetlake --home DIR",
    )


def require_usable(path: Path, where: str) -> None:
    """BadInput for a folder whose name no configuration file, log or catalog could carry: control characters, not UTF-8."""
    if CONTROL.search(str(path)):
        raise BadInput(
            f"a folder whose name has a line break, another control character or is not UTF-8: {str(path)!r}",
            where=where,
            allowed="any other name",
            hint="rename the folder, or fleetlake --home DIR",
        )


def require_usable_by_spark(path: str, where: str) -> None:
    """BadInput for a folder that Spark would take for a pattern, a list or another folder."""
    if found := sorted(NOT_FOR_SPARK & set(path)):
        raise BadInput(
            f"Spark can't use a folder with {' '.join(found)} in its name: {path}",
            where=where,
            allowed=f"names without {' '.join(sorted(NOT_FOR_SPARK))}",
            hint="--engine native, or rename the folder",
        )
