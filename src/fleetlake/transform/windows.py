"""Which stretches of which devices' fixes have to be computed again for new silver rows.

A new row can change an episode (a trip, a stop) only as far as the episode reaches, and that has no bound known beforehand: a
vehicle may stand for weeks. So the bounds are looked for in the data. A gold model comes with a second one that finds its seams:
instants at which a device's fixes can be cut in two so that the episodes of the halves, taken together, are those of the whole.
All new rows of a device lie between t0 and t1. Take a seam L before t0 and a seam R after t1. The fixes outside [L, R) are the
same with and without the new rows, and L and R, which are old fixes themselves, were seams without them too: taking away rows in
between makes no gap shorter and no standstill either, and a fix at speed stays one. Hence the gold rows that start outside [L, R)
stay as they are, and those that start inside are exactly the model's result on [L, R).

One thing crosses a seam: a later fix shows that an open episode is over. But an open episode reaches to the end of the old fixes,
and L is one of them. It is not in an open stop, whose fixes are all at rest, nor in an open trip, which the old fixes end within
trip_end_s of its last motion. So L is before the open episode, and [L, R) takes it in.
The search looks at a day on either side first, then at eight, then at sixty-four, for the devices that need it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pyiceberg.table import Table as IcebergTable

from fleetlake.lake.scan import added_files
from fleetlake.transform.bounds import EPOCH, between, instant
from fleetlake.transform.engine import Engine
from fleetlake.transform.models import Model, fixes_model
from fleetlake.transform.settings import Thresholds

FIRST_REACH = timedelta(days=1)
WIDER = 8
KINDS = ("gps", "vehicle")


@dataclass(frozen=True, slots=True)
class SilverTables:
    """The tables fixes are made of, as they were loaded: all reads of a run see the same snapshots."""

    gps: IcebergTable
    vehicle: IcebergTable

    def of(self, kind: str) -> IcebergTable:
        return self.gps if kind == "gps" else self.vehicle

    def is_empty(self) -> bool:
        """Whether there is no GPS row, and so no fix."""
        return not any(True for _ in self.gps.scan().plan_files())

    def span(self) -> tuple[datetime, datetime]:
        """From the first day of the fixes to the end of the last."""
        days = [task.file.partition[0] for task in self.gps.scan().plan_files()] or [0]
        return EPOCH + timedelta(days=min(days)), EPOCH + timedelta(days=max(days) + 1)


def load_all_fixes(engine: Engine, silver: SilverTables, thresholds: Thresholds) -> None:
    """Makes the relation `fixes` of all there are."""
    for kind in KINDS:
        engine.expose(f"silver.{kind}", silver.of(kind))
    engine.materialise("fixes", fixes_model(thresholds).sql)


def expose_touched(engine: Engine, silver: SilverTables, read: Mapping[str, int]) -> bool:
    """Makes the relation `touched` (device_id, t0, t1): the devices with rows added since `read` (sequences), and when those were.

    False if nothing was added.
    """
    for kind in KINDS:
        table = silver.of(kind)
        engine.expose_files(f"added.{kind}", table, added_files(table, read[f"silver.{kind}"]))
    engine.materialise(
        "touched",
        """
        SELECT device_id, min(event_time) AS t0, max(event_time) AS t1
        FROM (SELECT device_id, event_time FROM added.gps UNION ALL SELECT device_id, event_time FROM added.vehicle) AS added
        GROUP BY device_id
        """,
    )
    return _bounds(engine) is not None


def compute_touched(engine: Engine, silver: SilverTables, model: Model, seams: Model, thresholds: Thresholds) -> None:
    """Makes the relations `stretch` (device_id, from_time, to_time: [L, R), null where the data ends) and `episodes` of `touched`.

    As many devices at a time as the same reach does for; `touched` is used up.
    """
    first, last = silver.span()
    reach, parts = FIRST_REACH, 0
    while bounds := _bounds(engine):
        within = bounds[0] - reach, bounds[1] + reach
        _load_fixes(engine, silver, within, reach, thresholds)
        engine.materialise("seams", seams.sql, seams.settings)
        # Near the edge of what was read a seam may only seem to be one; that far in, its model has seen all it looks at.
        margin = timedelta(seconds=2 * thresholds.trip_end_s)
        ends: dict[str, str | float | timedelta] = {"first": first.isoformat(), "last": last.isoformat()}
        engine.materialise(f"stretch_{parts}", STRETCHES, ends | {"reach": reach, "margin": margin})
        engine.materialise("fixes", FIXES_OF.format(stretch=f"stretch_{parts}"))
        engine.materialise(f"episodes_{parts}", model.sql, model.settings)
        engine.materialise("touched", TOUCHED_WITHOUT.format(stretch=f"stretch_{parts}"))
        parts += 1
        reach = min(reach * WIDER, last - first + FIRST_REACH)
    for name in ("stretch", "episodes"):
        engine.define(name, " UNION ALL ".join(f"SELECT * FROM {name}_{part}" for part in range(parts)))


STRETCHES = """
    WITH reaches AS (
        SELECT
            *, t0 - $reach AS low, t1 + $reach AS high,
            t0 - $reach <= CAST($first AS TIMESTAMPTZ) AS from_first, t1 + $reach >= CAST($last AS TIMESTAMPTZ) AS to_last
        FROM touched
    ),
    bounds AS (
        SELECT
            reaches.device_id, from_first, to_last,
            max(seam_time) FILTER (WHERE seam_time < t0 AND (from_first OR seam_time >= low + $margin)) AS from_time,
            min(seam_time) FILTER (WHERE seam_time > t1 AND (to_last OR seam_time <= high - $margin)) AS to_time
        FROM reaches LEFT JOIN seams ON seams.device_id = reaches.device_id
        GROUP BY reaches.device_id, from_first, to_last
    )
    SELECT device_id, from_time, to_time
    FROM bounds
    WHERE (from_time IS NOT NULL OR from_first) AND (to_time IS NOT NULL OR to_last)
"""

FIXES_OF = """
    SELECT fixes.* FROM fixes JOIN {stretch} AS stretch ON stretch.device_id = fixes.device_id
    WHERE (from_time IS NULL OR event_time >= from_time) AND (to_time IS NULL OR event_time < to_time)
"""

TOUCHED_WITHOUT = """
    SELECT * FROM touched WHERE NOT EXISTS (SELECT 1 FROM {stretch} AS stretch WHERE stretch.device_id = touched.device_id)
"""


def _load_fixes(
    engine: Engine, silver: SilverTables, within: tuple[datetime, datetime], reach: timedelta, thresholds: Thresholds
) -> None:
    """Makes the relation `fixes` of those of the devices in `touched` from `reach` before t0 to `reach` after t1."""
    low, high = within[0].isoformat(), within[1].isoformat()
    engine.materialise("reached", "SELECT device_id, t0 - $reach AS low, t1 + $reach AS high FROM touched", {"reach": reach})
    for kind in KINDS:
        engine.expose(f"stored.{kind}", silver.of(kind), between("event_time", low, high))
        engine.define(
            f"silver.{kind}",
            f"""
            SELECT stored.* FROM stored.{kind} AS stored JOIN reached ON reached.device_id = stored.device_id
            WHERE event_time BETWEEN low AND high
                AND event_time BETWEEN CAST('{low}' AS TIMESTAMPTZ) AND CAST('{high}' AS TIMESTAMPTZ)
            """,
        )
    engine.materialise("fixes", fixes_model(thresholds).sql)


def _bounds(engine: Engine) -> tuple[datetime, datetime] | None:
    ((t0, t1),) = engine.rows("SELECT micros(min(t0)), micros(max(t1)) FROM touched")
    return None if t0 is None else (instant(t0), instant(t1))
