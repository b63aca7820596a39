"""The native engine: DuckDB in this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa
from pyiceberg.expressions import BooleanExpression
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table as IcebergTable

from fleetlake.lake.memory_database import Settings as Limits
from fleetlake.lake.memory_database import memory_database
from fleetlake.lake.partitions import day_column
from fleetlake.lake.scan import damage_named, expose, expose_files
from fleetlake.lake.write import write_files
from fleetlake.transform.engine import NO_SETTINGS, Settings
from fleetlake.transform.models import macros
from fleetlake.transform.settings import TransformSettings


@contextmanager
def native_engine(settings: TransformSettings) -> Iterator[NativeEngine]:
    """An in-memory DuckDB with the models' macros, in UTC, that spills what exceeds its memory to a folder of its own."""
    threads: Limits = {"threads": settings.threads} if settings.threads else {}
    with memory_database("transform", {"memory_limit": settings.memory_limit, **threads}) as con, damage_named(con):
        con.execute(macros())
        yield NativeEngine(con)


class NativeEngine:
    """An Engine on a DuckDB connection."""

    rows_at_once = 1_000_000

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self.con = con

    def expose(self, name: str, table: IcebergTable, row_filter: BooleanExpression | None = None) -> None:
        expose(self.con, table, name, row_filter=row_filter)

    def expose_files(self, name: str, table: IcebergTable, files: Iterable[DataFile]) -> None:
        expose_files(self.con, table, name, files)

    def load(self, name: str, rows: pa.Table) -> None:
        self.con.register("rows_at_hand", rows)
        self.materialise(name, "SELECT * FROM rows_at_hand")
        self.con.unregister("rows_at_hand")

    def define(self, name: str, select: str, settings: Settings = NO_SETTINGS) -> None:
        if settings:  # a view can't have any
            self.materialise(name, select, settings)
            return
        self._make_schema(name)
        self.con.execute(f"CREATE OR REPLACE VIEW {name} AS {select}")

    def materialise(self, name: str, select: str, settings: Settings = NO_SETTINGS) -> None:
        self.con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {select}", dict(settings))

    def rows(self, select: str, settings: Settings = NO_SETTINGS) -> list[tuple[Any, ...]]:
        return self.con.execute(select, dict(settings)).fetchall()

    def files_with(self, table: IcebergTable, files: list[DataFile], key: str, ids: str) -> list[DataFile]:
        return [file for file in files if self._holds(table, file, key, ids)]

    def write(self, name: str, table: IcebergTable, folder: str, sort: tuple[str, ...]) -> list[DataFile]:
        """A day is in memory at a time."""
        time = day_column(table)
        written = []
        for (day,) in self.rows(f"SELECT DISTINCT CAST({time} AS DATE) AS day FROM {name} ORDER BY day"):
            rows = self.con.sql(f"SELECT * FROM {name} WHERE CAST({time} AS DATE) = $day", params={"day": day}).to_arrow_table()
            written += write_files(table, rows, folder=folder, sort=sort)
        return written

    def _holds(self, table: IcebergTable, file: DataFile, key: str, ids: str) -> bool:
        self.expose_files("transform.one_file", table, [file])
        return bool(self.rows(f"SELECT 1 FROM transform.one_file JOIN {ids} AS ids ON ids.id = one_file.{key} LIMIT 1"))

    def _make_schema(self, name: str) -> None:
        schema, dot, _ = name.rpartition(".")
        if dot:
            self.con.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
