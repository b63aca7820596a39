"""A run: silver, table by table, then gold. Killed anywhere, the next run does what is left."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from fleetlake.contracts.events import EVENTS
from fleetlake.contracts.gold import GOLD
from fleetlake.contracts.positions import POSITIONS
from fleetlake.contracts.tables import all_tables, silver_of
from fleetlake.foundation.errors import Retryable
from fleetlake.lake.catalog import Lake
from fleetlake.transform.derived import DerivedCounts, refresh_derived
from fleetlake.transform.engine import Engines
from fleetlake.transform.native import native_engine
from fleetlake.transform.settings import TransformSettings
from fleetlake.transform.silver import SilverCounts, refresh_silver

Counts = TypeVar("Counts")
FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 5.0


def back_off(attempt: int) -> None:
    """Sleeps before an attempt is repeated, longer after each and by chance, so that two transforms do not meet again."""
    time.sleep(min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**attempt) * (0.5 + random.random() / 2))  # noqa: S311  # no secret


def print_repeat(message: str) -> None:
    """Prints why a table is computed again as one line on stderr."""
    print(f"transform: {message}", file=sys.stderr)


@dataclass(frozen=True, slots=True)
class TransformReport:
    """What a run did, per table. derived: silver.positions and gold."""

    silver: tuple[SilverCounts, ...]
    derived: tuple[DerivedCounts, ...]


def run_transform(
    lake: Lake,
    settings: TransformSettings,
    *,
    engines: Engines | None = None,
    full: bool = False,
    on_progress: Callable[[str], None] | None = None,
    wait: Callable[[int], None] = back_off,
    on_repeat: Callable[[str], None] = print_repeat,
) -> TransformReport:
    """Brings silver and gold up to bronze. engines: opens what computes a table, the native engine by default.

    Every table is committed once, with a marker of what it was made from, or not at all if nothing is new. So a run that was killed
    between two tables has lost nothing, and two runs at once can't both count a row: the later commit conflicts and is computed
    anew, up to `settings.attempts` times. full: compute all tables from bronze; the result is the same.
    on_progress gets the name of each table as it begins. wait: called with the number of the attempt that failed before the next
    one; on_repeat gets a line that says why. Raises Conflict if other writers never let a commit through.
    """
    opened = engines or partial(native_engine, settings)
    tell = on_progress or (lambda _: None)
    repeat = _Repeat(settings.attempts, wait, on_repeat)
    lake.ensure(all_tables())
    silver, derived = [], []
    for event in EVENTS:
        name = silver_of(event).name
        tell(name)
        silver.append(repeat.until_done(name, partial(refresh_silver, lake, event, settings.thresholds, opened, full=full)))
    for table in (POSITIONS, *GOLD):
        tell(table.name)
        derived.append(repeat.until_done(table.name, partial(refresh_derived, lake, table, settings, opened, full=full)))
    return TransformReport(tuple(silver), tuple(derived))


@dataclass(frozen=True, slots=True)
class _Repeat:
    """Repeats what may succeed later, such as a commit that conflicted: it is computed from what the catalog has then."""

    attempts: int
    wait: Callable[[int], None]
    on_repeat: Callable[[str], None]

    def until_done(self, name: str, refresh: Callable[[], Counts]) -> Counts:
        """Returns what `refresh` returns; raises its Retryable after the last attempt, and any other error at once."""
        for attempt in range(1, self.attempts):
            try:
                return refresh()
            except Retryable as error:
                said = " ".join(str(error).split())
                self.on_repeat(f"{name} is computed again (attempt {attempt} of {self.attempts} failed: {said})")
                self.wait(attempt)
        return refresh()
