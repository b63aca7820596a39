"""The reference of all events and tables, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fleetlake.contracts.columns import FIRST_YEAR, LAST_YEAR, Column, Field, Type
from fleetlake.contracts.events import EVENTS, Event
from fleetlake.contracts.table import Table
from fleetlake.contracts.tables import RAW, all_tables

INTRODUCTION = """\
# Events and tables

Generated from `fleetlake.contracts` by `python -m docs.generate`; do not edit.

Every event is one JSON object a message, keyed by deviceId, with a header `schema: <kind>/<version>`. An absent field and a null
mean the same. Every table is Apache Iceberg, format 2, Parquet, partitioned by UTC day. Times are UTC with microseconds. VSS is a
signal's path in the COVESA Vehicle Signal Specification.
"""


def markdown_reference() -> str:
    """The whole reference. Ends with one newline; the same contracts give the same text."""
    parts = [INTRODUCTION, "## Events\n", *map(_event, EVENTS), "## Tables\n", *map(_table, (*RAW, *all_tables()))]
    return "\n".join(parts)


def _event(event: Event) -> str:
    header = ("field", "type", "unit", "range or choices", "required", "column", "VSS", "description")
    rows = [_field_row(field) for field in event.fields]
    return f"### {event.topic}\n\n{event.description}. Schema `{event.schema_header}`.\n\n{_grid(header, rows)}"


def _field_row(field: Field) -> tuple[str, ...]:
    return (
        f"`{field.name}`",
        "[number, number]" if field.type is Type.LOCATION else field.type,
        *(_joined(column.unit for column in field.columns), _joined(_allowed_on_the_wire(column) for column in field.columns)),
        "yes" if field.required else "",
        ", ".join(f"`{column.name}`" for column in field.columns),
        _joined(column.vss for column in field.columns),
        field.description,
    )


def _table(table: Table) -> str:
    header = ("id", "column", "type", "unit", "range or choices", "null", "VSS", "description")
    rows = [
        (str(c.id), f"`{c.name}`", c.type, c.unit, allowed(c), "never" if c.required else "possible", c.vss, c.description)
        for c in table.columns
    ]
    order = f", sorted by {', '.join(table.sort)}" if table.sort else ""
    description = table.description.removesuffix(".")
    return f"### {table.name}\n\n{description}. Partitioned by day({table.partition_by}){order}.\n\n{_grid(header, rows)}"


def _allowed_on_the_wire(column: Column) -> str:
    """As `allowed`, and the years of a time: a table may hold others, from before there was a range."""
    return f"{FIRST_YEAR} to {LAST_YEAR}" if column.type is Type.TIMESTAMP else allowed(column)


def allowed(column: Column) -> str:
    """A column's choices or range in words; empty if all values are allowed."""
    if column.choices:
        return ", ".join(column.choices)
    if column.minimum is None or column.maximum is None:
        return ""
    return f"{column.minimum:.10g} to {column.maximum:.10g}"


def _joined(texts: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(text for text in texts if text))


def _grid(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)
