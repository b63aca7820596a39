"""Which partition a data file of a table is in, whatever other tools have made of the table's partition spec since.

Iceberg keeps every partition spec a table has had, and each file says under which of them it was written; readers prune each file
by its own. So files may go on being written under the table's spec of before, and that is what fleetlake does: always by the day of
the contract's column. What another spec would have to say of a row is never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from pyiceberg.conversions import from_bytes
from pyiceberg.manifest import DataFile
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.table import Table as IcebergTable
from pyiceberg.table.snapshots import SnapshotSummaryCollector
from pyiceberg.transforms import DayTransform
from pyiceberg.typedef import Record
from pyiceberg.types import PrimitiveType

from fleetlake.contracts.columns import LAST_YEAR
from fleetlake.contracts.tables import contract_of
from fleetlake.foundation.errors import Permanent
from fleetlake.lake.days import EPOCH

DAY_US = 86_400_000_000
ALL_DAYS = (0, (date(LAST_YEAR + 1, 1, 1) - EPOCH).days)


class NoDaySpec(Permanent):
    """A table has no partition spec, now or of before, that fleetlake's files can be written under."""


@dataclass(frozen=True, slots=True)
class Partition:
    """What a data file says of its partition. values: one for each field of the table's partition spec `spec_id`."""

    spec_id: int
    values: Record

    @classmethod
    def of(cls, file: DataFile) -> Partition:
        return cls(file.spec_id, file.partition)


def day_spec(table: IcebergTable) -> PartitionSpec:
    """Returns the table's spec of one field, the UTC day of its contract's column, be it the current one or one of before.

    NoDaySpec if there is none (any more).
    """
    wanted = _day_column_id(table)
    for spec in (table.spec(), *table.specs().values()):
        if [(field.source_id, field.transform) for field in spec.fields] == [(wanted, DayTransform())]:
            return spec
    contract = contract_of(_name(table))
    column = contract.partition_by if contract else "a time"
    raise NoDaySpec(
        f"the table is not partitioned by the day of {column}, and was not before",
        where=f"table {_name(table)}, whose partition spec is {_told(table)}",
        allowed=f"a partition spec of one field, day({column}), as the current one or one of before",
        hint=f"with the tool that changed it, make day({column}) the partition spec again",
    )


def day_column(table: IcebergTable) -> str:
    """Returns the name of the column whose day `day_spec` takes. NoDaySpec as that."""
    return table.schema().find_field(day_spec(table).fields[0].source_id).name


def day_partition(table: IcebergTable, day: int | None) -> Partition:
    """Returns the partition of rows of one day, in days since 1970; None: of rows without a time. NoDaySpec as `day_spec`."""
    return Partition(day_spec(table).spec_id, Record(day))


def is_by_day(table: IcebergTable, file: DataFile) -> bool:
    """Returns whether a file was written under `day_spec`, so that it holds the rows of one day. NoDaySpec as that."""
    return file.spec_id == day_spec(table).spec_id


def days_of(table: IcebergTable, file: DataFile) -> tuple[int, int] | None:
    """Returns the first and the last day, since 1970, of a file's rows; None if none of them has a time.

    Of a file that was written under another spec they are those of the column's bounds, or ALL_DAYS if it does not tell them.
    NoDaySpec as `day_spec`.
    """
    if is_by_day(table, file):
        day: int | None = file.partition[0]
        return None if day is None else (day, day)
    field = table.schema().find_field(day_spec(table).fields[0].source_id)
    bounds = [(side or {}).get(field.field_id) for side in (file.lower_bounds, file.upper_bounds)]
    if (file.null_value_counts or {}).get(field.field_id) == file.record_count:
        return None
    if not isinstance(field.field_type, PrimitiveType) or None in bounds:
        return ALL_DAYS
    first, last = (int(from_bytes(field.field_type, bound)) // DAY_US for bound in bounds if bound is not None)
    return first, last


def count_changed(
    counts: SnapshotSummaryCollector, table: IcebergTable, added: Iterable[DataFile], gone: Iterable[DataFile] = ()
) -> None:
    """Adds files to what a snapshot's summary counts, each by the spec it was written under."""
    specs = table.specs()
    for file in added:
        counts.add_file(file, table.schema(), specs[file.spec_id])
    for file in gone:
        counts.remove_file(file, table.schema(), specs[file.spec_id])


def _day_column_id(table: IcebergTable) -> int:
    """The contract's column; of a table without a contract the source of its first spec by day, -1 if there is none."""
    if contract := contract_of(_name(table)):
        return next((field.field_id for field in table.schema().fields if field.name == contract.partition_by), -1)
    by_day = (spec.fields[0] for spec in (table.spec(), *table.specs().values()) if len(spec.fields) == 1)
    return next((field.source_id for field in by_day if field.transform == DayTransform()), -1)


def _told(table: IcebergTable) -> str:
    fields = (f"{field.transform}({table.schema().find_column_name(field.source_id)})" for field in table.spec().fields)
    return ", ".join(fields) or "none"


def _name(table: IcebergTable) -> str:
    return ".".join(table.name())
