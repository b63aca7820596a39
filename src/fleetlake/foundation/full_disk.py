"""A full disk is named as such, whatever failed because of it: a file of ours, SQLite, DuckDB, Spark, or a broker that ended."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
IN_WORDS = re.compile(
    r"no space left on device|disk quota exceeded|database or disk is full|out of disk|not enough space", re.IGNORECASE
)
LITTLE_BYTES = 1_000_000  # less than any of our writers needs for its next file
MAKE_ROOM = (
    "make room there and run it again: what was acknowledged or committed stays; maintain expire and orphans free a lake's files"
)


def is_no_room(error: BaseException) -> bool:
    """Whether an error, or one that it came from, says that a disk or a quota is full."""
    return any(
        (isinstance(one, OSError) and one.errno in NO_ROOM) or (isinstance(one, Exception) and bool(IN_WORDS.search(str(one))))
        for one in _with_causes(error)
    )


def note_of_full_disks(error: BaseException | None, places: Iterable[Path]) -> str:
    """What to add to an error's message if a disk is full: which, how much is free, and what to do; empty if none is.

    error: what failed; None if that is not known. places: where the command writes, be they there yet or not; looked at now.
    """
    named = [Path(os.fsdecode(one.filename)) for one in _with_causes(error) if isinstance(one, OSError) and one.filename]
    full: dict[int, str] = {}  # of each disk the first place
    for place in map(_nearest, (*named, *places)):
        if said := _free_if_little(place):
            full.setdefault(place.stat().st_dev, said)
    if full:
        return f"the disk is full: {'; '.join(full.values())}; {MAKE_ROOM}"
    if error is not None and is_no_room(error):
        where = f" at {named[0]}" if named else ""
        return f"a disk or a quota was full{where}; {MAKE_ROOM}"
    return ""


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _nearest(place: Path) -> Path:
    """The place, or the first folder above it that is there and can be looked at."""
    place = place.absolute()
    while not os.access(place, os.F_OK) and place != place.parent:
        place = place.parent
    return place


def _free_if_little(place: Path) -> str:
    """How much is free at a place, if that is too little to write anything; else empty."""
    try:
        found = os.statvfs(place)
    except OSError:
        return ""
    free, size = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
    if found.f_files and not found.f_favail:
        return f"no more files fit at {place}"
    return f"{free / 1e6:.1f} of {size / 1e6:,.0f} MB free at {place}" if size and free < LITTLE_BYTES else ""
