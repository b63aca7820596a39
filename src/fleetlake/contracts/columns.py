"""The vocabulary of the contracts: types, wire fields and table columns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

# The years of times on the wire. Devices without a clock say 1970 or 1980; nothing is measured before, nor for long after 2099. A
# day of event_time is a partition: so this bounds how many a device with a broken clock can make.
FIRST_YEAR, LAST_YEAR = 1970, 2099


class Type(StrEnum):
    """A column's type. LOCATION exists on the wire only: `[latitude, longitude]`, two columns in a table."""

    STRING = "string"
    DOUBLE = "double"
    INTEGER = "integer"  # 32 bits
    LONG = "long"  # 64 bits
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"  # with zone, UTC, microseconds
    BINARY = "binary"
    LOCATION = "location"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    minimum, maximum: inclusive bounds in `unit`. choices: the only values allowed. required: never null.
    vss: the COVESA Vehicle Signal Specification path of the same signal, where one exists.
    id: the Iceberg field id, given by the table the column is in; 0 outside of one.
    """

    name: str
    type: Type
    description: str
    unit: str = ""
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    vss: str = ""
    id: int = 0

    @property
    def comment(self) -> str:
        """What a catalog shows for it."""
        return f"{self.description} ({self.unit})" if self.unit else self.description

    def nullable(self) -> Column:
        return replace(self, required=False)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an event on the wire, and the column (two for a location) it becomes.

    An absent field and a JSON null mean the same; neither is allowed where `required`.
    """

    name: str
    type: Type
    columns: tuple[Column, ...]
    required: bool = False
    description: str = ""

    @property
    def column(self) -> Column:
        """The only column of a field that is not a location."""
        (column,) = self.columns
        return column
