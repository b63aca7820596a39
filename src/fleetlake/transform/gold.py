"""Silver to gold: the episodes that new rows can have changed, computed again and put in place of the old ones, in one commit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from pyiceberg.expressions import BooleanExpression
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table as IcebergTable

from fleetlake.contracts.events import GPS, VEHICLE
from fleetlake.contracts.tables import Table, silver_of
from fleetlake.lake.catalog import Lake
from fleetlake.transform.bounds import between, instant
from fleetlake.transform.engine import Engine, Engines
from fleetlake.transform.marker import Marker, Source, read_marker, source_now
from fleetlake.transform.models import fixes_model, seams_model, table_model
from fleetlake.transform.settings import Thresholds
from fleetlake.transform.windows import SilverTables, compute_touched, expose_touched, load_all_fixes
from fleetlake.transform.writing import write_and_commit


@dataclass(frozen=True, slots=True)
class GoldCounts:
    """One run: episodes computed, those of them that were new or different, and old ones taken out (changed ones are in both)."""

    table: str
    devices: int = 0
    computed: int = 0
    added: int = 0
    removed: int = 0
    rebuilt: bool = False


def refresh_gold(lake: Lake, table: Table, thresholds: Thresholds, engines: Engines, *, full: bool) -> GoldCounts:
    """Brings one gold table up to silver, by one commit or, if silver has nothing new, by none.

    Afterwards the table is what its model makes of all of silver, whichever way silver's rows were divided into runs (windows.py
    says why). Only data files that hold a row which is gone or different now are written anew. `full`, or another model than the
    table was made with, computes all of it. Raises Conflict if the table was changed meanwhile; nothing was changed then.
    """
    gold = lake.table(table.name)
    silver = SilverTables(lake.table("silver.gps"), lake.table("silver.vehicle"))
    now = {"silver.gps": source_now(silver.gps), "silver.vehicle": source_now(silver.vehicle)}
    marker = Marker(definition(table, thresholds), now)
    before = read_marker(gold)
    rebuild = full or (before is not None and before.definition != marker.definition)
    if not rebuild and (silver.is_empty() if before is None else before.sources == now):
        return GoldCounts(table.name)
    with engines() as engine:
        if before is None or rebuild:
            found = _build(engine, table, silver, gold, thresholds)
        else:
            found = _rebuild_touched(engine, table, silver, gold, thresholds, before.sources)
        if not found and not rebuild:
            return GoldCounts(table.name)
        counts = _compare(engine, table, rebuilt=rebuild)
        _replace(engine, table, gold, marker, counts)
    return counts


def definition(table: Table, thresholds: Thresholds) -> str:
    """Digest of all statements and settings the rows of a gold table depend on."""
    models = [
        table_model(table, thresholds), fixes_model(thresholds),
        table_model(silver_of(GPS), thresholds), table_model(silver_of(VEHICLE), thresholds),
    ]  # fmt: skip
    return hashlib.sha256(" ".join(model.digest for model in models).encode()).hexdigest()[:16]


def _build(engine: Engine, table: Table, silver: SilverTables, gold: IcebergTable, thresholds: Thresholds) -> bool:
    """Makes the relations `episodes`, `existing` and `stretch` of everything. False if there are no fixes."""
    load_all_fixes(engine, silver, thresholds)
    model = table_model(table, thresholds)
    engine.materialise("episodes", model.sql, model.settings)
    engine.expose("existing", gold)
    engine.materialise("stretch", "SELECT DISTINCT device_id FROM fixes")
    return _count(engine, "stretch") > 0


def _rebuild_touched(
    engine: Engine,
    table: Table,
    silver: SilverTables,
    gold: IcebergTable,
    thresholds: Thresholds,
    read: Mapping[str, Source],
) -> bool:
    """Makes those relations of the stretches that new silver rows touch. False if there are no new rows."""
    if not expose_touched(engine, silver, {name: source.sequence for name, source in read.items()}):
        return False
    compute_touched(engine, silver, table_model(table, thresholds), seams_model(table, thresholds), thresholds)
    engine.expose("gold.stored", gold, _within_stretches(engine))
    engine.materialise(
        "existing",
        """
        SELECT stored.* FROM gold.stored AS stored JOIN stretch ON stretch.device_id = stored.device_id
        WHERE (from_time IS NULL OR stored.start_time >= from_time) AND (to_time IS NULL OR stored.start_time < to_time)
        """,
    )
    return True


def _within_stretches(engine: Engine) -> BooleanExpression:
    """What holds for the start of every episode in a stretch."""
    ((low, high, is_open_below, is_open_above),) = engine.rows("""
        SELECT micros(min(from_time)), micros(max(to_time)), bool_or(from_time IS NULL), bool_or(to_time IS NULL) FROM stretch
    """)
    return between(
        "start_time",
        None if is_open_below else instant(low).isoformat(),
        None if is_open_above else instant(high).isoformat(),
    )


def _compare(engine: Engine, table: Table, *, rebuilt: bool) -> GoldCounts:
    """Makes the relations `fresh` and `gone`: rows to add, and ids to take out. A row that came out the same is in neither."""
    columns = ", ".join(column.name for column in table.columns)
    key = table.columns[0].name
    engine.materialise("fresh", f"SELECT {columns} FROM episodes EXCEPT SELECT {columns} FROM existing")
    engine.materialise(
        "gone",
        f"""
        SELECT {key} AS id, {table.partition_by} AS at_time
        FROM (SELECT {columns} FROM existing EXCEPT SELECT {columns} FROM episodes) AS gone
        """,
    )
    relations = ("stretch", "episodes", "fresh", "gone")
    ((devices, computed, added, removed),) = engine.rows(
        "SELECT " + ", ".join(f"(SELECT count(*) FROM {name})" for name in relations)
    )
    return GoldCounts(table.name, devices, computed, added, removed, rebuilt)


def _replace(engine: Engine, table: Table, gold: IcebergTable, marker: Marker, counts: GoldCounts) -> None:
    """Commits `fresh` without `gone`: files that hold rows of `gone` are replaced by what else they hold."""
    key = table.columns[0].name
    columns = ", ".join(column.name for column in table.columns)
    removed = _files_with_gone(engine, table, gold) if counts.removed else []
    engine.expose_files("gold.replaced", gold, removed)
    engine.define(
        "written",
        f"""
        SELECT {columns} FROM fresh UNION ALL SELECT {columns} FROM gold.replaced
        WHERE NOT EXISTS (SELECT 1 FROM gone WHERE gone.id = replaced.{key})
        """,
    )
    write_and_commit(engine, "written" if counts.added or removed else None, gold, table.sort, marker, removed)


def _files_with_gone(engine: Engine, table: Table, gold: IcebergTable) -> list[DataFile]:
    ((first, last),) = engine.rows("SELECT micros(min(at_time)), micros(max(at_time)) FROM gone")
    within = between(table.partition_by, instant(first).isoformat(), instant(last).isoformat())
    files = [task.file for task in gold.scan(row_filter=within).plan_files()]
    return engine.files_with(gold, files, table.columns[0].name, "gone")


def _count(engine: Engine, name: str) -> int:
    ((rows,),) = engine.rows(f"SELECT count(*) FROM {name}")
    return int(rows)
