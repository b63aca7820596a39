"""A profile of fleetlake.toml, changed in place: comments and all that is not ours stay."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fleetlake.foundation.errors import BadInput, Missing

Name = tuple[str, ...]
Value = str | float


def save_profile(
    file: Path, profile: str, values: Mapping[Name, Value], *, unless_set: Mapping[Name, Value] | None = None
) -> tuple[str, ...]:
    """Sets values of [profile.NAME], by path (("lake", "properties", "type")); returns the names of those that changed, sorted.

    unless_set: values for paths that have none yet. The file is made if absent.
    Missing without tomlkit; BadInput if the file can't be read, written or is no TOML.
    """
    try:
        import tomlkit
        from tomlkit.exceptions import TOMLKitError
    except ImportError as error:
        raise Missing("tomlkit is not installed", hint="pip install 'fleetlake[aws]', in a clone: make cloud") from error
    try:
        document = tomlkit.parse(file.read_text("utf-8")) if file.exists() else tomlkit.document()
        changed = []
        for path, value in {**(unless_set or {}), **values}.items():
            table: Any = document
            for key in ("profile", profile, *path[:-1]):
                if key not in table:
                    table.add(key, tomlkit.table())
                table = table[key]
            if table.get(path[-1]) != value and (path in values or path[-1] not in table):
                table[path[-1]] = value
                changed.append(".".join(path))
        if changed:
            file.write_text(tomlkit.dumps(document).lstrip("\n"), "utf-8")
    except OSError as error:
        raise BadInput(f"the configuration can't be changed: {error.strerror}", where=str(file)) from error
    except (TOMLKitError, TypeError) as error:
        raise BadInput(f"the configuration can't be changed: {error}", where=str(file)) from error
    return tuple(sorted(changed))


def saved_value(file: Path, profile: str, name: Name) -> str:
    """What a profile of the file says for a name; empty if there is no such file, profile or name, or it is no TOML."""
    try:
        found: Any = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return ""
    for key in ("profile", profile, *name):
        found = found.get(key, "") if isinstance(found, dict) else ""
    return str(found)
