"""Silver to gold: the episodes that new rows can have changed, computed again and put in place of the old ones, in one commit."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import pyarrow as pa
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table as IcebergTable

from fleetlake.contracts.events import GPS, VEHICLE
from fleetlake.contracts.tables import Table, silver_of
from fleetlake.lake.catalog import Lake
from fleetlake.lake.commits import Conflict, commit
from fleetlake.lake.scan import expose_files
from fleetlake.lake.write import write_files
from fleetlake.transform.engine import engine, materialise
from fleetlake.transform.marker import Marker, Source, read_marker, source_now
from fleetlake.transform.models import fixes_model, seams_model, table_model
from fleetlake.transform.settings import Thresholds, TransformSettings
from fleetlake.transform.windows import SilverTables, expose_touched, load_all_fixes, stretches


@dataclass(frozen=True, slots=True)
class GoldCounts:
    """One run: episodes computed, those of them that were new or different, and old ones taken out (changed ones are in both)."""

    table: str
    devices: int = 0
    computed: int = 0
    added: int = 0
    removed: int = 0
    rebuilt: bool = False


def refresh_gold(lake: Lake, table: Table, settings: TransformSettings, *, full: bool) -> GoldCounts:
    """Brings one gold table up to silver, by one commit or, if silver has nothing new, by none.

    Afterwards the table is what its model makes of all of silver, whichever way silver's rows were divided into runs (windows.py
    says why). Only data files that hold a row which is gone or different now are written anew. `full`, or another model than the
    table was made with, computes all of it. Raises Conflict if the table was changed meanwhile; nothing was changed then.
    """
    gold = lake.table(table.name)
    silver = SilverTables(lake.table("silver.gps"), lake.table("silver.vehicle"))
    now = {"silver.gps": source_now(silver.gps), "silver.vehicle": source_now(silver.vehicle)}
    marker = Marker(definition(table, settings.thresholds), now)
    before = read_marker(gold)
    rebuild = full or (before is not None and before.definition != marker.definition)
    if before and before.sources == now and not rebuild:
        return GoldCounts(table.name)
    with engine(settings) as con:
        if before is None or rebuild:
            found = _build(con, table, silver, gold, settings.thresholds)
        else:
            found = _rebuild_touched(con, table, silver, gold, settings.thresholds, before.sources)
        if not found and not rebuild:
            return GoldCounts(table.name)
        counts = _compare(con, table, rebuilt=rebuild)
        _replace(con, table, gold, marker)
    return counts


def definition(table: Table, thresholds: Thresholds) -> str:
    """Digest of all statements and settings the rows of a gold table depend on."""
    models = [
        table_model(table, thresholds), fixes_model(thresholds),
        table_model(silver_of(GPS), thresholds), table_model(silver_of(VEHICLE), thresholds),
    ]  # fmt: skip
    return hashlib.sha256(" ".join(model.digest for model in models).encode()).hexdigest()[:16]


def _build(con: duckdb.DuckDBPyConnection, table: Table, silver: SilverTables, gold: IcebergTable, thresholds: Thresholds) -> bool:
    """Makes the tables `episodes` and `existing` of everything. False if there are no fixes."""
    load_all_fixes(con, silver, thresholds)
    materialise(con, "episodes", table_model(table, thresholds))
    expose_files(con, gold, "gold.stored", _files(gold))
    con.execute("CREATE OR REPLACE TEMP TABLE existing AS SELECT * FROM gold.stored")
    con.execute("CREATE OR REPLACE TEMP TABLE stretch AS SELECT DISTINCT device_id FROM fixes")
    return _count(con, "fixes") > 0


def _rebuild_touched(
    con: duckdb.DuckDBPyConnection,
    table: Table,
    silver: SilverTables,
    gold: IcebergTable,
    thresholds: Thresholds,
    read: Mapping[str, Source],
) -> bool:
    """Makes the tables `episodes` and `existing` of the stretches that new silver rows touch. False if there are no new rows."""
    if not expose_touched(con, silver, {name: source.sequence for name, source in read.items()}):
        return False
    model, seams = table_model(table, thresholds), seams_model(table, thresholds)
    con.execute("CREATE OR REPLACE TEMP TABLE fixes AS SELECT 1")
    parts = 0
    for _ in stretches(con, silver, seams, thresholds):
        materialise(con, f"episodes_{parts}", model)
        parts += 1
    union = " UNION ALL ".join(f"SELECT * FROM episodes_{part}" for part in range(parts))
    con.execute(f"CREATE OR REPLACE TEMP TABLE episodes AS {union}")
    expose_files(con, gold, "gold.stored", _files(gold))
    con.execute("""
        CREATE OR REPLACE TEMP TABLE existing AS
        SELECT stored.* FROM gold.stored AS stored JOIN stretch USING (device_id)
        WHERE stored.start_time >= stretch.from_time AND stored.start_time < stretch.to_time
    """)
    return True


def _compare(con: duckdb.DuckDBPyConnection, table: Table, *, rebuilt: bool) -> GoldCounts:
    """Makes the tables `fresh` and `gone`: rows to add and ids to take out. A row that came out the same is in neither."""
    columns = ", ".join(column.name for column in table.columns)
    con.execute(f"CREATE OR REPLACE TEMP TABLE fresh AS SELECT {columns} FROM episodes EXCEPT SELECT {columns} FROM existing")
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE gone AS
        SELECT {table.columns[0].name} AS id FROM (SELECT {columns} FROM existing EXCEPT SELECT {columns} FROM episodes)
    """)
    return GoldCounts(
        table.name, _count(con, "stretch"), _count(con, "episodes"), _count(con, "fresh"), _count(con, "gone"), rebuilt
    )


def _replace(con: duckdb.DuckDBPyConnection, table: Table, gold: IcebergTable, marker: Marker) -> None:
    """Commits `fresh` without `gone`: files that hold rows of `gone` are replaced by what else they hold."""
    removed, added = [], [con.sql("SELECT * FROM fresh").to_arrow_table()]
    key = table.columns[0].name
    for file in _files(gold) if _count(con, "gone") else []:
        expose_files(con, gold, "gold.file", [file])
        kept = con.sql(f"SELECT * FROM gold.file WHERE {key} NOT IN (SELECT id FROM gone)").to_arrow_table()
        if kept.num_rows < file.record_count:
            removed.append(file)
            added.append(kept)
    written = write_files(gold, pa.concat_tables(added), folder=f"transform/{uuid.uuid4().hex}", sort=table.sort)
    try:
        commit(gold, added=written, removed=removed, properties=marker.properties())
    except Conflict:
        for file in written:
            gold.io.delete(file.file_path)
        raise


def _files(table: IcebergTable) -> list[DataFile]:
    return [task.file for task in table.scan().plan_files()]


def _count(con: duckdb.DuckDBPyConnection, name: str) -> int:
    ((rows,),) = con.execute(f"SELECT count(*) FROM {name}").fetchall()
    return int(rows)
