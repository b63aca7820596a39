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

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb
from pyiceberg.expressions import BooleanExpression
from pyiceberg.expressions.parser import parse
from pyiceberg.table import Table as IcebergTable

from fleetlake.lake.scan import expose, expose_added
from fleetlake.transform.engine import materialise
from fleetlake.transform.models import Model, fixes_model
from fleetlake.transform.settings import Thresholds

FIRST_REACH = timedelta(days=1)
WIDER = 8
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


@dataclass(frozen=True, slots=True)
class SilverTables:
    """The tables fixes are made of, as they were loaded: all reads of a run see the same snapshots."""

    gps: IcebergTable
    vehicle: IcebergTable

    def span(self) -> tuple[datetime, datetime]:
        """From the first day of the fixes to the end of the last."""
        days = [task.file.partition[0] for task in self.gps.scan().plan_files()] or [0]
        return EPOCH + timedelta(days=min(days)), EPOCH + timedelta(days=max(days) + 1)


def expose_touched(con: duckdb.DuckDBPyConnection, silver: SilverTables, read: Mapping[str, int]) -> bool:
    """Makes the table `touched` (device_id, t0, t1): the devices with rows added since `read` (sequences), and when those were.

    False if nothing was added.
    """
    expose_added(con, silver.gps, "added.gps", after_sequence=read["silver.gps"])
    expose_added(con, silver.vehicle, "added.vehicle", after_sequence=read["silver.vehicle"])
    con.execute("""
        CREATE OR REPLACE TEMP TABLE touched AS
        SELECT device_id, min(event_time) AS t0, max(event_time) AS t1
        FROM (SELECT device_id, event_time FROM added.gps UNION ALL SELECT device_id, event_time FROM added.vehicle)
        GROUP BY device_id
    """)
    return _bounds(con) is not None


def stretches(con: duckdb.DuckDBPyConnection, silver: SilverTables, seams: Model, thresholds: Thresholds) -> Iterator[None]:
    """Goes through the devices in the table `touched`, as many at a time as the same reach does for, and uses it up.

    At each yield the table `fixes` holds their stretches' fixes, and the table `stretch` (device_id, from_time, to_time: [L, R),
    infinite where the data ends) has got a row for each.
    """
    con.execute("CREATE OR REPLACE TEMP TABLE stretch (device_id VARCHAR, from_time TIMESTAMPTZ, to_time TIMESTAMPTZ)")
    first, last = silver.span()
    reach = FIRST_REACH
    while bounds := _bounds(con):
        low, high = max(first, bounds[0] - reach), min(last, bounds[1] + reach)
        within = parse(f"event_time >= '{low.isoformat()}' and event_time <= '{high.isoformat()}'")
        _load_fixes(con, silver, within, reach, thresholds)
        materialise(con, "seams", seams)
        # Near the edge of what was read a seam may only seem to be one; that far in, its model has seen all it looks at.
        con.execute(RESOLVE, {"first": first, "last": last, "reach": reach, "margin": timedelta(seconds=2 * thresholds.trip_end_s)})
        con.execute(TRIM)
        yield
        con.execute("DELETE FROM touched WHERE device_id IN (SELECT device_id FROM stretch)")
        reach = min(reach * WIDER, last - first + FIRST_REACH)


RESOLVE = """
    INSERT INTO stretch
    WITH reaches AS (
        SELECT *, t0 - $reach AS low, t1 + $reach AS high, t0 - $reach <= $first AS from_first, t1 + $reach >= $last AS to_last
        FROM touched
    ),
    bounds AS (
        SELECT
            device_id, from_first, to_last,
            max(seam_time) FILTER (WHERE seam_time < t0 AND (from_first OR seam_time >= low + $margin)) AS before,
            min(seam_time) FILTER (WHERE seam_time > t1 AND (to_last OR seam_time <= high - $margin)) AS after
        FROM reaches LEFT JOIN seams USING (device_id)
        GROUP BY ALL
    )
    SELECT device_id, coalesce(before, '-infinity'), coalesce(after, 'infinity')
    FROM bounds
    WHERE (before IS NOT NULL OR from_first) AND (after IS NOT NULL OR to_last)
"""

TRIM = """
    DELETE FROM fixes WHERE NOT EXISTS (
        SELECT 1 FROM stretch
        WHERE stretch.device_id = fixes.device_id AND event_time >= from_time AND event_time < to_time
    )
"""


def load_all_fixes(con: duckdb.DuckDBPyConnection, silver: SilverTables, thresholds: Thresholds) -> None:
    """Makes the table `fixes` of all there are."""
    expose(con, silver.gps, "silver.gps")
    expose(con, silver.vehicle, "silver.vehicle")
    materialise(con, "fixes", fixes_model(thresholds))


def _load_fixes(
    con: duckdb.DuckDBPyConnection, silver: SilverTables, within: BooleanExpression, reach: timedelta, thresholds: Thresholds
) -> None:
    """Makes the table `fixes` of those of the devices in `touched` from `reach` before t0 to `reach` after t1."""
    con.execute("CREATE OR REPLACE TEMP TABLE reached AS SELECT device_id, t0 - $reach AS low, t1 + $reach AS high FROM touched",
                {"reach": reach})  # fmt: skip
    for table, kind in ((silver.gps, "gps"), (silver.vehicle, "vehicle")):
        expose(con, table, f"stored.{kind}", row_filter=within)
        con.execute(f"""
            CREATE SCHEMA IF NOT EXISTS silver;
            CREATE OR REPLACE VIEW silver.{kind} AS
            SELECT stored.* FROM stored.{kind} AS stored JOIN reached USING (device_id) WHERE event_time BETWEEN low AND high
        """)
    materialise(con, "fixes", fixes_model(thresholds))


def _bounds(con: duckdb.DuckDBPyConnection) -> tuple[datetime, datetime] | None:
    (row,) = con.sql("SELECT min(t0) AS t0, max(t1) AS t1 FROM touched").to_arrow_table().to_pylist()
    return (row["t0"], row["t1"]) if row["t0"] is not None else None
