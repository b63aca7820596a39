"""Names that stand in a statement as they are: letters, digits and _ only, and no word of Snowflake's own."""

from __future__ import annotations

import re

from fleetlake.foundation.errors import BadInput

_PLAIN = r"[A-Za-z_][A-Za-z0-9_]{0,250}"
_PART = rf'(?:{_PLAIN}|"[A-Za-z0-9_]+")'
PATH = re.compile(rf"{_PART}(?:\.{_PART}){{0,2}}")
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,200}")  # leaves room for what is appended
# Snowflake's reserved and limited keywords: none of them names a database, a warehouse or a role without quotes.
RESERVED = frozenset({
    "ACCOUNT", "ALL", "ALTER", "AND", "ANY", "AS", "BETWEEN", "BY", "CASE", "CAST", "CHECK", "COLUMN", "CONNECT", "CONNECTION",
    "CONSTRAINT", "CREATE", "CROSS", "CURRENT", "CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "CURRENT_USER", "DATABASE",
    "DEFAULT", "DELETE", "DISTINCT", "DROP", "ELSE", "EXISTS", "FALSE", "FOLLOWING", "FOR", "FROM", "FULL", "GRANT", "GROUP",
    "GSCLUSTER", "HAVING", "ILIKE", "IN", "INCREMENT", "INNER", "INSERT", "INTERSECT", "INTO", "IS", "ISSUE", "JOIN", "LATERAL",
    "LEFT", "LIKE", "LOCALTIME", "LOCALTIMESTAMP", "MINUS", "NATURAL", "NOT", "NULL", "OF", "ON", "OR", "ORDER", "ORGANIZATION",
    "QUALIFY", "REGEXP", "REVOKE", "RIGHT", "RLIKE", "ROW", "ROWS", "SAMPLE", "SCHEMA", "SELECT", "SET", "SOME", "START",
    "TABLE", "TABLESAMPLE", "THEN", "TO", "TRIGGER", "TRUE", "TRY_CAST", "UNION", "UNIQUE", "UPDATE", "USING", "VALUES", "VIEW",
    "WHEN", "WHENEVER", "WHERE", "WITH",
})  # fmt: skip
SYSTEM_ROLES = ("ACCOUNTADMIN", "GLOBALORGADMIN", "ORGADMIN", "PUBLIC", "SECURITYADMIN", "SYSADMIN", "USERADMIN")


def require_name(name: str, where: str) -> None:
    """BadInput unless it can name something new without quotes. where: the setting."""
    if not IDENTIFIER.fullmatch(name):
        raise BadInput(
            f"{name!r} is no name for Snowflake", where=where, allowed="letters, digits and _, not beginning with a digit"
        )
    if name.upper() in RESERVED:
        raise BadInput(f"{name!r} is a reserved word of Snowflake's", where=where, allowed="a name that is not one")


def require_own_role(role: str, where: str) -> None:
    """BadInput for a role that Snowflake has already: the analysts' grants would go to it."""
    if role.upper() in SYSTEM_ROLES:
        raise BadInput(f"{role!r} is one of Snowflake's system roles", where=where, allowed=f"any but {', '.join(SYSTEM_ROLES)}")


def proven(name: str) -> str:
    """The same, if it is at most three names with dots between them, quoted or not. BadInput for anything else."""
    if not PATH.fullmatch(name):
        raise BadInput(f"{name!r} can't stand in a statement", allowed="names of letters, digits and _")
    return name
