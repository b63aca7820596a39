"""Which hours, days or weeks of which devices have to be computed again, for tables with a row per device and period.

A row is made of rows whose own time, or start, is in its period, so new rows change no other period by themselves. But they can
change episodes (a trip that is made of two now) that started in another one. How far that goes, windows.py knows: all periods that
a stretch of such an episode's table touches are computed again.
"""

from __future__ import annotations

from collections.abc import Sequence

from fleetlake.contracts.table import Table
from fleetlake.transform.engine import TransformEngine
from fleetlake.transform.models import Model
from fleetlake.transform.sources import Material, Sources
from fleetlake.transform.windows import find_stretches, within_stretches


def compute_periods(
    engine: TransformEngine,
    sources: Sources,
    episodes: Sequence[tuple[Table, Material, Model]],
    table: Table,
    read: Sequence[Table],
    model: Model,
) -> None:
    """Makes the relations `stretch` (device_id, from_time, to_time) and `episodes` of `touched`, which is used up.

    episodes: those of the tables read whose rows reach over periods, with what finds their stretches. read: all tables read.
    """
    engine.materialise("reached_0", "SELECT device_id, t0 AS from_time, t1 AS to_time FROM touched")
    engine.materialise("touched_at_first", "SELECT * FROM touched")
    for number, (_, material, seams) in enumerate(episodes, 1):
        engine.materialise("touched", "SELECT * FROM touched_at_first")
        for _ in find_stretches(engine, sources, material, seams):
            pass  # only the stretches are wanted
        engine.materialise(f"reached_{number}", "SELECT device_id, from_time, to_time FROM stretch")
    reached = " UNION ALL ".join(f"SELECT * FROM reached_{number}" for number in range(len(episodes) + 1))
    engine.materialise("stretch", PERIODS.format(reached=reached, period=table.period))
    for number, source in enumerate(read):
        within = within_stretches(engine, source.partition_by)
        engine.expose(f"stored.read_{number}", sources[source.name], within)
        engine.define(
            source.name,
            f"""
            SELECT stored.* FROM stored.read_{number} AS stored JOIN stretch ON stretch.device_id = stored.{table.entity}
            WHERE (from_time IS NULL OR stored.{source.partition_by} >= from_time)
                AND (to_time IS NULL OR stored.{source.partition_by} < to_time)
            """,
        )
    engine.materialise("episodes", model.sql, model.settings)


PERIODS = """
    SELECT
        device_id,
        CASE WHEN bool_or(from_time IS NULL) THEN NULL ELSE date_trunc('{period}', min(from_time)) END AS from_time,
        CASE WHEN bool_or(to_time IS NULL) THEN NULL ELSE date_trunc('{period}', max(to_time)) + INTERVAL 1 {period} END AS to_time
    FROM ({reached}) AS reached
    GROUP BY device_id
"""
