"""The contracts as Iceberg schemas and partition specs."""

from __future__ import annotations

from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import DayTransform
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DoubleType,
    IntegerType,
    LongType,
    NestedField,
    PrimitiveType,
    StringType,
    TimestamptzType,
)

from fleetlake.contracts.columns import Type
from fleetlake.contracts.table import Table

ICEBERG_TYPES: dict[Type, PrimitiveType] = {
    Type.STRING: StringType(),
    Type.DOUBLE: DoubleType(),
    Type.INTEGER: IntegerType(),
    Type.LONG: LongType(),
    Type.BOOLEAN: BooleanType(),
    Type.TIMESTAMP: TimestamptzType(),
    Type.BINARY: BinaryType(),
}
PARTITION_FIELD_ID = 1000  # where Iceberg starts to number partition fields


def iceberg_schema(table: Table) -> Schema:
    """Schema with the contract's field ids, units in the column comments."""
    return Schema(
        *(
            NestedField(column.id, column.name, ICEBERG_TYPES[column.type], required=column.required, doc=column.comment)
            for column in table.columns
        )
    )


def partition_spec(table: Table) -> PartitionSpec:
    """One partition a UTC day of `table.partition_by`."""
    source = table.column(table.partition_by)
    return PartitionSpec(PartitionField(source.id, PARTITION_FIELD_ID, DayTransform(), f"{table.partition_by}_day"))
