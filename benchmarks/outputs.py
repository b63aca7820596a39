"""The tables systems write to, and what is in them afterwards: nothing is believed that was not read back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.transforms import DayTransform
from pyiceberg.types import DoubleType, IcebergType, ListType, NestedField

from fleetlake.contracts.columns import Type
from fleetlake.contracts.events import VEHICLE
from fleetlake.contracts.iceberg import ICEBERG_TYPES
from fleetlake.lake.catalog import TABLE_PROPERTIES, local_path, row_count

PEER_CATALOG, PEER_FILE = "lake", "catalog.db"


@dataclass(frozen=True, slots=True)
class Output:
    """One table: the SQLite catalog's file and name, the table's name, the columns with the event's id and its time."""

    file: Path
    catalog: str
    table: str
    id: str = "id"
    time: str = "timestamp"

    def load(self) -> Table:
        return SqlCatalog(self.catalog, uri=f"sqlite:///{self.file}").load_table(self.table)


def ours(file: Path, catalog: str) -> Output:
    return Output(file, catalog, f"bronze.{VEHICLE.kind}", "event_id", "event_time")


def peers(home: Path, phase: str) -> Output:
    return Output(home / PEER_FILE, PEER_CATALOG, f"{phase}.{VEHICLE.kind}")


def make_peer_tables(home: Path, phases: tuple[str, ...]) -> None:
    """The same table for each peer: the event's fields under their names on the wire, by day, with our tables' properties."""
    home.mkdir(parents=True, exist_ok=True)
    catalog = SqlCatalog(PEER_CATALOG, uri=f"sqlite:///{home / PEER_FILE}", warehouse=f"file://{home}/warehouse")
    columns = [NestedField(i, field.name, _type(field.type, 100 + i)) for i, field in enumerate(VEHICLE.fields, 1)]
    by_day = next(column.field_id for column in columns if column.name == "timestamp")
    spec = PartitionSpec(PartitionField(by_day, 1000, DayTransform(), "day"))
    retried = {name: value for name, value in TABLE_PROPERTIES.items() if name != "commit.retry.num-retries"}
    for phase in phases:
        catalog.create_namespace(phase)
        catalog.create_table(f"{phase}.{VEHICLE.kind}", Schema(*columns), partition_spec=spec, properties=retried)


def _type(type: Type, element_id: int) -> IcebergType:
    return ListType(element_id, DoubleType(), element_required=False) if type is Type.LOCATION else ICEBERG_TYPES[type]


@dataclass(frozen=True, slots=True)
class Found:
    """rows, distinct ids, and when the first and the last snapshot with rows were committed (time of day, s)."""

    rows: int
    distinct: int
    first_commit_at: float
    last_commit_at: float


def read_back(output: Output) -> Found:
    """From the table's files themselves."""
    table = output.load()
    files = data_files(table)
    if not files:
        return Found(0, 0, 0.0, 0.0)
    times = [s.timestamp_ms / 1000 for s in table.snapshots() if s.summary and int(s.summary["added-records"] or 0)]
    with duckdb.connect() as con:
        ((rows, distinct),) = con.execute(
            f'SELECT count(*), count(DISTINCT "{output.id}") FROM read_parquet(?)', [files]
        ).fetchall()
    return Found(rows, distinct, min(times), max(times))


def data_files(table: Table) -> list[str]:
    return [local_path(task.file.file_path) or task.file.file_path for task in table.scan().plan_files()]


def rows_committed(output: Output) -> int:
    """By the newest snapshot's summary: cheap enough to ask while a system runs."""
    return row_count(output.load())
