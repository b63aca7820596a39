"""Maintenance in a process of its own, as `fleetlake maintain run` does it, but for its clocks: what may go, goes at once."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fleetlake.foundation.errors import Retryable
from fleetlake.lake.catalog import Lake, LakeSettings, open_lake
from fleetlake.maintain.compaction import CompactionPolicy, compact
from fleetlake.maintain.expiry import expire
from fleetlake.maintain.orphans import DEFAULT_AGE, delete_orphans
from fleetlake.maintain.retention import ExpiryPolicy
from fleetlake.workflows.maintain import read_by_transforms
from tests.faults.clocks import CLOCK
from tests.faults.driver import Cut, back_off, cut_in

HARSH = ExpiryPolicy(newest=1, planning_s=0.0, reading_s=0.0, hourly_s=0.0)  # readers have no time at all
SOFT = ExpiryPolicy(newest=1, planning_s=1.5, reading_s=1.5, hourly_s=0.0)


@dataclass(frozen=True, slots=True)
class MaintainOrder:
    """rounds: over all tables; None: until it is told to end. cuts: into its commits. clock_s: how far its clock is ahead."""

    lake: LakeSettings
    out: Path
    expiry: ExpiryPolicy
    rounds: int | None
    cuts: tuple[Cut, ...] = ()
    clock_s: int = 0


def maintain(order: MaintainOrder, told_to_end: threading.Event) -> None:
    CLOCK.shift(order.clock_s)
    lake, done = open_lake(order.lake), 0
    cut_in(lake, order.cuts, order.lake)
    while not told_to_end.is_set() and done != order.rounds:
        for name in lake.names():
            with suppress(Retryable):  # `maintain run` says it, and tries again in the next round
                _round(lake, name, order.expiry)
        done += 1
        told_to_end.wait(0.05)


def _round(lake: Lake, name: str, expiry: ExpiryPolicy) -> None:
    compact(lake, name, CompactionPolicy(), wait=back_off, read_up_to=read_by_transforms(lake, name))
    expire(lake, name, expiry, wait=back_off)
    delete_orphans(lake, name, DEFAULT_AGE, wait=back_off)
