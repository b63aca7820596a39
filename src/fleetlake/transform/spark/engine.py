"""The Spark engine: the statements of the native one, translated, on a session that may have many machines."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from py4j.protocol import Py4JError, Py4JJavaError  # type: ignore[import-untyped]
from pyiceberg.expressions import AlwaysTrue, BooleanExpression
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table as IcebergTable
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812  # as everywhere

from fleetlake.foundation.errors import Permanent, Retryable
from fleetlake.transform.engine import NO_SETTINGS, Settings
from fleetlake.transform.spark.files import read_files, spark_location, write_files
from fleetlake.transform.spark.translate import translate

CONF = {
    "spark.sql.parquet.fieldId.read.enabled": "true",  # columns by Iceberg's ids, whatever they were called
    "spark.sql.parquet.fieldId.read.ignoreMissing": "true",
    "spark.sql.parquet.fieldId.write.enabled": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.ansi.enabled": "true",  # an overflow is an error, as in DuckDB
    # What is known of columns that a checkpoint left out stays with it, and a UNION then fails (4.1.1: key not found: device_id#1).
    "spark.sql.constraintPropagation.enabled": "false",
}

HINT = "logs/spark.log in the folder of fleetlake's state says more"
MESSAGE_CHARACTERS = 300


@contextmanager
def spark_engine(session: SparkSession, catalog: str) -> Iterator[SparkEngine]:
    """An engine on a session of the lake (lake.spark). catalog: the lake's name.

    The session's settings are put back and its memory is given back at the end. Raises Retryable for tasks that failed (on a lost
    machine, say), though Spark tried them as often as it was told to, and Permanent for anything else that Spark complains of.
    """
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)  # the error is told by us
    before: dict[str, str | None] = {name: session.conf.get(name, None) for name in CONF}
    engine = SparkEngine(session, catalog)
    try:
        for name, value in CONF.items():
            session.conf.set(name, value)
        yield engine
    except Py4JJavaError as error:
        raise Retryable(_told(str(error.java_exception)), where="the transform", hint=HINT) from error
    except (PySparkException, Py4JError) as error:
        raise Permanent(_told(str(error)), where="the transform", hint=HINT) from error
    finally:
        with suppress(PySparkException, Py4JError):  # the session may be what failed
            engine.close()
            for name, former in before.items():
                if former is None:
                    session.conf.unset(name)
                else:
                    session.conf.set(name, former)


class SparkEngine:
    """An Engine on a Spark session. Relations are temporary views, under a new name each time they are made."""

    rows_at_once = 2**62  # Spark divides them itself

    def __init__(self, session: SparkSession, catalog: str) -> None:
        self._session, self._catalog = session, catalog
        self._views: dict[str, str] = {}
        self._made: list[str] = []
        self._kept_before = set(self._kept())

    def expose(self, name: str, table: IcebergTable, row_filter: BooleanExpression | None = None) -> None:
        tasks = list(table.scan(row_filter=row_filter or AlwaysTrue()).plan_files())
        if any(task.delete_files for task in tasks):
            self.name(name, self._read_iceberg(table))
        else:
            self.expose_files(name, table, [task.file for task in tasks])

    def expose_files(self, name: str, table: IcebergTable, files: Iterable[DataFile]) -> None:
        self.name(name, read_files(self._session, table, [file.file_path for file in files]))

    def load(self, name: str, rows: pa.Table) -> None:
        self.name(name, self._session.createDataFrame(rows))

    def define(self, name: str, select: str, settings: Settings = NO_SETTINGS) -> None:
        self.name(name, self._sql(select, settings))

    def materialise(self, name: str, select: str, settings: Settings = NO_SETTINGS) -> None:
        """Computed when it is read first and kept by the executors, as rows without a history: later plans stay small.

        If an executor is lost, what it kept is too. The run of the table fails then, and is begun anew.
        """
        self.name(name, self._sql(select, settings).localCheckpoint(eager=False))

    def rows(self, select: str, settings: Settings = NO_SETTINGS) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self._sql(select, settings).collect()]

    def files_with(self, table: IcebergTable, files: list[DataFile], key: str, ids: str) -> list[DataFile]:
        located = {_comparable(spark_location(file.file_path)): file for file in files}
        if not located:
            return []
        rows = read_files(self._session, table, [file.file_path for file in files])
        wanted = self._sql(f"SELECT id AS {key} FROM {ids}")
        found = (
            rows.select(key, F.col("_metadata.file_path").alias("path")).join(wanted, key, "left_semi").select("path").distinct()
        )
        return [located[_comparable(row.path)] for row in found.collect()]

    def write(self, name: str, table: IcebergTable, folder: str, sort: tuple[str, ...]) -> list[DataFile]:
        return write_files(self._sql(f"SELECT * FROM {name}"), table, folder, sort)

    def close(self) -> None:
        for view in self._made:
            self._session.catalog.dropTempView(view)
        for number, kept in self._kept().items():
            if number not in self._kept_before:
                kept.unpersist()

    def _sql(self, select: str, settings: Settings = NO_SETTINGS) -> DataFrame:
        return self._session.sql(translate(select, self._views), args=dict(settings))

    def name(self, name: str, rows: DataFrame) -> None:
        view = f"{name.replace('.', '_')}_{len(self._made)}"
        rows.createOrReplaceTempView(view)
        self._made.append(view)
        self._views[name] = view

    def _kept(self) -> dict[int, Any]:
        """What executors keep, by number."""
        return dict(self._session.sparkContext._jsc.getPersistentRDDs())

    def _read_iceberg(self, table: IcebergTable) -> DataFrame:
        """A table with another engine's delete files, as it was loaded."""
        snapshot = table.current_snapshot()
        reader = self._session.read.format("iceberg")
        if snapshot is not None:
            reader = reader.option("snapshot-id", str(snapshot.snapshot_id))
        return reader.load(".".join((self._catalog, *table.name())))


def _told(message: str) -> str:
    return f"Spark failed: {' '.join(message.split())[:MESSAGE_CHARACTERS]}"


def _comparable(path: str) -> str:
    """Spark tells a file's path as an URI, and a local one with one slash or three."""
    return unquote(path).replace("file:///", "file:/")
