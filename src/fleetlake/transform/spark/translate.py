"""DuckDB's dialect as Spark's: sqlglot knows most of it; what is left is said here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache

from sqlglot import exp, parse, parse_one

from fleetlake.transform.models import macros


def translate(statement: str, views: Mapping[str, str] | None = None) -> str:
    """A SELECT for DuckDB as one for Spark, of the same rows.

    Calls of the models' macros are replaced by what they stand for, and settings `$name` are Spark's `:name`.
    views: relations by their name in the statement, and the name they have in Spark.
    """
    tree = _parse(statement).copy()
    shadowed = {cte.alias for cte in tree.find_all(exp.CTE)}
    for table in list(tree.find_all(exp.Table)):
        name = f"{table.db}.{table.name}" if table.db else table.name
        if views and name in views and name not in shadowed:
            table.replace(exp.to_table(views[name], alias=table.alias or table.name))
    return tree.sql(dialect="spark", comments=False)


@lru_cache(256)
def _parse(statement: str) -> exp.Expr:
    return parse_one(statement, read="duckdb").transform(_expand)


def _expand(node: exp.Expr) -> exp.Expr:
    if not isinstance(node, exp.Anonymous):
        return node
    name, given = node.name.lower(), [argument.transform(_expand) for argument in node.expressions]
    if name in _macros():
        parameters, body = _macros()[name]
        arguments = dict(zip(parameters, given, strict=True))
        return exp.paren(body.transform(lambda part: _argument(part, arguments)).transform(_expand), copy=False)
    if name == "epoch_us":
        return exp.func("unix_micros", *given, dialect="spark")
    if name == "list_reduce":
        items, step, start = given
        return exp.func("reduce", items, start, step, dialect="spark")
    return node


def _argument(part: exp.Expr, arguments: Mapping[str, exp.Expr]) -> exp.Expr:
    if isinstance(part, exp.Column) and part.name in arguments:
        return exp.paren(arguments[part.name])
    return part


@cache
def _macros() -> Mapping[str, tuple[list[str], exp.Expr]]:
    """Name to parameters and body of each macro of the models."""
    return {
        made.this.this.name.lower(): ([parameter.name for parameter in made.this.expressions], made.expression)
        for made in parse(macros(), read="duckdb")
        if isinstance(made, exp.Create)
    }
