"""Names and text as Athena's two parsers want them: Trino's for queries and views, Hive's for the DDL of tables."""

from __future__ import annotations


def trino_table(name: str) -> str:
    """`layer.kind` as a query names it."""
    return ".".join(trino_name(part) for part in name.split("."))


def trino_name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def hive_table(name: str) -> str:
    """`database.table` as DDL names it."""
    return ".".join(hive_name(part) for part in name.split("."))


def hive_name(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def hive_text(text: str) -> str:
    r"""Hive joins 'a''b' to ab, so a quote is \'."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def hive_comment(text: str) -> str:
    """What splits statements at semicolons may not know that they can be inside of quotes."""
    return hive_text(text.replace(";", ","))
