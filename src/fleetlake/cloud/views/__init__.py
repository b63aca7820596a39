"""Views for analysts, written once in DuckDB's dialect, and the same in Athena's and Snowflake's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from sqlglot import exp, parse_one

from fleetlake.contracts.columns import Type
from fleetlake.contracts.tables import all_tables


@dataclass(frozen=True, slots=True)
class View:
    """sql: one SELECT in DuckDB's dialect over the lake's tables as `layer.kind`; <name>.sql beside this file."""

    name: str
    description: str
    sql: str

    @property
    def reads(self) -> tuple[str, ...]:
        """The tables it reads, as `layer.kind`, sorted."""
        tree = parse_one(self.sql, read="duckdb")
        return tuple(sorted({f"{table.db}.{table.name}" for table in tree.find_all(exp.Table) if table.db}))

    @property
    def columns(self) -> tuple[tuple[str, Type], ...]:
        """Its columns in their order, with the types that follow from the contracts. TypeError for a type the contracts lack."""
        return tuple((column.alias_or_name, _type_of(column)) for column in _typed(self.sql).selects)


DESCRIPTIONS = {
    "fleet_state": "Where each vehicle was last, how fast, in what weather, and whether it is on a trip",
    "trips": "Trips with what happened on them: harsh events, overspeeds",
    "quarantine": "Records that broke the contract: where they are in Kafka, the rule, the field, what was seen",
    "driver_weeks": "Each vehicle's score by week, with its rank in the fleet and the week before",
}
SQL_TYPES = {
    Type.STRING: "VARCHAR", Type.DOUBLE: "DOUBLE", Type.INTEGER: "INT", Type.LONG: "BIGINT", Type.BOOLEAN: "BOOLEAN",
    Type.TIMESTAMP: "TIMESTAMPTZ", Type.BINARY: "BLOB",
}  # fmt: skip
TYPES = {exp.DataType.build(name, dialect="duckdb").this: type_ for type_, name in SQL_TYPES.items()}
TYPES[exp.DataType.Type.VARCHAR] = Type.STRING  # of a literal


@cache
def views() -> tuple[View, ...]:
    folder = files("fleetlake.cloud.views")
    return tuple(View(name, said, (folder / f"{name}.sql").read_text("utf-8").strip()) for name, said in DESCRIPTIONS.items())


def in_dialect(sql: str, dialect: str, names: Callable[[str], str]) -> str:
    """A SELECT of DuckDB's dialect in another (athena, trino, snowflake, duckdb), pretty-printed.

    names: what the dialect's tables are called, by `layer.kind`.
    """
    tree = parse_one(sql, read="duckdb")
    for table in list(tree.find_all(exp.Table)):
        if table.db:
            table.replace(exp.to_table(names(f"{table.db}.{table.name}"), dialect=dialect, alias=table.alias or None))
    return tree.sql(dialect=dialect, pretty=True)


def _typed(sql: str) -> Any:
    """The SELECT with every name resolved and every expression's type known."""
    from sqlglot.optimizer.annotate_types import annotate_types
    from sqlglot.optimizer.qualify import qualify

    schema: dict[str, Any] = {}
    for table in all_tables():
        schema.setdefault(table.layer, {})[table.kind] = {column.name: SQL_TYPES[column.type] for column in table.columns}
    resolved = qualify(parse_one(sql, read="duckdb"), schema=schema, dialect="duckdb")
    return annotate_types(resolved, schema=schema, dialect="duckdb")


def _type_of(column: Any) -> Type:
    found = column.type.this if isinstance(column.type, exp.DataType) else None
    if found not in TYPES:
        raise TypeError(f"column {column.alias_or_name} is {column.type}, which no contract has")
    return TYPES[found]
