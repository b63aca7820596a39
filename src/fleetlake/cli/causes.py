"""What an error that no module of ours has made its own comes from, where that is the machine's or the user's to mend."""

from __future__ import annotations

import errno
import os
import re
from contextlib import suppress
from pathlib import Path

NO_MEMORY_IN_WORDS = re.compile(
    r"can't start new thread|cannot allocate memory|failed to map segment|std::bad_alloc|unable to allocate", re.IGNORECASE
)
NOT_TO_BE_WRITTEN = (errno.EROFS, errno.EACCES, errno.EPERM)
QUOTED_PATH = re.compile(r"'(/[^']*)'")


def is_of_deleted_folder(error: Exception) -> bool:
    """Whether it failed because the working folder is no more: libraries ask for it when imported; relative paths begin there."""
    if not isinstance(error, FileNotFoundError) or (error.filename and Path(os.fsdecode(error.filename)).is_absolute()):
        return False
    try:
        Path.cwd()
    except FileNotFoundError:
        return True
    return False


def is_out_of_memory(error: Exception) -> bool:
    """Whether there was too little memory: for a value, a thread, or a library that had to be loaded; or DuckDB's share of it."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    if isinstance(error, RuntimeError | ImportError) and NO_MEMORY_IN_WORDS.search(str(error)):
        return True
    with suppress(ImportError):
        from fleetlake.lake.memory_database import is_out_of_memory as is_of_duckdb

        return is_of_duckdb(error)
    return False


def unusable_place(error: Exception, home: Path) -> str:
    """Which place of the user's can't be used and why, as a sentence; empty if that is not what failed.

    Arrow's errors name their file in their words alone; they count where the reason is that it may not be written or read.
    """
    if not isinstance(error, OSError):
        return ""
    named = os.fsdecode(error.filename) if error.filename else ""
    if not named and error.errno in NOT_TO_BE_WRITTEN and (quoted := QUOTED_PATH.search(str(error))):
        named = quoted[1]
    if not named:
        return ""
    reason = os.strerror(error.errno) if error.errno else error.strerror
    if any(Path(named).absolute().is_relative_to(folder) for folder in (home.absolute(), home.resolve())):
        return f"the home folder can't be used: {reason}; at {named}; try: another one, fleetlake --home DIR"
    if error.filename:
        return ""
    return f"a file can't be used: {reason}; at {named}; try: another place, or the right to use this one"
