"""Rows of many files of a table into few, in one order, with bounded memory."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from datetime import timedelta
from itertools import chain

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table as IcebergTable

from fleetlake.contracts.tables import PAYLOAD
from fleetlake.lake.days import EPOCH, ROW_GROUP_ROWS
from fleetlake.lake.memory_database import memory_database
from fleetlake.lake.object_store import place_of
from fleetlake.lake.partitions import Partition, days_of
from fleetlake.lake.scan import READING_ERRORS, damage_named, expose_files
from fleetlake.lake.storage_errors import telling_of_storage
from fleetlake.lake.write import describe_file, parquet_writer

BATCH_ROWS, ROW_GROUP_BYTES = 2048, 128 * 1024 * 1024  # the rows of DuckDB's vectors


@telling_of_storage
def rewrite_files(
    table: IcebergTable, files: Sequence[DataFile], *, sort: Sequence[str], folder: str, target_bytes: int, memory_limit: str
) -> list[DataFile]:
    """Writes the rows of `files`, which are of one day (`day_spec`), under `<table>/data/<folder>/`.

    Another file begins once one has reached target_bytes, so that it may be larger by a row group.
    memory_limit: what the sort may hold before it spills to a folder below the home, for example 512MB. Nothing is committed.
    Whatever is raised, nothing is left; Damaged if a file is not there or not what was written, OutOfMemory for rows so large that
    memory_limit does not do (`payload_bytes` says so before).
    """
    written, places = list[DataFile](), list[str]()
    partition, name = Partition.of(files[0]), _day_name(table, files[0])
    try:
        with closing(_row_groups(table, files, sort, memory_limit)) as rows:
            for part in _parts(rows):
                places.append(f"{table.location()}/data/{folder}/{name}-{len(places)}.parquet")
                written.append(_write(table, part, places[-1], partition, target_bytes))
    except BaseException:
        for place in places:
            with suppress(OSError):  # what stays is an orphan
                table.io.delete(place)
        raise
    return written


def payload_bytes(table: IcebergTable, file: DataFile) -> int:
    """Return the bytes of the payloads in a file, not compressed: what rejected records bring; 0 if the file can't be read.

    They are no dictionary, so the footer says it. Files without rejects, which Iceberg's statistics know, are not opened.
    """
    column = next((field for field in table.schema().fields if field.name == PAYLOAD.name), None)
    if column is None or (file.null_value_counts or {}).get(column.field_id) == file.record_count:
        return 0
    filesystem, path = place_of(table.io, file.file_path)
    try:
        footer = pq.read_metadata(path, filesystem=filesystem)
    except READING_ERRORS:
        return 0  # to be told by who reads the file
    groups = map(footer.row_group, range(footer.num_row_groups))
    columns = (group.column(at) for group in groups for at in range(group.num_columns))
    return sum(int(one.total_uncompressed_size) for one in columns if one.path_in_schema == PAYLOAD.name)


def _parts(groups: Iterator[pa.Table]) -> Iterator[Iterator[pa.Table]]:
    """The row groups, to be taken in parts: a part is what its taker took of it."""
    for first in groups:
        yield _after(first, groups)


def _after(first: pa.Table, others: Iterator[pa.Table]) -> Iterator[pa.Table]:
    yield first
    for rows in others:  # noqa: UP028  # `yield from` would close them with this part
        yield rows


def _row_groups(
    table: IcebergTable, files: Sequence[DataFile], sort: Sequence[str], memory_limit: str
) -> Generator[pa.Table, None, None]:
    schema = table.schema().as_arrow()
    columns, order = (", ".join(f'"{name}"' for name in names) for names in (schema.names, sort))
    # One thread: an ingest is at work meanwhile.
    with memory_database("compaction", {"memory_limit": memory_limit, "threads": 1}) as con, damage_named(con):
        expose_files(con, table, "rewritten", files)
        batches = con.sql(f"SELECT {columns} FROM rewritten ORDER BY {order}").to_arrow_reader(BATCH_ROWS)
        for rows in _in_row_groups(batches):
            yield rows.cast(schema)


def _in_row_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yield the rows in groups of ROW_GROUP_ROWS each, or fewer where a batch makes them ROW_GROUP_BYTES."""
    held, held_rows, held_bytes = list[pa.RecordBatch](), 0, 0
    for batch in batches:
        held, held_rows, held_bytes = [*held, batch], held_rows + batch.num_rows, held_bytes + batch.nbytes
        while held_rows >= ROW_GROUP_ROWS or (held_rows and held_bytes >= ROW_GROUP_BYTES):
            rows = pa.Table.from_batches(held)
            yield rows.slice(0, ROW_GROUP_ROWS)
            rest = rows.slice(ROW_GROUP_ROWS)
            held, held_rows, held_bytes = rest.to_batches(), rest.num_rows, rest.nbytes
    if held_rows:
        yield pa.Table.from_batches(held)


def _write(table: IcebergTable, groups: Iterator[pa.Table], location: str, partition: Partition, target_bytes: int) -> DataFile:
    """Takes row groups, of which there is at least one, until the file has reached target_bytes."""
    output, first = table.io.new_output(location), next(groups)
    with output.create(overwrite=True) as stream, parquet_writer(stream, first) as writer:
        for rows in chain([first], groups):
            writer.write_table(rows, row_group_size=ROW_GROUP_ROWS)
            if stream.tell() >= target_bytes:
                break
    return describe_file(table, location, partition, writer.writer.metadata, len(output))


def _day_name(table: IcebergTable, file: DataFile) -> str:
    days = days_of(table, file)
    return str(EPOCH + timedelta(days=days[0])) if days else "none"
