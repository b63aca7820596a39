"""Which snapshots of a table go. Each is about a kilobyte that every commit writes again, and keeps files."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pyiceberg.table.snapshots import Operation, Snapshot

INGEST = "fleetlake.ingest"
STREAM = "spark.sql.streaming.queryId"  # Iceberg's Spark sink looks for its last epoch from the current snapshot back
OTHER_STREAMS_WITHIN = 200
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class ExpiryPolicy:
    """newest: so many are kept in any case. planning_s: a reader that loaded the table still needs its manifests for so long.
    reading_s: one that has planned still reads data files for so long. hourly_s: for so long back the last one of each hour stays.
    """

    newest: int = 100
    planning_s: float = 60.0
    reading_s: float = 3600.0
    hourly_s: float = 86_400.0


@dataclass(frozen=True, slots=True)
class Past:
    """A snapshot. time_ms: when it was committed, as far as its writers' clocks can be believed (lake/snapshots.py).

    takes_files: it may have taken data files out of the table. stream: the Spark query that committed it.
    """

    snapshot_id: int
    parent_id: int | None
    sequence: int
    time_ms: int
    takes_files: bool = False
    is_ingest: bool = False
    stream: str | None = None

    @classmethod
    def of(cls, snapshot: Snapshot, time_ms: int) -> Past:
        summary = snapshot.summary
        stored = summary.additional_properties if summary else {}
        return cls(
            snapshot.snapshot_id,
            snapshot.parent_snapshot_id,
            snapshot.sequence_number or 0,
            time_ms,
            takes_files=summary is None or summary.operation is not Operation.APPEND,
            is_ingest=INGEST in stored,
            stream=stored.get(STREAM),
        )


def plan_expiry(
    snapshots: Iterable[Past], current: int | None, named: Collection[int], policy: ExpiryPolicy, now_ms: int
) -> list[int]:
    """Snapshots to remove, oldest first. named: those of branches and tags, which stay, as the current one does.

    A data file that was taken out of the table within `reading_s` stays in reach: the snapshot before is kept, and the one that did
    it. So are the last snapshot of an ingest, and all that lead from the current one back to the last epoch of a Spark query.
    """
    known = sorted(snapshots, key=lambda one: (one.sequence, one.time_ms))
    kept = {current, *named, *(one.snapshot_id for one in known[max(len(known) - policy.newest, 0) :])}
    kept.update(_in_use(known, policy, now_ms))
    kept.update(_hourly(known, policy, now_ms))
    kept.update(_streamed(known, current))
    kept.update([one.snapshot_id for one in known if one.is_ingest][-1:])
    return [one.snapshot_id for one in known if one.snapshot_id not in kept]


def _in_use(known: Sequence[Past], policy: ExpiryPolicy, now_ms: int) -> Iterator[int]:
    """Superseded so recently that somebody may be planning on it, or reading what it alone still reaches."""
    for before, after in pairwise(known):
        age_s = (now_ms - after.time_ms) / 1000
        if age_s < policy.planning_s or (after.takes_files and age_s < policy.reading_s):
            yield before.snapshot_id
            yield after.snapshot_id  # without which the next run would not know why
            if after.parent_id is not None:  # on a branch, it is not the one before
                yield after.parent_id


def _hourly(known: Sequence[Past], policy: ExpiryPolicy, now_ms: int) -> Iterable[int]:
    since_ms = now_ms - policy.hourly_s * 1000
    return {one.time_ms // HOUR_MS: one.snapshot_id for one in known if one.time_ms >= since_ms}.values()


def _streamed(known: Sequence[Past], current: int | None) -> set[int]:
    """The chain back to the newest snapshot of a Spark query; to those of other queries if they are near.

    Without it a restarted query that commits its last epoch again would not see that it is there. A query that was given up, whose
    last epoch lies ever further back, is forgotten some time.
    """
    by_id = {one.snapshot_id: one for one in known}
    chain, needed, queries = list[int](), 0, set[str]()
    at = by_id.get(current) if current is not None else None
    while at is not None and len(chain) < len(by_id) and (not queries or len(chain) < OTHER_STREAMS_WITHIN):
        chain.append(at.snapshot_id)
        if at.stream is not None and at.stream not in queries:
            queries.add(at.stream)
            needed = len(chain)
        at = by_id.get(at.parent_id) if at.parent_id is not None else None
    return set(chain[:needed])
