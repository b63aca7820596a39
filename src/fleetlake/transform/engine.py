"""The DuckDB connection models run on."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from fleetlake.transform.models import Model, macros
from fleetlake.transform.settings import TransformSettings


@contextmanager
def engine(settings: TransformSettings) -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory DuckDB with the models' macros, in UTC, that spills what exceeds its memory to a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="fleetlake-transform-") as folder:
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": settings.memory_limit,
            "temp_directory": folder,
            "autoinstall_known_extensions": False,
        }
        if settings.threads:
            config["threads"] = settings.threads
        with duckdb.connect(config=config) as con:
            con.execute("SET TimeZone = 'UTC'")
            con.execute(macros())
            yield con


def materialise(con: duckdb.DuckDBPyConnection, name: str, model: Model) -> None:
    """Runs a model once and keeps its rows as the temporary table `name`."""
    con.execute(f'CREATE OR REPLACE TEMP TABLE "{name}" AS {model.sql}', model.settings)
