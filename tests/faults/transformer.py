"""A transform in a process of its own, cut in at the steps it is told."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from fleetlake.lake.catalog import LakeSettings, open_lake
from fleetlake.transform.runner import run_transform
from fleetlake.transform.settings import TransformSettings
from tests.faults.clocks import CLOCK
from tests.faults.driver import Cut, cut_in


@dataclass(frozen=True, slots=True)
class TransformOrder:
    """cuts: into its commits. clock_s: how far its clock is ahead at first."""

    lake: LakeSettings
    out: Path
    cuts: tuple[Cut, ...] = ()
    clock_s: int = 0


def transform(order: TransformOrder, told_to_end: threading.Event) -> None:
    CLOCK.shift(order.clock_s)
    lake = open_lake(order.lake)
    try:
        cut_in(lake, order.cuts, order.lake)
        run_transform(lake, TransformSettings(threads=1))
    finally:
        lake.close()
