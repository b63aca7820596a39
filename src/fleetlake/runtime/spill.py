"""Folders for what does not fit into memory, which may hold rows: below the home, owned by a process, cleaned when that has died.

A folder is `<root>/<command>-<pid>-<random>`, readable by its user alone. Its owner holds a lock on the file `owner` in it, which
the kernel releases however the process ends. A process id would say less: ids return, and containers on one disk have their own.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

ROOT: ContextVar[Path | None] = ContextVar("spill_root", default=None)  # set where the configuration is read
FOLDER, OWNER, LOCK = "spill", "owner", ".lock"
PRIVATE = 0o700


@dataclass(frozen=True, slots=True)
class Spill:
    """A folder of a process that is still at work. command, pid: whose it says it is."""

    folder: Path
    command: str
    pid: int


def spill_root(home: Path) -> Path:
    return home / FOLDER


def temporary_root() -> Path:
    """Where spills go of those who have no home, or one that is absent or can't be written to: a folder of the user's own."""
    return Path(tempfile.gettempdir()) / f"fleetlake-spill-{os.getuid()}"


@contextmanager
def spill_folder(command: str) -> Iterator[Path]:
    """A new folder for a command's spill, removed at the end of the context, or by the next command if the process is killed."""
    root = _made(ROOT.get())
    with _locked(root):
        folder = Path(tempfile.mkdtemp(prefix=f"{command}-{os.getpid()}-", dir=root))
        owner = os.open(folder / OWNER, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(owner, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(owner)


def clean_spills(root: Path) -> list[Path]:
    """Removes what processes left that have ended, and returns which folders those were."""
    if not root.is_dir():
        return []
    cleaned = list[Path]()
    with suppress(OSError), _locked(root):
        for folder in _folders(root):
            if not _is_owned(folder):
                shutil.rmtree(folder, ignore_errors=True)
                cleaned.append(folder)
    return cleaned


def live_spills(root: Path) -> list[Spill]:
    """Returns the folders whose owners are still at work."""
    found = list[Spill]()
    for folder in _folders(root) if root.is_dir() else []:
        command, _, rest = folder.name.rpartition("-")[0].rpartition("-")
        if _is_owned(folder):
            found.append(Spill(folder, command, int(rest) if rest.isdecimal() else 0))
    return found


def _made(wanted: Path | None) -> Path:
    """The root, made if it is absent. One in a temporary folder has to be the user's own: others can write there too."""
    if wanted is not None:
        with suppress(OSError):
            wanted.mkdir(mode=PRIVATE, exist_ok=True)
            if os.access(wanted, os.W_OK):
                return wanted
    root = temporary_root()
    with suppress(FileExistsError):
        root.mkdir(mode=PRIVATE)
    found = root.lstat()
    if root.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o077:
        return Path(tempfile.mkdtemp(prefix=f"fleetlake-spill-{os.getuid()}-"))
    return root


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """So that nobody cleans a folder between its making and its being owned."""
    lock = os.open(root / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.is_symlink())


def _is_owned(folder: Path) -> bool:
    try:
        owner = os.open(folder / OWNER, os.O_RDWR)
    except FileNotFoundError:
        return False
    except OSError:  # not ours to judge
        return True
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(owner)
    return False
