"""What is in the account now, of what we make: read with SHOW, which needs no warehouse and changes nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from fleetlake.cloud.snowflake.session import Row, Session
from fleetlake.cloud.snowflake.statements import SnowflakeObjectKind, SnowflakeStatement, Thing, grant_name
from fleetlake.cloud.snowflake.target import LISTED, SnowflakeTarget

FINGERPRINT = re.compile(r"\[fleetlake ([0-9a-f]{12})\]")


@dataclass(frozen=True, slots=True)
class HandshakeState:
    """things: what is there, with the fingerprint of a view that has one, else an empty text."""

    things: Mapping[Thing, str]

    def has(self, thing: Thing) -> bool:
        return thing in self.things

    def done(self, statement: SnowflakeStatement) -> bool:
        """Whether running it would change nothing."""
        found = self.things.get(statement.makes)
        return found is not None and found == statement.fingerprint


def read_state(session: Session, target: SnowflakeTarget) -> HandshakeState:
    """All of it. A thing the role may not see counts as absent."""
    found: dict[Thing, str] = {}
    for kind, plural, name in (
        (SnowflakeObjectKind.WAREHOUSE, "WAREHOUSES", target.warehouse),
        (SnowflakeObjectKind.DATABASE, "DATABASES", target.database),
        (SnowflakeObjectKind.DATABASE, "DATABASES", target.linked_database),
        (SnowflakeObjectKind.VOLUME, "EXTERNAL VOLUMES", target.volume),
        (SnowflakeObjectKind.INTEGRATION, "CATALOG INTEGRATIONS", target.integration),
        (SnowflakeObjectKind.ROLE, "ROLES", target.analyst_role),
    ):
        if any(row["name"] == name for row in session.run(f"SHOW {plural} LIKE '{name}'")):  # in LIKE, _ is any letter
            found[Thing(kind, name)] = ""
    if Thing(SnowflakeObjectKind.DATABASE, target.database) in found:
        found |= _inside(session, target.database)
        for row in session.run(f"SHOW VIEWS IN DATABASE {target.database}"):
            mark = FINGERPRINT.search(str(row.get("comment") or ""))
            found[Thing(SnowflakeObjectKind.VIEW, _full_name(target.database, row))] = mark.group(1) if mark else ""
    if Thing(SnowflakeObjectKind.DATABASE, target.linked_database) in found and target.tables != LISTED:
        found |= _inside(session, target.linked_database)
    if Thing(SnowflakeObjectKind.ROLE, target.analyst_role) in found:
        found |= _granted(session, target.analyst_role)
    return HandshakeState(found)


def linked_tables(session: Session, target: SnowflakeTarget) -> dict[Thing, str]:
    """Schemas and tables that the linked database has found in Glue so far."""
    return _inside(session, target.linked_database)


def _inside(session: Session, database: str) -> dict[Thing, str]:
    found = {
        Thing(SnowflakeObjectKind.SCHEMA, f"{database}.{str(row['name']).upper()}"): ""
        for row in session.run(f"SHOW SCHEMAS IN DATABASE {database}")
    }
    for row in session.run(f"SHOW ICEBERG TABLES IN DATABASE {database}"):
        found[Thing(SnowflakeObjectKind.TABLE, _full_name(database, row))] = ""
    return found


def _full_name(database: str, row: Row) -> str:
    return f"{database}.{row['schema_name']}.{row['name']}".upper()


def _granted(session: Session, role: str) -> dict[Thing, str]:
    found = {}
    for row in session.run(f"SHOW GRANTS TO ROLE {role}"):
        found[Thing(SnowflakeObjectKind.GRANT, grant_name(str(row["privilege"]), str(row["granted_on"]), str(row["name"])))] = ""
    for row in session.run(f"SHOW GRANTS OF ROLE {role}"):
        if row["granted_to"] == "ROLE":
            found[Thing(SnowflakeObjectKind.GRANT, f"ROLE {role} TO ROLE {row['grantee_name']}")] = ""
    return found
