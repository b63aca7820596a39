"""Bounds of what a run has to read: instants as engines tell them, and filters for Iceberg's statistics."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pyiceberg.expressions import AlwaysTrue, And, BooleanExpression, GreaterThanOrEqual, LessThanOrEqual

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant(micros: int) -> datetime:
    """Of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=micros)


def between(column: str, low: str | None, high: str | None) -> BooleanExpression:
    """Bounds are within; None is no bound."""
    within: BooleanExpression = AlwaysTrue()
    if low is not None:
        within = And(within, GreaterThanOrEqual(column, low))  # type: ignore[arg-type,call-arg]  # its signature is made at run time
    if high is not None:
        within = And(within, LessThanOrEqual(column, high))  # type: ignore[arg-type,call-arg]
    return within
