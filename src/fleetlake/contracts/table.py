"""What one table of the lake is: its columns, how it is partitioned and sorted, and what its rows are made of."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fleetlake.contracts.columns import Column
from fleetlake.contracts.events import Event


@dataclass(frozen=True, slots=True)
class Table:
    """One Iceberg table, format v2, partitioned by the day of `partition_by`.

    columns: numbered from 1 in their order, as every Iceberg catalog numbers them when it makes a table; a new column
    therefore goes at the end. sort: the columns files are sorted by. event: what a raw, bronze or silver table holds.

    For tables computed from silver:
    reads: the tables their rows are made of; new rows of those in silver say what has to be computed again.
    period: "hour", "day" or "week" (UTC) if a row is about one `entity` and such a period, which begins at `partition_by`; empty if
    rows are episodes or readings, whose bounds a seams model finds.
    """

    layer: str
    kind: str
    description: str
    columns: tuple[Column, ...]
    partition_by: str
    sort: tuple[str, ...] = ()
    event: Event | None = None
    reads: tuple[str, ...] = ()
    period: str = ""
    entity: str = "device_id"

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(replace(column, id=i) for i, column in enumerate(self.columns, 1)))

    @property
    def name(self) -> str:
        return f"{self.layer}.{self.kind}"

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)
