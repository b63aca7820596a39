"""Views for analysts, written once in DuckDB's dialect, and the same in Athena's and Snowflake's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from sqlglot import exp, parse_one


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


DESCRIPTIONS = {
    "fleet_state": "Where each vehicle was last, how fast, in what weather, and whether it is on a trip",
    "trips": "Trips with what happened on them: harsh events, overspeeds",
    "quarantine": "Records that broke the contract: where they are in Kafka, the rule, the field, what was seen",
    "driver_weeks": "Each vehicle's score by week, with its rank in the fleet and the week before",
}


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
