"""Rows into Parquet files of a table: split by its day partition, with the statistics Iceberg prunes by."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import date
from itertools import chain

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.io import OutputStream
from pyiceberg.io.pyarrow import (
    compute_statistics_plan,
    data_file_statistics_from_parquet_metadata,
    parquet_path_to_id_mapping,
)
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.table import Table as IcebergTable

from fleetlake.contracts.gold import GOLD
from fleetlake.lake.days import EPOCH, ROW_GROUP_ROWS, has_bytes, parts_of_days
from fleetlake.lake.partitions import Partition, day_column, day_partition
from fleetlake.lake.storage_errors import telling_of_storage

BATCH_ROWS, PAGE_BYTES = 1024, 4 * 1024 * 1024
SURROGATES = 0xD800, 0xE000  # from, and up to but not including
SAMPLED_ROWS, REPEATING = 1000, 0.9  # a number of some 5,000 values repeats in a tenth of so many rows
UNIQUE = {"event_id", "payload", *(table.columns[0].name for table in GOLD)}  # a dictionary of values that never repeat only costs


@telling_of_storage
def write_files(table: IcebergTable, rows: pa.Table, *, folder: str, sort: tuple[str, ...] = ()) -> list[DataFile]:
    """Writes `rows` under `<table>/data/<folder>/`, one file a UTC day, and returns the files for a commit.

    rows: the table's columns, in any order; they are cast to its types. sort: columns to order each file by.
    Nothing is visible to readers before the files are committed. The same folder must not be used twice. Retryable if the disk is
    full or S3 does not take them; NoDaySpec, with nothing written, if the table has no partition spec by day any more.
    """
    source = day_column(table)
    schema = table.schema().as_arrow()
    for absent in (field for field in schema if field.name not in rows.column_names and field.nullable):
        rows = rows.append_column(absent, pa.nulls(rows.num_rows, absent.type))  # a later version's column
    rows = rows.select(schema.names).cast(schema)
    if sort:
        rows = rows.sort_by([(name, "ascending") for name in sort])
    page = _rows_a_page(rows)
    return [
        _write_file(table, parts, f"{table.location()}/data/{folder}/{day or 'none'}.parquet", day, page)
        for day, parts in parts_of_days(rows, source)
    ]


def parquet_writer(stream: OutputStream, rows: pa.Table, rows_a_page: int | None = None) -> pq.ParquetWriter:
    """A writer of files like `rows`, of which there may be more: their texts, and numbers that repeat in them, as dictionaries.

    rows_a_page: how many go into a page before its size is looked at, where there are larger rows than these.
    """
    dictionary = [field.name for field in rows.schema if _pays_as_dictionary(field, rows)]
    return pq.ParquetWriter(
        stream, rows.schema, compression="zstd", compression_level=1, use_dictionary=dictionary, write_page_index=False,
        write_batch_size=rows_a_page or _rows_a_page(rows),
    )  # fmt: skip


def _rows_a_page(rows: pa.Table) -> int:
    """How many values go into a page before its size is looked at: so few of large ones that it does not become much too large."""
    large = [column for column in rows.columns if column.nbytes > PAGE_BYTES and has_bytes(column.type)]
    longest = max((pc.max(pc.binary_length(column)).as_py() or 0 for column in large), default=0)
    return min(BATCH_ROWS, max(1, PAGE_BYTES // max(longest, 1)))


def _pays_as_dictionary(field: pa.Field, rows: pa.Table) -> bool:
    """Numbers as devices give them, to a step of a tenth, do: there is less to compress and to keep. Those of places do not."""
    if pa.types.is_floating(field.type) or pa.types.is_int32(field.type):
        sample = rows[field.name].take(pa.array(range(0, len(rows), len(rows) // SAMPLED_ROWS + 1)))
        return len(pc.unique(sample)) <= REPEATING * len(sample)
    return pa.types.is_large_string(field.type) and field.name not in UNIQUE


def _write_file(table: IcebergTable, parts: Iterator[pa.Table], location: str, day: date | None, page: int) -> DataFile:
    """Writes a file of the rows in `parts`, of which there is at least one."""
    output, first = table.io.new_output(location), next(parts)
    with output.create(overwrite=True) as stream, parquet_writer(stream, first, page) as writer:
        for part in chain([first], parts):
            writer.write_table(part, row_group_size=ROW_GROUP_ROWS)
    partition = day_partition(table, (day - EPOCH).days if day else None)
    return describe_file(table, location, partition, writer.writer.metadata, len(output))


def describe_file(table: IcebergTable, location: str, partition: Partition, footer: pq.FileMetaData, size_bytes: int) -> DataFile:
    """What Iceberg has to know of a Parquet file of `table` that has the table's field ids; its rows are of `partition`."""
    statistics = data_file_statistics_from_parquet_metadata(
        footer,
        compute_statistics_plan(table.schema(), table.properties),
        parquet_path_to_id_mapping(table.schema()),
    )
    for column in statistics.column_aggregates.values():
        if column.trunc_length and isinstance(column.current_max, str):
            column.current_max = upper_bound(column.current_max, column.trunc_length)
    described = DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=location,
        file_format=FileFormat.PARQUET,
        partition=partition.values,
        file_size_in_bytes=size_bytes,
        sort_order_id=None,
        equality_ids=None,
        key_metadata=None,
        **statistics.to_serialized_dict(),
    )
    described.spec_id = partition.spec_id  # which is no field of what a manifest says of a file, but of the manifest
    return described


def upper_bound(text: str, length: int) -> str | None:
    """Return the least text of at most `length` characters that is not before `text` by code points; None if there is none.

    PyIceberg's own makes a surrogate, which UTF-8 does not have, of the character before them (U+D7FF).
    """
    if len(text) <= length:
        return text
    for last in range(length - 1, -1, -1):
        following = ord(text[last]) + 1
        if following == SURROGATES[0]:
            following = SURROGATES[1]
        if following <= sys.maxunicode:
            return text[:last] + chr(following)
    return None
