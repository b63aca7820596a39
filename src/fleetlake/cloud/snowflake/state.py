"""What is in the account now, of what we make: read with SHOW, which needs no warehouse and changes nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from fleetlake.cloud.snowflake.session import Row, Session
from fleetlake.cloud.snowflake.statements import Kind, Statement, Thing, grant_name
from fleetlake.cloud.snowflake.target import LISTED, Target

FINGERPRINT = re.compile(r"\[fleetlake ([0-9a-f]{12})\]")


@dataclass(frozen=True, slots=True)
class State:
    """things: what is there, with the fingerprint of a view that has one, else an empty text."""

    things: Mapping[Thing, str]

    def has(self, thing: Thing) -> bool:
        return thing in self.things

    def done(self, statement: Statement) -> bool:
        """Whether running it would change nothing."""
        found = self.things.get(statement.makes)
        return found is not None and found == statement.fingerprint


def read_state(session: Session, target: Target) -> State:
    """All of it. A thing the role may not see counts as absent."""
    found: dict[Thing, str] = {}
    for kind, plural, name in (
        (Kind.WAREHOUSE, "WAREHOUSES", target.warehouse),
        (Kind.DATABASE, "DATABASES", target.database),
        (Kind.DATABASE, "DATABASES", target.linked_database),
        (Kind.VOLUME, "EXTERNAL VOLUMES", target.volume),
        (Kind.INTEGRATION, "CATALOG INTEGRATIONS", target.integration),
        (Kind.ROLE, "ROLES", target.analyst_role),
    ):
        if any(row["name"] == name for row in session.run(f"SHOW {plural} LIKE '{name}'")):  # in LIKE, _ is any letter
            found[Thing(kind, name)] = ""
    if Thing(Kind.DATABASE, target.database) in found:
        found |= _inside(session, target.database)
        for row in session.run(f"SHOW VIEWS IN DATABASE {target.database}"):
            mark = FINGERPRINT.search(str(row.get("comment") or ""))
            found[Thing(Kind.VIEW, _full_name(target.database, row))] = mark.group(1) if mark else ""
    if Thing(Kind.DATABASE, target.linked_database) in found and target.tables != LISTED:
        found |= _inside(session, target.linked_database)
    if Thing(Kind.ROLE, target.analyst_role) in found:
        found |= _granted(session, target.analyst_role)
    return State(found)


def linked_tables(session: Session, target: Target) -> dict[Thing, str]:
    """Schemas and tables that the linked database has found in Glue so far."""
    return _inside(session, target.linked_database)


def _inside(session: Session, database: str) -> dict[Thing, str]:
    found = {
        Thing(Kind.SCHEMA, f"{database}.{str(row['name']).upper()}"): ""
        for row in session.run(f"SHOW SCHEMAS IN DATABASE {database}")
    }
    for row in session.run(f"SHOW ICEBERG TABLES IN DATABASE {database}"):
        found[Thing(Kind.TABLE, _full_name(database, row))] = ""
    return found


def _full_name(database: str, row: Row) -> str:
    return f"{database}.{row['schema_name']}.{row['name']}".upper()


def _granted(session: Session, role: str) -> dict[Thing, str]:
    found = {}
    for row in session.run(f"SHOW GRANTS TO ROLE {role}"):
        found[Thing(Kind.GRANT, grant_name(str(row["privilege"]), str(row["granted_on"]), str(row["name"])))] = ""
    for row in session.run(f"SHOW GRANTS OF ROLE {role}"):
        if row["granted_to"] == "ROLE":
            found[Thing(Kind.GRANT, f"ROLE {role} TO ROLE {row['grantee_name']}")] = ""
    return found
