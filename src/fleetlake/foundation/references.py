"""Values of the configuration that stand for what is elsewhere, env:NAME and file:PATH: resolved when a client is made."""

from __future__ import annotations

import os
from pathlib import Path

from fleetlake.foundation.errors import BadInput


def resolve(value: str, where: str) -> str:
    """What a value stands for; a value that is no reference stands for itself. BadInput if it leads nowhere. where: the setting."""
    kind, _, target = value.partition(":")
    if kind == "env":
        if target not in os.environ:
            raise BadInput(f"environment variable {target} is not set", where=where)
        return os.environ[target]
    if kind == "file":
        try:
            return Path(target).read_text().strip()
        except OSError as error:
            raise BadInput(f"{target} can't be read: {error.strerror}", where=where) from error
    return value
