"""What can be known to go wrong before anything is made."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fleetlake.cloud.snowflake.handshake import integration_properties, volume_location
from fleetlake.cloud.snowflake.session import Session
from fleetlake.cloud.snowflake.state import HandshakeState
from fleetlake.cloud.snowflake.statements import Migration, SnowflakeObjectKind, Thing
from fleetlake.cloud.snowflake.target import SnowflakeTarget
from fleetlake.foundation.errors import BadInput

# The kind of a thing -> the privilege on the account that making one takes. Inside a database its owner needs none.
PRIVILEGES = {
    SnowflakeObjectKind.WAREHOUSE: "CREATE WAREHOUSE",
    SnowflakeObjectKind.DATABASE: "CREATE DATABASE",
    SnowflakeObjectKind.VOLUME: "CREATE EXTERNAL VOLUME",
    SnowflakeObjectKind.INTEGRATION: "CREATE INTEGRATION",
    SnowflakeObjectKind.ROLE: "CREATE ROLE",
}
ALL_POWERFUL = "ACCOUNTADMIN"
ROLE = re.compile(r"arn:[\w-]+:iam::\d+:role/[\w+=,.@/-]+")  # in what DESC says of SigV4


def take_role(session: Session, target: SnowflakeTarget) -> None:
    """BadInput if the user may not take the role."""
    try:
        session.run(f"USE ROLE {target.admin_role}")
    except BadInput as error:
        raise BadInput(
            f"the user can't take role {target.admin_role}: {error.what}",
            where="snowflake.admin_role",
            hint="a role the user has been granted; deploy snowflake plan shows what it has to make",
        ) from None


def require_makeable(session: Session, target: SnowflakeTarget, state: HandshakeState, plan: Sequence[Migration]) -> None:
    """BadInput for what would stop it in the middle: no privilege, something else of the same name, a volume of another lake."""
    _require_privileges(session, target, state, plan)
    if state.has(Thing(SnowflakeObjectKind.WAREHOUSE, target.warehouse)):
        session.run(f"USE WAREHOUSE {target.warehouse}")  # somebody else's may be seen and still not be used
    for migration in plan:
        for statement in migration.statements:
            thing = statement.makes
            other = Thing(
                SnowflakeObjectKind.VIEW if thing.kind is SnowflakeObjectKind.TABLE else SnowflakeObjectKind.TABLE, thing.name
            )
            if thing.kind in (SnowflakeObjectKind.TABLE, SnowflakeObjectKind.VIEW) and state.has(other):
                raise BadInput(
                    f"{thing.name} is a {other.kind} already, and has to be a {thing.kind} where tables are {target.tables}",
                    where="snowflake.tables",
                    hint="another snowflake.database, or drop that one",
                )
    if state.has(Thing(SnowflakeObjectKind.VOLUME, target.volume)):
        location = volume_location(session, target)
        _require_same(target.volume, "bucket", str(location.get("STORAGE_BASE_URL", "")).rstrip("/"), target.base_url.rstrip("/"))
        _require_same(target.volume, "AWS role", str(location.get("STORAGE_AWS_ROLE_ARN", "")), target.role_arn)
    if state.has(Thing(SnowflakeObjectKind.INTEGRATION, target.integration)):
        properties = integration_properties(session, target)
        role = ROLE.search(properties.get("REST_AUTHENTICATION", ""))
        _require_same(target.integration, "AWS role", role.group() if role else "", target.role_arn)
        _require_same(target.integration, "AWS role", properties.get("GLUE_AWS_ROLE_ARN", ""), target.role_arn)
        _require_same(target.integration, "Glue catalog", properties.get("GLUE_CATALOG_ID", ""), target.account)


def _require_same(name: str, what: str, found: str, wanted: str) -> None:
    """Neither value is said: they have account ids. An object that does not tell is not refused."""
    if found and found != wanted:
        raise BadInput(
            f"{name} is there already, for another {what} than the stack's",
            where="aws.stack",
            hint="a stack of another name (aws.stack); dropping what is there ends the tables that use it",
        )


def _require_privileges(session: Session, target: SnowflakeTarget, state: HandshakeState, plan: Sequence[Migration]) -> None:
    if target.admin_role == ALL_POWERFUL:
        return
    makes = {statement.makes for migration in plan for statement in migration.statements}
    wanted = {PRIVILEGES[thing.kind] for thing in makes if thing.kind in PRIVILEGES and not state.has(thing)}
    lacking = wanted - _privileges(session, target.admin_role) if wanted else set()
    if lacking:
        raise BadInput(
            f"role {target.admin_role} lacks {', '.join(sorted(lacking))}",
            where="snowflake.admin_role",
            hint="; ".join(f"GRANT {privilege} ON ACCOUNT TO ROLE {target.admin_role}" for privilege in sorted(lacking)),
        )


def _privileges(session: Session, role: str) -> set[str]:
    """On the account, its own and inherited."""
    found: set[str] = set()
    seen, ahead = set[str](), [role]
    while ahead:
        current = ahead.pop()
        if current in seen:
            continue
        seen.add(current)
        for row in session.run(f"SHOW GRANTS TO ROLE {current}"):
            if row["granted_on"] == "ACCOUNT":
                found.add(str(row["privilege"]))
            elif row["granted_on"] == "ROLE" and row["privilege"] in ("USAGE", "OWNERSHIP"):
                ahead.append(str(row["name"]))
    return found
