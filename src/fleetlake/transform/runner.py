"""A run: silver, table by table, then gold. Killed anywhere, the next run does what is left."""

from __future__ import annotations

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
) -> TransformReport:
    """Brings silver and gold up to bronze. engines: opens what computes a table, the native engine by default.

    Every table is committed once, with a marker of what it was made from, or not at all if nothing is new. So a run that was killed
    between two tables has lost nothing, and two runs at once can't both count a row: the later commit conflicts and is computed
    anew, up to `settings.attempts` times. full: compute all tables from bronze; the result is the same.
    on_progress gets the name of each table as it begins. Raises Conflict if other writers never let a commit through.
    """
    opened = engines or partial(native_engine, settings)
    tell = on_progress or (lambda _: None)
    lake.ensure(all_tables())
    silver, derived = [], []
    for event in EVENTS:
        tell(silver_of(event).name)
        silver.append(_attempt(partial(refresh_silver, lake, event, settings.thresholds, opened, full=full), settings.attempts))
    for table in (POSITIONS, *GOLD):
        tell(table.name)
        derived.append(_attempt(partial(refresh_derived, lake, table, settings, opened, full=full), settings.attempts))
    return TransformReport(tuple(silver), tuple(derived))


def _attempt(refresh: Callable[[], Counts], attempts: int) -> Counts:
    """A commit that conflicted, or was not confirmed, is computed anew from what the catalog has then."""
    for _ in range(attempts - 1):
        try:
            return refresh()
        except Retryable:
            continue
    return refresh()
