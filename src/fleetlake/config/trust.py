"""Which files of the working folder are believed. A file that was named is the user's word; one that was found may be anybody's.

A command is run in many folders: shared ones, the temporary folder, another user's. What lies there must not decide which code is
loaded, where data is written, or whom secrets are sent to, unless nobody but the user and root could have put it there.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterable
from pathlib import Path

from fleetlake.foundation.errors import BadInput

# What a file that anybody may have written can set: numbers that models and commits go by. All else, also what a later version of a
# client understands, may load code, read files, send secrets or choose where data goes, so it is not listed and not believed.
HARMLESS = ("ingest.*", "transform.*", "kafka.partitions", "spark.trigger_s", "lake.name")
FILES = ("transform.roads", "transform.places", "transform.geofences")  # not harmless: any file of the user's could be read as one
FOUND_BY_OTHERS = (Path(".pyiceberg.yaml"),)  # PyIceberg looks for it in the working folder too, and loads the classes it names
MOST_LINKS = 40
SHOWN = 3
MOVE_IT = "move it to your own home folder or to PYICEBERG_HOME, or chown and chmod go-w, if it is yours; delete it, if it is not"
HOME_HINT = "name the folder if you trust it: fleetlake --home DIR ..., or FLEETLAKE__HOME"


def require_trusted(file: Path, names: Iterable[str], *, hint: str) -> None:
    """Does nothing if only the user and root can have written the file, or if it sets only what is harmless.

    names: the settings that the file sets, with dots. Raises: BadInput, with the settings and who else could have written them.
    """
    risky = sorted(name for name in names if not _is_harmless(name))
    if risky and (fault := distrust(file)):
        listed = ", ".join(risky[:SHOWN]) + (f" and {len(risky) - SHOWN} more" if len(risky) > SHOWN else "")
        raise BadInput(
            f"{listed} may load code, send secrets or move data, and {fault}",
            where=str(file),
            allowed=f"from a file that was found, not named: {', '.join(HARMLESS)}, but not {', '.join(FILES)}",
            hint=hint,
        )


def require_trusted_folder(home: Path) -> None:
    """Does nothing unless the state folder that was found in the working folder belongs to somebody else. Raises: BadInput then."""
    given = home.absolute()
    try:
        found = {given: given.lstat(), given.resolve(): given.stat()}
    except OSError:
        return  # not there, or not to be looked at: whoever needs it says so
    for path, status in found.items():
        if status.st_uid not in (0, os.geteuid()):
            owner = _name_of(status.st_uid)
            raise BadInput(f"the state folder was found, not named, and belongs to {owner}", where=str(path), hint=HOME_HINT)


def require_no_strange_files() -> None:
    """Does nothing unless a library of ours would read a file of the working folder that others may have written.

    Raises: BadInput then.
    """
    for file in FOUND_BY_OTHERS:
        if file.exists():
            require_trusted(file, ["what PyIceberg reads there"], hint=MOVE_IT)


def distrust(path: Path) -> str:
    """Says why others than the user and root may decide what a path leads to; empty if nobody else can.

    Looks at the file and at each folder and link on the way to it from the root: who can write to a folder can put another file
    there, but for a folder with the sticky bit, such as /tmp.
    """
    place, links = Path("/"), 0
    names = [part for part in reversed(path.absolute().parts) if part != "/"]
    if fault := _fault(place):
        return fault
    while names:
        name = names.pop()
        place = place.parent if name == ".." else place / name
        if fault := _fault(place):
            return fault
        if place.is_symlink():
            links += 1
            target = place.readlink()
            place = Path("/") if target.is_absolute() else place.parent
            names += [part for part in reversed(target.parts) if part != "/"]
        if links > MOST_LINKS:
            return f"{path} has too many links on its way"
    return ""


def _fault(place: Path) -> str:
    try:
        status = place.lstat()
    except OSError as error:
        return f"{place} can't be looked at: {error.strerror}"
    if status.st_uid not in (0, os.geteuid()):
        return f"{place} belongs to {_name_of(status.st_uid)}"
    mode = status.st_mode
    if stat.S_ISLNK(mode) or (stat.S_ISDIR(mode) and mode & stat.S_ISVTX):
        return ""
    if mode & stat.S_IWOTH or (mode & stat.S_IWGRP and not _is_private(status.st_gid)):
        return f"{place} can be written by others (mode {stat.S_IMODE(mode):04o})"
    return ""


def _is_private(group: int) -> bool:
    """Whether nobody but the user and root is in a group, as where each user has a group of their own."""
    import grp

    ours = {0, os.geteuid()}
    try:
        members = {pwd.getpwnam(name).pw_uid for name in grp.getgrgid(group).gr_mem}
    except KeyError:
        return False
    return members <= ours and all(user.pw_uid in ours for user in pwd.getpwall() if user.pw_gid == group)


def _is_harmless(name: str) -> bool:
    if any(name == file or name.startswith(f"{file}.") for file in FILES):
        return False
    return any(name.startswith(known.removesuffix("*")) if known.endswith("*") else name == known for known in HARMLESS)


def _name_of(user: int) -> str:
    try:
        return f"the user {pwd.getpwuid(user).pw_name}"
    except KeyError:
        return f"the user {user}"
