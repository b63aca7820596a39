"""What a transform needs of an engine. Statements are in DuckDB's dialect; the Spark engine translates them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any, Protocol

import pyarrow as pa
from pyiceberg.expressions import BooleanExpression
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table as IcebergTable

Settings = Mapping[str, float | str | timedelta]
NO_SETTINGS: Settings = {}


class TransformEngine(Protocol):
    """Relations by name (`name` or `schema.name`), made anew where the name is taken; gone when the engine is closed.

    Statements are SELECTs with settings as `$name` and the macros of the models. Times leave as microseconds since 1970,
    `micros(t)`, and enter as text, `CAST($t AS TIMESTAMPTZ)`.
    """

    rows_at_once: int
    """About how many rows a statement should be given to compute episodes of."""

    def expose(self, name: str, table: IcebergTable, row_filter: BooleanExpression | None = None) -> None:
        """Makes `name` read a table as it was loaded, but for files that can't hold a row that `row_filter` lets through."""

    def expose_files(self, name: str, table: IcebergTable, files: Iterable[DataFile]) -> None:
        """Makes `name` read just these files of a table."""

    def load(self, name: str, rows: pa.Table) -> None:
        """Makes `name` a few rows that are at hand."""

    def define(self, name: str, select: str, settings: Settings = NO_SETTINGS) -> None:
        """Makes `name` the rows of a SELECT, computed where it is read; what it reads must not be made anew meanwhile."""

    def materialise(self, name: str, select: str, settings: Settings = NO_SETTINGS) -> None:
        """Makes `name` the rows of a SELECT, computed once; it may read what `name` was before."""

    def rows(self, select: str, settings: Settings = NO_SETTINGS) -> list[tuple[Any, ...]]:
        """A few rows: counts and bounds."""

    def files_with(self, table: IcebergTable, files: list[DataFile], key: str, ids: str) -> list[DataFile]:
        """Those files that hold a row whose column `key` is in column `id` of the relation `ids`."""

    def write(self, name: str, table: IcebergTable, folder: str, sort: tuple[str, ...]) -> list[DataFile]:
        """Writes a relation with the table's columns under `<table>/data/<folder>/`, split by day, each file sorted.

        Returns the files, for a commit; until then they are not visible to readers of the table.
        """


Engines = Callable[[], AbstractContextManager[TransformEngine]]
