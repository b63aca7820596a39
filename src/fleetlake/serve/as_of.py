"""Which snapshot of each table was the current one at a moment of the past."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pyiceberg.table import Table as IcebergTable

from fleetlake.foundation.errors import BadInput
from fleetlake.lake.catalog import Lake
from fleetlake.lake.snapshots import Clock, commit_times, history, wall_clock_ms


@dataclass(frozen=True, slots=True)
class Moment:
    """at_ms: milliseconds since 1970, UTC. snapshot_id, table: what named it, where that was a snapshot.

    asked_ms: when it was asked for; a snapshot dated after that was committed by a clock that was wrong (lake/snapshots.py).
    """

    at_ms: int
    snapshot_id: int | None = None
    table: str = ""
    asked_ms: int = field(default_factory=wall_clock_ms)

    def __str__(self) -> str:
        return datetime.fromtimestamp(self.at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_moment(text: str, lake: Lake, clock: Clock = wall_clock_ms) -> Moment:
    """A moment from a snapshot id (the time it was committed) or an ISO 8601 time (UTC if it has no zone). BadInput for others."""
    asked_ms = clock()
    if text.isdigit() and len(text) > len("20260101"):
        for name in lake.names():
            times = commit_times(lake.table(name).metadata, asked_ms)
            if (at_ms := times.get(int(text))) is not None:
                return Moment(at_ms, int(text), name, asked_ms)
        raise BadInput(f"no table has a snapshot {text}", where="--as-of", hint="fleetlake snapshots TABLE lists them")
    return Moment(int(parse_time(text, "--as-of").timestamp() * 1000), asked_ms=asked_ms)


def parse_time(text: str, option: str) -> datetime:
    """An ISO 8601 date or time, UTC if it has no zone. BadInput, naming the option, for anything else."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInput(
            f"{text!r} is not a time", where=option, allowed="ISO 8601, for example 2026-01-01 or 2026-01-01T08:30:00Z"
            + (", or a snapshot id" if option == "--as-of" else ""),
        ) from error  # fmt: skip
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def snapshot_at(table: IcebergTable, moment: Moment) -> int | None:
    """The table's current snapshot at that moment; None if it had none yet.

    Where a snapshot names the moment, its own table is read at it, whatever else was committed in the same millisecond.
    """
    if moment.table == ".".join(table.name()):
        return moment.snapshot_id
    by_then = [snapshot_id for snapshot_id, at_ms in history(table.metadata, moment.asked_ms) if at_ms <= moment.at_ms]
    return by_then[-1] if by_then else None


def require_some(tables: Iterable[IcebergTable], moment: Moment) -> None:
    """BadInput if none of the tables had a snapshot by then: an empty answer would hide a mistyped time."""
    stored = list(tables)
    if not stored or any(snapshot_at(table, moment) is not None for table in stored):
        return
    first = min((at_ms for table in stored for _, at_ms in history(table.metadata, moment.asked_ms)), default=None)
    raise BadInput(
        f"nothing was committed to {', '.join('.'.join(table.name()) for table in stored)} by {moment}",
        where="--as-of",
        allowed=f"{Moment(first)} or later" if first is not None else "",
    )
