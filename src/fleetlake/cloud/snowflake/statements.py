"""What a migration is made of: things, and the statements that make them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from fleetlake.cloud.snowflake.names import proven


class SnowflakeObjectKind(StrEnum):
    WAREHOUSE = "warehouse"
    DATABASE = "database"
    SCHEMA = "schema"
    VOLUME = "external volume"
    INTEGRATION = "catalog integration"
    TABLE = "table"
    VIEW = "view"
    ROLE = "role"
    GRANT = "grant"


@dataclass(frozen=True, slots=True, order=True)
class Thing:
    """Something that is there or not. name: in upper case, without quotes, with its database and schema; a grant's is its text."""

    kind: SnowflakeObjectKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class SnowflakeStatement:
    """One statement, without a semicolon. BadInput if what it makes or needs has a name that is more than a name.

    makes: what is there after it. It is not run if that is there already, and for a view has the same fingerprint.
    needs: what has to be there before it. in_glue: the lake's table, `layer.kind`, that has to be in Glue before it.
    """

    makes: Thing
    sql: str
    needs: tuple[Thing, ...] = ()
    in_glue: str = ""
    fingerprint: str = ""

    def __post_init__(self) -> None:
        for thing in (self.makes, *self.needs):
            if thing.kind is not SnowflakeObjectKind.GRANT:  # a grant is proven where it is written
                proven(thing.name)


@dataclass(frozen=True, slots=True)
class Migration:
    """number_title.sql. pass_number: 1 before AWS trusts what was made, 2 after that."""

    number: int
    title: str
    note: str
    pass_number: int
    statements: tuple[SnowflakeStatement, ...]

    @property
    def file_name(self) -> str:
        return f"{self.number:03}_{self.title}.sql"


def grant(privilege: str, on: str, name: str, role: str, *needs: Thing) -> SnowflakeStatement:
    """name: as it is written, quotes included."""
    thing = Thing(SnowflakeObjectKind.GRANT, grant_name(privilege, on, name))
    return SnowflakeStatement(thing, f"GRANT {privilege} ON {on} {proven(name)} TO ROLE {proven(role)}", needs)


def grant_name(privilege: str, on: str, name: str) -> str:
    """The same for what SHOW GRANTS says and for what a GRANT says: there an Iceberg table may be called a table."""
    plain = on.upper().replace("_", " ").replace("ICEBERG TABLE", "TABLE")
    return f"{privilege.upper()} ON {plain} {name.replace(chr(34), '').upper()}"


def literal(text: str) -> str:
    """A string constant of Snowflake's."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def fingerprint_of(sql: str) -> str:
    return hashlib.sha256(sql.encode()).hexdigest()[:12]
