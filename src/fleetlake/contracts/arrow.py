"""The contracts as Arrow schemas: what batches in memory and Parquet files look like."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from fleetlake.contracts.columns import Column, Type
from fleetlake.contracts.table import Table

ARROW_TYPES: dict[Type, pa.DataType] = {
    Type.STRING: pa.string(),
    Type.DOUBLE: pa.float64(),
    Type.INTEGER: pa.int32(),
    Type.LONG: pa.int64(),
    Type.BOOLEAN: pa.bool_(),
    Type.TIMESTAMP: pa.timestamp("us", tz="UTC"),
    Type.BINARY: pa.binary(),
}


def arrow_schema(columns: Iterable[Column]) -> pa.Schema:
    """Columns in their order, with nullability and the Iceberg field id Parquet readers look for."""
    return pa.schema(
        [pa.field(c.name, ARROW_TYPES[c.type], nullable=not c.required, metadata={"PARQUET:field_id": str(c.id)}) for c in columns]
    )


def table_schema(table: Table) -> pa.Schema:
    return arrow_schema(table.columns)
