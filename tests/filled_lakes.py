"""Small lakes in homes, of two tables with a few commits, and all that is to be seen of them."""

from __future__ import annotations

import sqlite3
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa

from fleetlake.config.settings import Settings
from fleetlake.config.wiring import open_lake_from, open_unchecked_lake
from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.events import VEHICLE, WEATHER
from fleetlake.contracts.tables import bronze_of
from fleetlake.lake.catalog import Lake
from fleetlake.lake.commits import commit
from fleetlake.lake.ownership import OBJECT
from fleetlake.lake.write import write_files
from fleetlake.maintain.compaction import CompactionPolicy, compact
from fleetlake.maintain.erase_attempts import Wiring

TABLES = [bronze_of(VEHICLE), bronze_of(WEATHER)]
WIRING = Wiring({}, lambda lake: None, lambda attempt: None)


def append(lake: Lake, name: str, offset: int) -> None:
    table = next(one for one in TABLES if one.name == name)
    device = f"veh-{offset % 2}"
    rows = pa.Table.from_pylist([{"kafka_partition": 0, "kafka_offset": offset, "device_id": device}], schema=table_schema(table))
    folder = f"job/{uuid.uuid4().hex}"
    commit(lake.table(name), added=write_files(lake.table(name), rows, folder=folder), properties={"x": str(offset)})


def fill(home: Path, offsets: range = range(2)) -> None:
    """A few commits to each table, and a compaction: manifests that others replaced are among the snapshots."""
    with closing(open_lake_from(Settings(home=home))) as lake:
        lake.ensure(TABLES)
        for table in TABLES:
            for offset in offsets:
                append(lake, table.name, offset)
            compact(lake, table.name, CompactionPolicy(), wait=lambda attempt: None, read_up_to=set())


def rows_of(lake: Lake) -> dict[str, list[Any]]:
    """Every row of every table at every snapshot."""
    found: dict[str, list[Any]] = {}
    for table in (lake.table(table.name) for table in TABLES):
        for snapshot in table.snapshots():
            rows = table.scan(snapshot_id=snapshot.snapshot_id, selected_fields=("kafka_offset", "device_id")).to_arrow()
            found[f"{table.name()}@{snapshot.snapshot_id}"] = rows.sort_by("kafka_offset").to_pylist()
    return found


def seen(home: Path) -> dict[str, list[Any]]:
    with closing(open_unchecked_lake(Settings(home=home))) as lake:
        return rows_of(lake)


def without_identity(home: Path) -> None:
    """As a lake of 556f44c is."""
    with closing(sqlite3.connect(home / "catalog.db")) as connection, connection:
        connection.execute("DROP TABLE fleetlake_lake")
    (home / "warehouse" / OBJECT).unlink()
