"""What fleetlake keeps as JSON in the properties of tables and the summaries of snapshots, which other tools can change."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from fleetlake.foundation.errors import Permanent

LONGEST = 80  # characters that an error shows
T = TypeVar("T")


def read_stored(properties: Mapping[str, str], name: str, make: Callable[[dict[str, Any]], T]) -> T | None:
    """Return what `make` makes of the object that a property holds, None if the property is absent.

    Raises Permanent if it is not what fleetlake wrote: no JSON, or not the fields that `make` takes.
    """
    if name not in properties:
        return None
    try:
        return make(json.loads(properties[name]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Permanent(
            f"a table's property is not what fleetlake wrote: {properties[name][:LONGEST]!r}",
            where=name,
            hint="set it to what an older metadata file of the table has",
        ) from error
