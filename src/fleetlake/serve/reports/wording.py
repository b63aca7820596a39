"""Values as people read them: times in UTC, durations as h:mm:ss, numbers with the digits they are worth."""

from __future__ import annotations

from datetime import UTC, datetime


def moment(time: datetime) -> str:
    """A time (UTC) in as few words as it takes: the day alone if it is midnight."""
    time = time.astimezone(UTC)
    if not (time.hour or time.minute or time.second or time.microsecond):
        return f"{time:%Y-%m-%d}"
    return f"{time:%Y-%m-%d %H:%M}" + (f":{time:%S}" if time.second or time.microsecond else "")


def duration(seconds: float | None) -> str:
    """h:mm:ss, to the second."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def minutes(value: float | None) -> str:
    return "" if value is None else duration(value * 60)


def fixed(value: float | None, digits: int = 0) -> str:
    """A number with so many decimals; -0 is 0."""
    return "" if value is None else f"{round(value, digits) + 0.0:,.{digits}f}"


def whole(value: float | None) -> str:
    return fixed(value)


def tenths(value: float | None) -> str:
    return fixed(value, 1)


def percent(share: float | None) -> str:
    """A share of 1. Only what is all is 100 %, and only what is none is 0."""
    if share is None:
        return ""
    if 0 < share < 0.001:
        return "<0.1%"
    return f"{min(share * 100, 99.9) if share < 1 else 100:.1f}%"


def words(name: str | None) -> str:
    """`harsh_braking` as a person would write it."""
    return (name or "").replace("_", " ")
