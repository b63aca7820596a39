"""What a report is: one definition, from which the terminal's table, JSON, CSV and the page are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from fleetlake.contracts.table import Table
from fleetlake.serve.reports.wording import moment

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Selection:
    """What is asked for: one device's rows or all, those whose time is in [start, until)."""

    device: str | None = None
    start: datetime | None = None
    until: datetime | None = None

    @property
    def parameters(self) -> dict[str, object]:
        return {"device": self.device, "start": self.start, "until": self.until}

    @property
    def period(self) -> str:
        """`from 2026-01-01 to 2026-01-02`, empty without bounds."""
        bounds = (("from", self.start), ("to", self.until))
        return " ".join(f"{word} {moment(time)}" for word, time in bounds if time)

    def __str__(self) -> str:
        return " ".join(part for part in (f"of {self.device}" if self.device else "", self.period) if part)


@dataclass(frozen=True, slots=True)
class Shown:
    """A column for people: its head and the text of a row.

    is_number: right-aligned. may_shrink: text that may be cut where a terminal's line gets too long. is_optional: left out where
    no row has it.
    """

    head: str
    text: Callable[[Row], str]
    is_number: bool = False
    may_shrink: bool = False
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class Total:
    """A figure over all rows of a report. label: what follows it, as in `3 trips`; one: the label of a single one.

    sql: an aggregate over the report's `rows`; null where there is nothing to tell.
    """

    label: str
    sql: str
    text: Callable[[Any], str]
    one: str = ""


@dataclass(frozen=True, slots=True)
class ReportDefinition:
    """A question to the lake and how its answer is shown.

    noun: what its rows are, in the plural. tables: the first has to be there and gives the rows; others count as empty while they
    are not made. order: the rows', SQL. where: which rows of the first table, SQL. select: the rows where they are not simply the
    first table's, SQL with $device, $start and $until. people: SQL over `rows` where people see others than programs do.
    note: what a reader has to know to read the table.
    """

    name: str
    title: str
    noun: str
    tables: tuple[Table, ...]
    order: str
    columns: tuple[Shown, ...]
    totals: tuple[Total, ...]
    where: str = "true"
    select: str = ""
    people: str = ""
    note: str = ""

    @property
    def time(self) -> str:
        """The column that a period chooses by."""
        return self.tables[0].partition_by


@dataclass(frozen=True, slots=True)
class Answer:
    """rows: every column, for programs. shown: what people's columns are made from. totals: label and figure, in order.

    first, last: where there is no row, the times of those that a wider period would have found.
    """

    report: ReportDefinition
    selection: Selection
    rows: pa.Table
    shown: pa.Table
    totals: tuple[tuple[str, str], ...]
    first: datetime | None = None
    last: datetime | None = None

    @property
    def nothing(self) -> str:
        """The sentence that stands for an empty table."""
        said = " ".join(part for part in (f"no {self.report.noun}", str(self.selection)) if part)
        if self.first and self.last:
            return f"{said}; there are some from {moment(self.first)} to {moment(self.last)}"
        return said

    @property
    def totals_line(self) -> str:
        return ", ".join(f"{figure} {label}" for label, figure in self.totals)
