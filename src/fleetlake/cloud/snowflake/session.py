"""The one door to Snowflake: a session that runs statements, and every error of the connector as one of ours, masked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

from fleetlake.foundation.aws_errors import ACCOUNT
from fleetlake.foundation.errors import BadInput, FleetlakeError, Retryable

Row = Mapping[str, Any]
SECRETS = (
    re.compile(r"arn:aws[\w-]*:[^\s'\",;)\]}]+"),
    re.compile(r"\b[A-Za-z0-9]+_SFCRole=[^\s'\",;)\]}]+"),
    ACCOUNT,
)
NO_PRIVILEGE, NOT_THERE, NOT_ACTIVE, NO_COLUMN = 3001, (2003, 2043), 606, 904


class LacksColumn(BadInput):
    """A statement names a column that is not there."""


class Session(Protocol):
    """One conversation with Snowflake."""

    def run(self, sql: str) -> list[Row]:
        """Runs one statement, gives its rows by column name in lower case. Raises one of our errors, without secrets."""
        ...


class ConnectorSession:
    """A session of the official connector."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def run(self, sql: str) -> list[Row]:
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(sql)
                names = [column[0].lower() for column in cursor.description or ()]
                return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        except Exception as error:
            if is_connectors(error):
                raise explain(error, " ".join(sql.split()[:4])) from None  # the cause would show what is masked here
            raise


def masked(text: str) -> str:
    """Without ARNs, external ids and account ids."""
    for secret in SECRETS:
        text = secret.sub("***", text)
    return text


def explain(error: Exception, where: str) -> FleetlakeError:
    """An error of the connector in one line of our own kind; exit code 2 where the user has to change something."""
    number, kind = getattr(error, "errno", None), type(error).__name__
    said, where = masked(" ".join(str(getattr(error, "raw_msg", "") or error).split())), masked(where)
    if number == NO_PRIVILEGE:
        return BadInput(f"the role lacks a privilege: {said}", where=where, hint="snowflake.admin_role, or ask for what is named")
    if number in NOT_THERE:
        return BadInput(f"Snowflake has no such thing, or the role may not see it: {said}", where=where)
    if number == NOT_ACTIVE:
        return BadInput(f"Snowflake has no warehouse for this: {said}", where=where)
    if number == NO_COLUMN:
        return LacksColumn(f"there is no such column: {said}", where=where)
    if kind == "OperationalError":
        return Retryable(
            f"Snowflake can't be reached: {said}", where=where, hint="run it again: what is made stays, the rest follows"
        )
    return BadInput(f"Snowflake refused: {said}", where=where)


def is_connectors(error: Exception) -> bool:
    return any(kind.__module__.startswith("snowflake.connector") for kind in type(error).__mro__)
