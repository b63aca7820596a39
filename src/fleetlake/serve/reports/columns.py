"""The columns that people's tables are made of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from fleetlake.serve.reports.definition import Row, Shown, Total
from fleetlake.serve.reports.wording import duration, fixed, minutes, percent, whole, words


def text(head: str, column: str, *, may_shrink: bool = True, is_optional: bool = False) -> Shown:
    return Shown(head, lambda row: row[column] or "", may_shrink=may_shrink, is_optional=is_optional)


def named(head: str, column: str) -> Shown:
    """One of a few names of the contract, such as a kind."""
    return Shown(head, lambda row: words(row[column]))


def number(head: str, column: str, digits: int = 0, *, is_optional: bool = False) -> Shown:
    """is_optional: left out where all are 0 or null."""

    def shown(row: Row) -> str:
        return "" if is_optional and not row[column] else fixed(row[column], digits)

    return Shown(head, shown, is_number=True, is_optional=is_optional)


def share(head: str, column: str) -> Shown:
    return Shown(head, lambda row: percent(row[column]), is_number=True)


def seconds(head: str, column: str) -> Shown:
    return Shown(head, lambda row: duration(row[column]), is_number=True)


def hours(head: str, column: str) -> Shown:
    """A column of minutes."""
    return Shown(head, lambda row: minutes(row[column]), is_number=True)


def instant(head: str, column: str = "start_time", spec: str = "%Y-%m-%d %H:%M:%S") -> Shown:
    return Shown(head, lambda row: "" if row[column] is None else f"{row[column]:{spec}}")


def end(head: str, column: str = "end_time", spec: str = "%H:%M:%S") -> Shown:
    """The time of day something ended, and how many days after it began."""

    def shown(row: Row) -> str:
        days = _date(row[column]) - _date(row["start_time"])
        return f"{row[column]:{spec}}" + (f" +{days}d" if days else "")

    return Shown(head, shown)


def still_open(head: str = "open") -> Shown:
    return Shown(head, lambda row: "open" if row["is_open"] else "", is_optional=True)


DEVICE = text("device", "device_id", may_shrink=False)


def count(noun: str, sql: str = "count(*)", *, plural: str = "") -> Total:
    return Total(plural or f"{noun}s", f"nullif({sql}, 0)", whole, one=noun)


def sum_of(label: str, sql: str, put: Callable[[float], str]) -> Total:
    return Total(label, sql, put)


DEVICES = Total("devices", "nullif(count(DISTINCT device_id), 0)", whole, one="device")
KM = Total("km", "sum(distance_km)", lambda value: fixed(value, 1))


def _date(time: datetime) -> int:
    return time.toordinal()
