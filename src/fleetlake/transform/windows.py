"""Which stretches of which devices' rows have to be computed again for new rows.

A new row can change an episode (a trip, a stop) only as far as the episode reaches, and that has no bound known beforehand: a
vehicle may stand for weeks. So the bounds are looked for in the data. A model comes with a second one that finds its seams:
instants at which a device's rows can be cut in two, just before seam_time, so that the results of the halves, taken together, are
those of the whole. Each seam says how much of the data shows that it is one: as long as no row from settled_from to settled_until
is added, taken away or changed, it stays a seam, whatever happens elsewhere.

All rows of a device that were added or changed lie from t0 to t1. Take a seam L that is settled before t0 and a seam R that is
settled after t1. They were seams before the change too, so the results that start outside [L, R) stay as they are, and those that
start inside are what the model makes of the rows from L.settled_from to R.settled_until: among these, L and R are seams as well.

One thing crosses a seam: a later fix shows that an open episode is over. But an open episode reaches to the end of the old fixes,
and L is settled before the new ones. It is not in an open stop, whose fixes are all at rest, nor in an open trip, which the old
fixes end within trip_end_s of its last motion. So L is before the open episode, and [L, R) takes it in.
The search looks at a day on either side first, then at eight, then at sixty-four, for the devices that need it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from pyiceberg.expressions import BooleanExpression

from fleetlake.contracts.table import Table
from fleetlake.lake.scan import quote
from fleetlake.transform.bounds import between, instant
from fleetlake.transform.engine import TransformEngine
from fleetlake.transform.models import Model
from fleetlake.transform.sources import Material, Sources

FIRST_REACH = timedelta(days=1)
WIDER = 8


def compute_all(engine: TransformEngine, sources: Sources, material: Material, model: Model) -> None:
    """Makes the relations `stretch` (device_id) and `episodes`: what a model makes of everything, some devices at a time.

    A share is of about as many rows as the engine likes at once, or one device: what it holds does not grow with the lake.
    """
    for number, name in enumerate((*material.tables, *material.beside)):
        engine.expose(f"whole.part_{number}", sources[name])
    made = []
    for share, (first, last) in enumerate(_shares(engine, sources, material)):
        within = f"device_id BETWEEN {quote(first)} AND {quote(last)}"
        for number, name in enumerate((*material.tables, *material.beside)):
            engine.define(name, f"SELECT * FROM whole.part_{number} WHERE {within}")
        engine.define(material.name, material.model.sql)
        material.define_views(engine)
        made.append(f"episodes_{share}")
        engine.materialise(made[-1], model.sql, model.settings)
    devices = " UNION ALL ".join(f"SELECT device_id FROM whole.part_{number}" for number in range(len(material.tables)))
    engine.materialise("stretch", f"SELECT DISTINCT device_id FROM ({devices}) AS devices")
    engine.define("episodes", " UNION ALL ".join(f"SELECT * FROM {name}" for name in made))


def _shares(engine: TransformEngine, sources: Sources, material: Material) -> list[tuple[str, str]]:
    """First and last device of each share."""
    parts = range(len(material.tables))
    counted = " UNION ALL ".join(f"SELECT device_id, count(*) AS n FROM whole.part_{part} GROUP BY device_id" for part in parts)
    return engine.rows(
        f"""
        SELECT min(device_id), max(device_id)
        FROM (
            SELECT device_id, floor((sum(n) OVER (ORDER BY device_id) - n) / $rows_at_once) AS share
            FROM (SELECT device_id, sum(n) AS n FROM ({counted}) AS counted GROUP BY device_id) AS devices
        ) AS shares
        GROUP BY share
        ORDER BY share
        """,
        {"rows_at_once": engine.rows_at_once},
    ) or [("", "")]


def expose_touched(
    engine: TransformEngine, sources: Sources, holds_s: Mapping[str, float], read: Mapping[str, int], entity: str = "device_id"
) -> bool:
    """Makes the relation `touched` (device_id, t0, t1): devices with rows added since `read` (sequences), and when those matter.

    holds_s: the tables, and for how long a row of theirs does. entity: the column that is called device_id here. False if nothing
    was added.
    """
    parts = []
    for number, (name, holds) in enumerate(holds_s.items()):
        engine.expose_files(f"added.part_{number}", sources[name], sources.added(name, read[name]))
        until = f"event_time + {holds!r} * INTERVAL 1 SECOND"
        parts.append(f"SELECT {entity} AS device_id, event_time AS t0, {until} AS t1 FROM added.part_{number}")
    added = " UNION ALL ".join(parts)
    engine.materialise("touched", f"SELECT device_id, min(t0) AS t0, max(t1) AS t1 FROM ({added}) AS added GROUP BY device_id")
    return _bounds(engine) is not None


def find_stretches(engine: TransformEngine, sources: Sources, material: Material, seams: Model) -> Iterator[str]:
    """Names of relations (device_id, from_time, to_time: [L, R), null where the data ends; read_from, read_to) of `touched`.

    As many devices at a time as the same reach does for; `touched` is used up. Meanwhile the material's relations are of these
    devices, as far as the reach goes. At the end the relation `stretch` is all of them.
    """
    first, last = sources.span()
    reach, parts = FIRST_REACH, 0
    while bounds := _bounds(engine):
        _load_reached(engine, sources, material, (bounds[0] - reach, bounds[1] + reach), reach)
        engine.materialise("seams", seams.sql, seams.settings)
        ends: dict[str, str | float | timedelta] = {"first": first.isoformat(), "last": last.isoformat()}
        engine.materialise(f"stretch_{parts}", STRETCHES, ends | {"reach": reach})
        yield f"stretch_{parts}"
        engine.materialise("touched", TOUCHED_WITHOUT.format(stretch=f"stretch_{parts}"))
        parts += 1
        reach = min(reach * WIDER, last - first + FIRST_REACH)
    engine.define("stretch", " UNION ALL ".join(f"SELECT * FROM stretch_{part}" for part in range(parts)))


def compute_touched(
    engine: TransformEngine, sources: Sources, material: Material, seams: Model, table: Table, model: Model
) -> None:
    """Makes the relations `stretch` and `episodes`: what a table's model makes of the stretches of `touched`."""
    made = []
    for stretch in find_stretches(engine, sources, material, seams):
        engine.materialise(material.name, CUT.format(rows=material.name, stretch=stretch))
        material.define_views(engine)
        made.append(stretch.replace("stretch", "episodes"))
        engine.materialise(made[-1], WITHIN.format(model=model.sql, start=table.partition_by, stretch=stretch), model.settings)
    engine.define("episodes", " UNION ALL ".join(f"SELECT * FROM {name}" for name in made))


STRETCHES = """
    WITH reaches AS (
        SELECT
            *, t0 - $reach AS low, t1 + $reach AS high,
            t0 - $reach <= CAST($first AS TIMESTAMPTZ) AS from_first, t1 + $reach >= CAST($last AS TIMESTAMPTZ) AS to_last
        FROM touched
    ),
    judged AS (
        SELECT
            reaches.device_id, from_first, to_last, seam_time, settled_from, settled_until,
            seam_time < t0 AND settled_until < t0 AND (from_first OR settled_from >= low) AS is_lower,
            seam_time > t1 AND settled_from > t1 AND (to_last OR settled_until <= high) AS is_upper
        FROM reaches LEFT JOIN seams ON seams.device_id = reaches.device_id
    ),
    bounds AS (
        SELECT
            device_id, from_first, to_last,
            max(CASE WHEN is_lower THEN seam_time END) AS from_time, min(CASE WHEN is_upper THEN seam_time END) AS to_time
        FROM judged
        GROUP BY device_id, from_first, to_last
    )
    SELECT
        bounds.device_id, bounds.from_time, bounds.to_time,
        min(CASE WHEN is_lower AND seam_time = from_time THEN settled_from END) AS read_from,
        max(CASE WHEN is_upper AND seam_time = to_time THEN settled_until END) AS read_to
    FROM bounds JOIN judged ON judged.device_id = bounds.device_id
    WHERE (bounds.from_time IS NOT NULL OR bounds.from_first) AND (bounds.to_time IS NOT NULL OR bounds.to_last)
    GROUP BY bounds.device_id, bounds.from_time, bounds.to_time
"""

CUT = """
    SELECT whole.* FROM {rows} AS whole JOIN {stretch} AS stretch ON stretch.device_id = whole.device_id
    WHERE (read_from IS NULL OR event_time >= read_from) AND (read_to IS NULL OR event_time <= read_to)
"""

WITHIN = """
    SELECT made.* FROM ({model}) AS made JOIN {stretch} AS stretch ON stretch.device_id = made.device_id
    WHERE (from_time IS NULL OR made.{start} >= from_time) AND (to_time IS NULL OR made.{start} < to_time)
"""

TOUCHED_WITHOUT = """
    SELECT * FROM touched WHERE NOT EXISTS (SELECT 1 FROM {stretch} AS stretch WHERE stretch.device_id = touched.device_id)
"""


def within_stretches(engine: TransformEngine, column: str) -> BooleanExpression:
    """What holds for a time in any stretch of the relation `stretch`."""
    ((low, high, is_open_below, is_open_above),) = engine.rows("""
        SELECT micros(min(from_time)), micros(max(to_time)), bool_or(from_time IS NULL), bool_or(to_time IS NULL) FROM stretch
    """)
    return between(
        column,
        None if is_open_below or low is None else instant(low).isoformat(),
        None if is_open_above or high is None else instant(high).isoformat(),
    )


def _load_reached(
    engine: TransformEngine, sources: Sources, material: Material, within: tuple[datetime, datetime], reach: timedelta
) -> None:
    """Makes the material's relations of those of the devices in `touched` from `reach` before t0 to `reach` after t1."""
    engine.materialise("reached", "SELECT device_id, t0 - $reach AS low, t1 + $reach AS high FROM touched", {"reach": reach})
    for number, name in enumerate((*material.tables, *material.beside)):
        holds_s = material.holds_s(name)
        low, high = (within[0] - timedelta(seconds=holds_s)).isoformat(), within[1].isoformat()
        engine.expose(f"stored.part_{number}", sources[name], between("event_time", low, high))
        engine.define(
            name,
            f"""
            SELECT stored.* FROM stored.part_{number} AS stored JOIN reached ON reached.device_id = stored.device_id
            WHERE event_time BETWEEN low - {holds_s!r} * INTERVAL 1 SECOND AND high
                AND event_time BETWEEN CAST('{low}' AS TIMESTAMPTZ) AND CAST('{high}' AS TIMESTAMPTZ)
            """,
        )
    engine.materialise(material.name, material.model.sql)
    material.define_views(engine)


def _bounds(engine: TransformEngine) -> tuple[datetime, datetime] | None:
    ((t0, t1),) = engine.rows("SELECT micros(min(t0)), micros(max(t1)) FROM touched")
    return None if t0 is None else (instant(t0), instant(t1))
