"""How AWS and Snowflake come to trust each other: what DESC tells, what AWS has to trust, what SYSTEM$VERIFY_* says of it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from fleetlake.cloud.snowflake.session import Row, Session, masked
from fleetlake.cloud.snowflake.statements import literal
from fleetlake.cloud.snowflake.target import LISTED, SnowflakeTarget
from fleetlake.foundation.errors import BadInput, Permanent

VOLUME, GLUE, REST = "volume", "glue", "rest"
LOCATION = "STORAGE_LOCATION_1"
# What AWS says, through Snowflake, to a role whose trust policy has not come into force everywhere yet.
NOT_YET_TRUSTED = re.compile(r"assume ?role|not authorized to perform|access ?denied|security token", re.IGNORECASE)
PATIENCE_S = 180.0


@dataclass(frozen=True, slots=True)
class Identity:
    """Who Snowflake is when it uses one object. Never printed."""

    principal_arn: str = field(repr=False)
    external_id: str = field(repr=False)


class Clock(Protocol):
    def monotonic(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def attempts(clock: Clock, patience_s: float) -> Iterator[bool]:
    """One item an attempt, further and further apart; True for the last one, when patience_s are over."""
    began, pause = clock.monotonic(), 2.0
    while (left := patience_s - (clock.monotonic() - began)) > 0:
        yield False
        clock.sleep(min(pause, left))
        pause = min(pause * 2, 15.0)
    yield True


def identities(session: Session, target: SnowflakeTarget) -> dict[str, Identity]:
    """By volume, and glue or rest: an IAM user and an external id each. Permanent if DESC does not tell."""
    return {
        VOLUME: volume_identity(session, target),
        GLUE if target.tables == LISTED else REST: _integration_identity(session, target),
    }


def volume_identity(session: Session, target: SnowflakeTarget) -> Identity:
    location = volume_location(session, target)
    return _identity(location, ("STORAGE_",), target.volume)


def volume_location(session: Session, target: SnowflakeTarget) -> dict[str, Any]:
    """The JSON that DESC EXTERNAL VOLUME has of the only storage location."""
    rows = session.run(f"DESC EXTERNAL VOLUME {target.volume}")
    try:
        found = json.loads(next(str(row["property_value"]) for row in rows if str(row["property"]).upper() == LOCATION))
    except (StopIteration, ValueError) as error:
        raise Permanent(f"DESC does not tell {LOCATION}", where=f"external volume {target.volume}") from error
    return {str(name).upper(): value for name, value in found.items()}


def integration_properties(session: Session, target: SnowflakeTarget) -> dict[str, str]:
    """What DESC CATALOG INTEGRATION has, by property in upper case: the documentation shows either case."""
    rows = session.run(f"DESC CATALOG INTEGRATION {target.integration}")
    return {str(row["property"]).upper(): str(row["property_value"]) for row in rows}


def _integration_identity(session: Session, target: SnowflakeTarget) -> Identity:
    # A REST integration has been seen to name these API_AWS_*, and GLUE_AWS_* as well.
    return _identity(integration_properties(session, target), ("GLUE_", "API_"), target.integration)


def _identity(properties: dict[str, Any], prefixes: tuple[str, ...], name: str) -> Identity:
    for prefix in prefixes:
        arn, external_id = properties.get(f"{prefix}AWS_IAM_USER_ARN"), properties.get(f"{prefix}AWS_EXTERNAL_ID")
        if arn and external_id:
            return Identity(str(arn), str(external_id))
    expected = " or ".join(f"{prefix}AWS_IAM_USER_ARN and {prefix}AWS_EXTERNAL_ID" for prefix in prefixes)
    raise Permanent(f"DESC does not tell {expected}", where=name)


def verify(session: Session, target: SnowflakeTarget, clock: Clock, tell: Callable[[str], None]) -> None:
    """Until Snowflake can use what AWS trusts it with. BadInput with Snowflake's reason if it can't after PATIENCE_S.

    There is no such function for an integration of source GLUE: the first table made through it shows the same.
    """
    _until(session, f"SYSTEM$VERIFY_EXTERNAL_VOLUME({literal(target.volume)})", volume_refusal, target.volume, clock, tell)
    if target.tables != LISTED:
        call = f"SYSTEM$VERIFY_CATALOG_INTEGRATION({literal(target.integration)})"
        _until(session, call, integration_refusal, target.integration, clock, tell)


def _until(
    session: Session, call: str, refusal: Callable[[dict[str, Any]], str], name: str, clock: Clock, tell: Callable[[str], None]
) -> None:
    for last in attempts(clock, PATIENCE_S):
        said = refusal(answer(session.run(f"SELECT {call}"), name))
        if not said:
            return
        if last:
            raise BadInput(
                f"Snowflake can't use {name} after {PATIENCE_S:.0f} s: {masked(said)}",
                where=call.partition("(")[0],
                hint="fleetlake deploy aws apply brings the role up to date; then run this again",
            )
        tell(f"waiting until AWS lets Snowflake use {name}")


def answer(rows: list[Row], name: str) -> dict[str, Any]:
    """The JSON a system function gives as its only value."""
    try:
        found = json.loads(str(next(iter(rows[0].values()))))
    except (IndexError, StopIteration, ValueError) as error:
        raise Permanent("Snowflake's answer is no JSON", where=name) from error
    return dict(found)


def volume_refusal(found: dict[str, Any]) -> str:
    """Empty if the volume can be used. A read-only one skips writing, and some answers call that no success: the role decides."""
    results = {name: str(value) for name, value in found.items() if name.endswith("Result")}
    failed = [f"{name}: {value}" for name, value in results.items() if value.upper().startswith(("FAILED", "FALSE"))]
    if results.get("awsRoleArnValidationResult") == "PASSED" and not failed:
        return ""
    return "; ".join(failed) or f"awsRoleArnValidationResult: {results.get('awsRoleArnValidationResult', 'not told')}"


def integration_refusal(found: dict[str, Any]) -> str:
    return "" if found.get("success") is True else str(found.get("errorMessage") or "no reason given")


def run_when_trusted(session: Session, sql: str, clock: Clock, tell: Callable[[str], None]) -> None:
    """Runs it, and again while AWS does not let Snowflake in; the last refusal is raised."""
    for last in attempts(clock, PATIENCE_S):
        try:
            session.run(sql)
        except BadInput as error:
            if last or not NOT_YET_TRUSTED.search(error.what):
                raise
            tell("waiting until AWS lets Snowflake read the Glue catalog")
        else:
            return


def wait_for_tables(
    session: Session,
    target: SnowflakeTarget,
    missing: Callable[[], bool],
    clock: Clock,
    tell: Callable[[str], None],
    patience_s: float,
) -> None:
    """Until the linked database has found the tables, or patience_s are over. BadInput if the link has failed."""
    for last in attempts(clock, patience_s):
        if not missing() or last:
            return
        found = answer(session.run(f"SELECT SYSTEM$CATALOG_LINK_STATUS({literal(target.linked_database)})"), target.linked_database)
        if found.get("executionState") == "FAILED":
            reason = masked(str(found.get("failedExecutionStateReason") or "no reason given"))
            raise BadInput(f"the linked database can't follow Glue: {reason}", where=target.linked_database)
        tell("waiting until Snowflake has found the tables in Glue")
