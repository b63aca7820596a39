"""The details of an unexpected failure, in a file for the user alone.

The working folder may be another user's, who could guess the file's name and have it lead to a file of ours. So the log is a new
file with a random name, in a folder of the user's own, or else in the temporary folder.
"""

from __future__ import annotations

import os
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from fleetlake.foundation.private import make_private_folder

LOGS = "logs"


def write_crash_log(home: Path, details: str) -> str:
    """Writes the details to a new file below home, or else to the temporary folder, and says where they are."""
    with suppress(OSError):
        return f"the details are in {_write(_own_logs(home), details)}"
    with suppress(OSError):
        return f"the details are in {_write(Path(tempfile.gettempdir()), details)}"
    return "no folder took the details"


def _write(folder: Path, details: str) -> Path:
    prefix = f"crash-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-"
    descriptor, name = tempfile.mkstemp(".log", prefix, folder)  # 0600, and never a file or link that is there already
    with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:  # noqa: PTH123  # a descriptor
        file.write(details)
    return folder / Path(name).name


def _own_logs(home: Path) -> Path:
    """Makes home and the folder of its logs if they are absent. Raises: OSError if one is another user's, or the second a link."""
    if home.is_symlink() and home.lstat().st_uid != os.geteuid():
        raise PermissionError(f"{home} is another user's link")
    folder = home / LOGS
    make_private_folder(folder)
    for place in (home.resolve(), folder):
        found = place.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise PermissionError(f"{place} is not a folder of the user's own")
    return folder
