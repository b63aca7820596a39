"""Iceberg data files as Spark reads and writes them: plain Parquet with field ids. PyIceberg knows which; it commits them too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from urllib.parse import unquote

import pyarrow.fs as pa_fs
import pyarrow.parquet as pq
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table as IcebergTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812  # as everywhere
from pyspark.sql.types import (
    BinaryType,
    BooleanType,
    DataType,
    DoubleType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from fleetlake.foundation.errors import Permanent
from fleetlake.lake.aws_properties import is_s3
from fleetlake.lake.days import EPOCH
from fleetlake.lake.object_store import place_of
from fleetlake.lake.partitions import day_column, day_partition
from fleetlake.lake.write import UNIQUE, describe_file

SPARK_TYPES: dict[str, DataType] = {
    "string": StringType(), "double": DoubleType(), "int": IntegerType(), "long": LongType(), "boolean": BooleanType(),
    "timestamptz": TimestampType(), "binary": BinaryType(),
}  # fmt: skip
FIELD_ID = "parquet.field.id"
DAY = "partition_day"
# Without checksum files beside the data: nothing would take those away with it.
PLAIN_FILES = {"fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem", "fs.file.impl.disable.cache": "true"}
WRITE = {"compression": "zstd", "mapreduce.fileoutputcommitter.marksuccessfuljobs": "false"}


def spark_schema(table: IcebergTable) -> StructType:
    """The table's columns, each with its field id, by which Spark finds and writes it; none of types that no contract has."""
    return StructType(
        [
            StructField(field.name, SPARK_TYPES[str(field.field_type)], metadata={FIELD_ID: field.field_id})
            for field in table.schema().fields
            if str(field.field_type) in SPARK_TYPES
        ]
    )


def read_files(session: SparkSession, table: IcebergTable, locations: list[str]) -> DataFrame:
    """Just these files of the table; no rows if there are none."""
    schema = spark_schema(table)
    if not locations:
        return session.range(0).select(*(F.lit(None).cast(field.dataType).alias(field.name) for field in schema.fields))
    # Recursive, so that a folder called event_time_day=2026-01-01 (Iceberg's own writers make such) is not taken for a column.
    reader = session.read.schema(schema).option("recursiveFileLookup", "true")
    return reader.parquet(*map(spark_location, locations))


def write_files(rows: DataFrame, table: IcebergTable, folder: str, sort: tuple[str, ...]) -> list[DataFile]:
    """Writes rows with the table's columns under `<table>/data/<folder>/`, split by day, each file sorted.

    A large day is several files, of about Spark's advisory partition size; the tasks of a cluster write them. Permanent if a
    required column is null: nothing of it may be committed then.
    """
    location = f"{table.location()}/data/{folder}"
    time = day_column(table)
    columns = [F.col(field.name).cast(field.dataType).alias(field.name, metadata=field.metadata) for field in spark_schema(table)]
    dated = rows.select(*columns, F.to_date(time).alias(DAY)).hint("rebalance", DAY).sortWithinPartitions(DAY, *sort)
    options = {**WRITE, **PLAIN_FILES, **{f"parquet.enable.dictionary#{name}": "false" for name in UNIQUE}}
    try:
        dated.write.partitionBy(DAY).options(**options).parquet(spark_location(location))
        return list(_written(table, location))
    except BaseException:
        _take_away(table, location)
        raise


def spark_location(location: str) -> str:
    """Hadoop's name of a place that Iceberg calls s3://."""
    return f"s3a://{location.partition('://')[2]}" if is_s3(location) else location


def _written(table: IcebergTable, location: str) -> Iterator[DataFile]:
    filesystem, root = place_of(table.io, location)
    required = [field.name for field in table.schema().fields if field.required]
    for info in filesystem.get_file_info(pa_fs.FileSelector(root, recursive=True)):
        if info.type != pa_fs.FileType.File or not info.path.endswith(".parquet"):
            continue
        inside = info.path[len(root) :].lstrip("/")
        footer = pq.read_metadata(info.path, filesystem=filesystem)
        _check_required(footer, required, where=f"{location}/{inside}")
        day = date.fromisoformat(unquote(inside.split("/")[0].removeprefix(f"{DAY}=")))
        partition = day_partition(table, (day - EPOCH).days)
        yield describe_file(table, f"{location}/{inside}", partition, footer, info.size)


def _take_away(table: IcebergTable, location: str) -> None:
    """What was written for nothing; what can't be reached stays, and nobody reads it."""
    filesystem, root = place_of(table.io, location)
    with suppress(OSError):
        filesystem.delete_dir(root)


def _check_required(footer: pq.FileMetaData, required: list[str], *, where: str) -> None:
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        for column in (group.column(i) for i in range(group.num_columns)):
            if column.path_in_schema in required and column.statistics.null_count:
                raise Permanent(f"the model made a null in the required column {column.path_in_schema}", where=where)
