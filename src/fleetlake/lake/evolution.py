"""What a stored table lacks of its contract: columns it gained, types it widened, columns that may be null now.

Only what leaves every data file as it is: Iceberg finds columns by their ids and reads a narrower type as the wider one. What a
table has and the contract does not, or not as strictly, stays: another version of fleetlake may be at work on the same lake.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyiceberg.schema import Schema
from pyiceberg.table import Table as IcebergTable
from pyiceberg.table.update.schema import UpdateSchema
from pyiceberg.types import DoubleType, FloatType, IcebergType, IntegerType, LongType, NestedField

from fleetlake.contracts.columns import Column
from fleetlake.contracts.iceberg import ICEBERG_TYPES
from fleetlake.contracts.table import Table
from fleetlake.foundation.errors import BadInput

WIDENINGS: dict[IcebergType, IcebergType] = {IntegerType(): LongType(), FloatType(): DoubleType()}


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """One column's.

    added: it is new, and optional, since rows of before have none. widened: it takes the contract's type. relaxed: it may be null.
    """

    column: str
    definition: Column | None
    added: bool = False
    widened: bool = False
    relaxed: bool = False


def exchanged_columns(table: IcebergTable, contract: Table) -> list[str]:
    """Return the contract's columns that another tool took away or renamed, whether or not the next command has added them again.

    A column added again has another field id, so that what the one before it held is not read any more.
    """
    now = {field.name: field.field_id for field in table.schema().fields}
    ever = {(field.name, field.field_id) for schema in table.schemas().values() for field in schema.fields}
    return [column.name for column in contract.columns if any(name == column.name and now.get(name) != id_ for name, id_ in ever)]


def changes_to(stored: Schema, table: Table) -> list[SchemaChange]:
    """What brings a stored schema up to its contract, in the contract's order; BadInput where Iceberg has no way."""
    present = {field.name: field for field in stored.fields}
    changes = [
        _change(table.name, present[column.name], column)
        if column.name in present
        else SchemaChange(column.name, column, added=True)
        for column in table.columns
    ]
    known = {column.name for column in table.columns}
    changes += [SchemaChange(field.name, None, relaxed=field.required) for field in stored.fields if field.name not in known]
    return [change for change in changes if change.added or change.widened or change.relaxed]


def make_changes(update: UpdateSchema, changes: list[SchemaChange]) -> None:
    for change in changes:
        if change.added and change.definition:
            update.add_column(change.column, ICEBERG_TYPES[change.definition.type], doc=change.definition.comment)
        if change.widened and change.definition:
            update.update_column(change.column, field_type=ICEBERG_TYPES[change.definition.type])
        if change.relaxed:
            update.make_column_optional(change.column)


def _change(table: str, field: NestedField, column: Column) -> SchemaChange:
    wanted = ICEBERG_TYPES[column.type]
    is_wider = WIDENINGS.get(wanted) == field.field_type  # the table's: made by a later version
    widened = WIDENINGS.get(field.field_type) == wanted
    if field.field_type != wanted and not widened and not is_wider:
        raise BadInput(
            f"column {column.name} is {field.field_type} in the table and {wanted} in this version's contract",
            where=table,
            allowed="int to long, float to double",
            hint="the version of fleetlake that made the lake, or a new lake: fleetlake --home DIR",
        )
    return SchemaChange(column.name, column, widened=widened, relaxed=field.required and not column.required)
