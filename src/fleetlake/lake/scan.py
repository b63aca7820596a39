"""Iceberg tables as DuckDB views: PyIceberg says which files make up a snapshot, DuckDB reads them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyiceberg.expressions import AlwaysTrue, BooleanExpression
from pyiceberg.expressions.visitors import _InclusiveMetricsEvaluator
from pyiceberg.manifest import DataFile, DataFileContent, ManifestEntry
from pyiceberg.table import Table as IcebergTable
from pyiceberg.types import DecimalType, IcebergType, NestedField

from fleetlake.foundation.aws_errors import error_code, explain
from fleetlake.foundation.errors import FleetlakeError, Permanent
from fleetlake.lake.memory_database import is_out_of_memory, small_database
from fleetlake.lake.object_store import place_of
from fleetlake.lake.places import local_path, path_of_pattern, pattern_of

MAGIC = b"PAR1"  # how a Parquet file ends
STATEMENT_ERRORS = (
    duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException, duckdb.ConversionException,
    duckdb.OutOfMemoryException, duckdb.PermissionException, duckdb.NotImplementedException,
)  # fmt: skip
# Arrow's and the system's where DuckDB's rows are taken as Arrow's; the last where the message holds bytes of the file.
READING_ERRORS = (duckdb.Error, pa.ArrowException, OSError, UnicodeDecodeError)
PARQUET_SOURCE = re.compile(r"Parquet input source '([^']+)'")
FILES_OF_VIEW = re.compile(r"'((?:[^']|'')*\.parquet)'")
DUCKDB_TYPES = {
    "string": "VARCHAR", "double": "DOUBLE", "float": "FLOAT", "int": "INTEGER", "long": "BIGINT", "boolean": "BOOLEAN",
    "timestamptz": "TIMESTAMPTZ", "timestamp": "TIMESTAMP", "date": "DATE", "time": "TIME", "binary": "BLOB",
}  # fmt: skip


def expose(
    con: duckdb.DuckDBPyConnection,
    table: IcebergTable,
    view: str,
    *,
    snapshot_id: int | None = None,
    row_filter: BooleanExpression | None = None,
) -> None:
    """Makes `view` (`schema.name`; the schema is made too) read `table` at a snapshot, the current one by default.

    It has the table's columns but for `unread_columns`.
    row_filter leaves out files that can't hold a matching row; rows of the other files are not filtered.
    A table that has delete files (another engine's) is read through PyIceberg, into memory.
    """
    scan = table.scan(row_filter=row_filter or AlwaysTrue(), snapshot_id=snapshot_id)
    with _metadata_of(table):
        tasks = list(scan.plan_files())
    if any(task.delete_files for task in tasks):
        _view_of_arrow(con, table, view, scan.to_arrow())
    else:
        expose_files(con, table, view, [task.file for task in tasks])


def expose_added(
    con: duckdb.DuckDBPyConnection,
    table: IcebergTable,
    view: str,
    *,
    after_sequence: int,
    row_filter: BooleanExpression | None = None,
) -> int:
    """Makes `view` read the data files added after Iceberg sequence number `after_sequence`.

    Returns the sequence number of the current snapshot, 0 if there is none. A compaction adds files whose rows were there
    before, so the caller has to filter by something that grows (an offset) or be able to see a row twice. Only the manifests
    that are new since then are read.
    """
    files = added_files(table, after_sequence)
    if row_filter is not None:
        may_match = _InclusiveMetricsEvaluator(table.schema(), row_filter, include_empty_files=False).eval
        files = [file for file in files if may_match(file)]
    expose_files(con, table, view, files)
    snapshot = table.current_snapshot()
    return (snapshot.sequence_number or 0) if snapshot else 0


def added_files(table: IcebergTable, after_sequence: int) -> list[DataFile]:
    """Live data files that came with a snapshot whose sequence number is greater than `after_sequence`."""
    return [entry.data_file for entry in _live_entries(table, after_sequence)]


def numbered_files(table: IcebergTable) -> list[tuple[DataFile, int]]:
    """Live data files, each with its data sequence number."""
    return [(entry.data_file, entry.sequence_number or 0) for entry in _live_entries(table, -1)]


def _live_entries(table: IcebergTable, after_sequence: int) -> list[ManifestEntry]:
    snapshot = table.current_snapshot()
    if snapshot is None:
        return []
    with _metadata_of(table):
        return [
            entry
            for manifest in snapshot.manifests(table.io)
            if manifest.sequence_number > after_sequence
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True)
            if (entry.sequence_number or 0) > after_sequence and entry.data_file.content == DataFileContent.DATA
        ]


def expose_files(con: duckdb.DuckDBPyConnection, table: IcebergTable, view: str, files: Iterable[DataFile]) -> None:
    """Makes `view` read just these files of `table`; a typed, empty view if there are none. Columns are found by field id.

    Damaged if a local one is not there, or does not end as it was written.
    """
    files = list(files)
    locations = [file.file_path for file in files]
    paths = [path for path in map(local_path, locations) if path is not None]
    for path, file in zip(paths, files, strict=False):
        if len(paths) == len(files) and not _is_whole(path, file.file_size_in_bytes):
            raise Damaged(path, ".".join(table.name()))
    if not locations:
        _create(con, view, f"SELECT {_null_columns(table)} WHERE false")
    elif len(paths) == len(locations):
        places = ", ".join(quote(pattern_of(path)) for path in paths)
        options = f"schema = {_by_field_id(table)}, hive_partitioning = false"  # a folder may be called a=b
        _create(con, view, f"SELECT * FROM read_parquet([{places}], {options})")
    else:
        _view_of_arrow(con, table, view, _dataset(table, files))


class Damaged(Permanent):
    """A file of a table is not there or not what was written."""

    def __init__(self, path: str, table: str, kind: str = "data") -> None:
        super().__init__(
            f"{kind} file {path} of table {table} is missing or damaged",
            hint="fleetlake transform --full makes the table anew, without reading it"
            if table.startswith(("silver.", "gold.")) and kind == "data"
            else "restore the file, or ingest what Kafka has into a new lake: fleetlake --home DIR ingest --once",
        )


@contextmanager
def damage_named(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Where a statement fails because a data file of a view is missing or damaged, raises Damaged, which names it.

    Not every such error of DuckDB's says which file it was, so the footers of all are looked at then, and after them the pages.
    """
    try:
        yield
    except STATEMENT_ERRORS:
        raise
    except READING_ERRORS as error:
        if is_out_of_memory(error):
            raise
        if told := _told_by_object_store(error):
            raise told from error
        for path in _files_of_views(con):
            if path in str(error).split("LINE 1")[0] or not _has_footer(path):
                raise Damaged(path, _table_of(path)) from error
        for path in _files_of_views(con):
            if not _can_be_decoded(path):
                raise Damaged(path, _table_of(path)) from error
        raise


def _told_by_object_store(error: Exception) -> FleetlakeError | None:
    """What Arrow said of a file in S3 while DuckDB read it: it is gone, it is no Parquet any more, or S3 did not give it."""
    source, code = PARQUET_SOURCE.search(str(error)), error_code(error)
    if source and code in ("", "NoSuchKey", "ResourceNotFound"):
        return Damaged(f"s3://{source[1]}", _table_of(source[1]))
    return explain(error, f"s3://{source[1]}" if source else "a file of the lake") if code else None


def _is_whole(path: str, size_bytes: int) -> bool:
    try:
        with open(path, "rb") as file:  # noqa: PTH123  # one of thousands: a Path each costs more than the look
            if os.fstat(file.fileno()).st_size != size_bytes:
                return False
            return os.pread(file.fileno(), len(MAGIC), size_bytes - len(MAGIC)) == MAGIC
    except OSError:
        return False


def _has_footer(path: str) -> bool:
    try:
        pq.read_metadata(path)
    except READING_ERRORS:
        return False
    return True


def _can_be_decoded(path: str) -> bool:
    """Whether DuckDB, which has failed on one of the files, can read all of this one."""
    with small_database() as con:
        try:
            con.execute("SELECT bit_xor(hash(COLUMNS(*))) FROM read_parquet(?)", [path]).fetchall()
        except READING_ERRORS:
            return False
    return True


def _files_of_views(con: duckdb.DuckDBPyConnection) -> list[str]:
    views = con.execute("SELECT sql FROM duckdb_views() WHERE NOT internal").fetchall()
    return [path_of_pattern(path.replace("''", "'")) for (sql,) in views for path in FILES_OF_VIEW.findall(sql)]


def _table_of(path: str) -> str:
    """`layer.table`, as its files lie in `.../layer/table/data/...`."""
    parts = Path(path).parts
    at = len(parts) - 1 - parts[::-1].index("data") if "data" in parts else len(parts) - 1
    return ".".join(part.removesuffix(".db") for part in parts[max(at - 2, 0) : at])


@contextmanager
def _metadata_of(table: IcebergTable) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:  # any other failure of an object store says nothing about the file
        raise Damaged(str(error.filename or error), ".".join(table.name()), "metadata") from error


def quote(text: str) -> str:
    """`text` as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def _create(con: duckdb.DuckDBPyConnection, view: str, select: str) -> None:
    schema, _, name = view.rpartition(".")
    if schema:
        con.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
    target = f'"{schema}"."{name}"' if schema else f'"{name}"'
    con.execute(f"CREATE OR REPLACE VIEW {target} AS {select}")


def unread_columns(table: IcebergTable) -> list[NestedField]:
    """Returns the columns that views leave out: those of types that only other tools use, such as lists, structs and UUIDs."""
    return [field for field in table.schema().fields if _duckdb_type(field.field_type) is None]


def _duckdb_type(type_: IcebergType) -> str | None:
    return str(type_).upper() if isinstance(type_, DecimalType) else DUCKDB_TYPES.get(str(type_))


def _columns(table: IcebergTable) -> list[tuple[int, str, str]]:
    found = ((field.field_id, field.name, _duckdb_type(field.field_type)) for field in table.schema().fields)
    return [(id_, name, type_) for id_, name, type_ in found if type_ is not None]


def _null_columns(table: IcebergTable) -> str:
    return ", ".join(f'NULL::{type_} AS "{name}"' for _, name, type_ in _columns(table))


def _by_field_id(table: IcebergTable) -> str:
    entries = (f"{id_}: {{name: {quote(name)}, type: '{type_}', default_value: NULL}}" for id_, name, type_ in _columns(table))
    return f"MAP {{{', '.join(entries)}}}"


def _view_of_arrow(con: duckdb.DuckDBPyConnection, table: IcebergTable, view: str, source: pa.Table | ds.Dataset) -> None:
    registered = f"arrow_{view.replace('.', '_')}"
    con.register(registered, source)
    names = ", ".join(f'"{name}"' for _, name, _ in _columns(table))
    _create(con, view, f'SELECT {names} FROM "{registered}"')


def _dataset(table: IcebergTable, files: list[DataFile]) -> ds.Dataset:
    """The files of an object store as an Arrow dataset: DuckDB pushes columns and filters down into it.

    The sizes are known, so that opening a file does not begin with asking for its size.
    """
    unread = {field.name for field in unread_columns(table)}
    schema, parquet = pa.schema(field for field in table.schema().as_arrow() if field.name not in unread), ds.ParquetFileFormat()
    places = [(*place_of(table.io, file.file_path), file.file_size_in_bytes) for file in files]
    fragments = [parquet.make_fragment(path, filesystem, file_size=size) for filesystem, path, size in places]
    return ds.FileSystemDataset(fragments, schema, parquet, places[0][0])
