"""Folders and files that only their owner can read, whatever the umask says. What is there already is left as it is."""

from __future__ import annotations

import os
from pathlib import Path

OWNER_ONLY, OWNER_ONLY_FILE = 0o700, 0o600
READ_BY = ((0o040, 0o010), (0o004, 0o001))  # of the group, of all others: reading, and passing through a folder


def make_private_folder(folder: Path) -> None:
    """Makes the folder, and those above it that are absent, for their owner only."""
    absent = []
    place = folder
    while not place.exists():
        absent.append(place)
        place = place.parent
    for one in reversed(absent):
        try:
            one.mkdir()
        except FileExistsError:  # another process was first
            continue
        one.chmod(OWNER_ONLY)
    folder.mkdir(exist_ok=True)  # FileExistsError for a file of that name


def make_private_file(file: Path) -> None:
    """Makes an empty file for its owner only, in a folder that is there."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY_FILE)
    except FileExistsError:
        return
    os.fchmod(descriptor, OWNER_ONLY_FILE)
    os.close(descriptor)


def is_open_to_others(place: Path) -> bool:
    """Whether another user of this machine can read the folder or file: by its mode, and those of all folders above it."""
    try:
        mode, above = place.stat().st_mode, [folder.stat().st_mode for folder in place.absolute().parents]
    except OSError:
        return False
    return any(mode & reads and all(folder & passes for folder in above) for reads, passes in READ_BY)
