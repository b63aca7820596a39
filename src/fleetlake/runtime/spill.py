"""Folders for what does not fit into memory, which may hold rows: below the home, owned by a process, cleaned when that has died.

A folder is `<root>/<command>-<pid>-<random>`, readable by its user alone. Its owner holds a lock on the file `owner` in it, which
the kernel releases however the process ends. A process id would say less: ids return, and containers on one disk have their own.

Others can put anything under the names of these folders: in the temporary folder, or in a home that was copied from somewhere. So a
root is used, searched and cleaned only if it is a real folder, no link, that belongs to the user and is closed to all others. In it
only folders that `spill_folder` made are removed: known by name, and by the file `owner`, which is removed last.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

ROOT: ContextVar[Path | None] = ContextVar("spill_root", default=None)  # set where the configuration is read
FOLDER, OWNER, LOCK = "spill", "owner", ".lock"
MADE = re.compile(r"(?P<command>[a-z][a-z0-9_-]*)-(?P<pid>[0-9]+)-[a-z0-9_]{8}")  # the last is tempfile's
PRIVATE, OTHERS = 0o700, 0o077
OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
OPEN_FILE = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
LOCK_WAIT_S, LOCK_LOOK_S = 1.0, 0.05  # a folder is made within milliseconds; whoever holds the lock for longer is cleaning


@dataclass(frozen=True, slots=True)
class Spill:
    """A folder of a process that is still at work. command, pid: whose it says it is."""

    folder: Path
    command: str
    pid: int


def spill_root(home: Path) -> Path:
    """Return where spills of commands on this home go. A home may be a link; the folder of spills in it may not."""
    return home.resolve() / FOLDER


def temporary_root() -> Path:
    """Where spills go of those who have no home, or one that is absent or can't be written to: a folder of the user's own."""
    return Path(tempfile.gettempdir()) / f"fleetlake-spill-{os.geteuid()}"


def spill_roots(home: Path) -> list[Path]:
    """Return every folder in which commands of this user may have left spills: the home's, and those of the temporary folder."""
    own = temporary_root()
    return [spill_root(home), own, *_spare_roots()]


def is_ours(place: Path | str, *, at: int | None = None) -> bool:
    """Whether a place is a real folder, not a link to one, that belongs to the user and that nobody else can read or write.

    at: the open folder that a relative place is in.
    """
    try:
        return _is_ours(os.stat(place, dir_fd=at, follow_symlinks=False))
    except OSError:
        return False


@contextmanager
def spill_folder(command: str) -> Iterator[Path]:
    """A new folder for a command's spill, removed at the end of the context, or by the next command if the process is killed."""
    root = _made(ROOT.get())
    with _opened(root) as place:
        with _locked(place):
            folder = Path(tempfile.mkdtemp(prefix=f"{command}-{os.getpid()}-", dir=root))
            owner = os.open(folder / OWNER, OPEN_FILE | os.O_CREAT | os.O_EXCL, 0o600)
            fcntl.flock(owner, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            _remove(folder.name, place)
            os.close(owner)


def clean_spills(root: Path) -> list[Path]:
    """Removes what processes left that have ended, and returns which folders those were.

    Does nothing if the root is not the user's own, or if another process is cleaning it.
    """
    cleaned = list[Path]()
    with suppress(OSError), _opened(root) as place, _locked(place, wait_s=LOCK_WAIT_S):
        for name in _made_folders(place):
            if _is_dead(name, place):
                _remove(name, place)
                cleaned.append(root / name)
    return cleaned


def live_spills(root: Path) -> list[Spill]:
    """Returns the folders whose owners are still at work; none if the root is not the user's own."""
    found = list[Spill]()
    with suppress(OSError), _opened(root) as place:
        for name in _made_folders(place):
            parts = MADE.fullmatch(name)
            if parts and _is_owned(name, place):
                found.append(Spill(root / name, parts["command"], int(parts["pid"])))
    return found


def _is_ours(status: os.stat_result) -> bool:
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & OTHERS


def _spare_roots() -> list[Path]:
    """The user's folders that stand in for temporary_root() where its name was taken by another user."""
    own = temporary_root()
    with suppress(OSError):
        return sorted(path for path in own.parent.glob(f"{own.name}-*") if is_ours(path))
    return []


def _made(wanted: Path | None) -> Path:
    """The root, made if it is absent: the wanted one if it is the user's own, or else one in the temporary folder."""
    for root in (wanted, temporary_root()):
        with suppress(OSError):
            if root is not None:
                root.mkdir(mode=PRIVATE, exist_ok=True)
                if is_ours(root) and os.access(root, os.W_OK):
                    return root
    spare = _spare_roots()
    return spare[0] if spare else Path(tempfile.mkdtemp(prefix=f"{temporary_root().name}-"))


@contextmanager
def _opened(root: Path) -> Iterator[int]:
    """Yields the root as an open folder, which nobody can exchange for another. Raises: OSError if it is not the user's own."""
    place = os.open(root, OPEN_FOLDER)
    try:
        if not _is_ours(os.fstat(place)):
            raise PermissionError(f"{root} is not a folder of the user's own")
        yield place
    finally:
        os.close(place)


@contextmanager
def _locked(place: int, wait_s: float | None = None) -> Iterator[None]:
    """So that nobody cleans a folder between its making and its being owned.

    wait_s: after that the lock is given up; None: never. Raises: BlockingIOError then, and OSError for a lock that is no file.
    """
    lock = os.open(LOCK, OPEN_FILE | os.O_CREAT, 0o600, dir_fd=place)
    try:
        if wait_s is None:
            fcntl.flock(lock, fcntl.LOCK_EX)
        else:
            _lock_within(lock, wait_s)
        yield
    finally:
        os.close(lock)


def _lock_within(lock: int, wait_s: float) -> None:
    give_up_at = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= give_up_at:
                raise
            time.sleep(LOCK_LOOK_S)
        else:
            return


def _made_folders(place: int) -> list[str]:
    return [name for name in _names_in(place) if MADE.fullmatch(name) and is_ours(name, at=place)]


def _names_in(folder: int) -> list[str]:
    return sorted(os.listdir(folder))


def _is_dead(name: str, place: int) -> bool:
    """Whether a folder was one of a process that has ended: nobody holds its file `owner`, or it is empty."""
    folder = os.open(name, OPEN_FOLDER, dir_fd=place)
    try:
        names = _names_in(folder)
    finally:
        os.close(folder)
    return not names or (OWNER in names and not _is_owned(name, place))


def _is_owned(name: str, place: int) -> bool:
    folder = os.open(name, OPEN_FOLDER, dir_fd=place)
    try:
        owner = os.open(OWNER, OPEN_FILE | os.O_NONBLOCK, dir_fd=folder)
    except FileNotFoundError:
        return False
    except OSError:  # not ours to judge
        return True
    finally:
        os.close(folder)
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(owner)
    return False


def _remove(name: str, place: int) -> None:
    """Removes a folder, its file `owner` last, so that the next command goes on if this one is killed. Follows no links."""
    with suppress(OSError):
        folder = os.open(name, OPEN_FOLDER, dir_fd=place)
        try:
            for entry in _names_in(folder):
                if entry != OWNER:
                    _remove_entry(entry, folder)
        finally:
            os.close(folder)
        shutil.rmtree(name, ignore_errors=True, dir_fd=place)


def _remove_entry(name: str, folder: int) -> None:
    with suppress(OSError):
        if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            shutil.rmtree(name, ignore_errors=True, dir_fd=folder)
        else:
            os.unlink(name, dir_fd=folder)
