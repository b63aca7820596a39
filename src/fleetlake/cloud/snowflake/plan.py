"""What a plan and an applied plan look like, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fleetlake.cloud.snowflake.apply import AppliedMigrations
from fleetlake.cloud.snowflake.migrations import migrations
from fleetlake.cloud.snowflake.target import LISTED, SnowflakeTarget


def planned(target: SnowflakeTarget) -> list[dict[str, Any]]:
    """Every statement in its order; what is only looked at, or done in AWS, stands between the passes."""
    found: list[dict[str, Any]] = []
    for migration in migrations(target):
        if migration.pass_number == 2 and found[-1]["stage"] == 1:
            found += [{"stage": "handshake", "migration": "", "makes": "", "statement": line} for line in _handshake(target)]
        for statement in migration.statements:
            name = f"{migration.number:03}_{migration.title}"
            found.append(
                {"stage": migration.pass_number, "migration": name, "makes": str(statement.makes), "statement": statement.sql + ";"}
            )
    return found


def plan_text(target: SnowflakeTarget) -> str:
    """The same as SQL with comments."""
    parts, before = [], None
    for step in planned(target):
        heading = (step["stage"], step["migration"])
        if heading != before:
            said = f"-- pass {step['stage']}: {step['migration']}" if step["migration"] else "-- between the passes"
            parts.append(said)
            before = heading
        parts.append(step["statement"])
    return "\n\n".join(parts)


def _handshake(target: SnowflakeTarget) -> Iterator[str]:
    yield f"DESC EXTERNAL VOLUME {target.volume};"
    yield f"DESC CATALOG INTEGRATION {target.integration};"
    yield f"-- AWS: role {target.role_arn} trusts both IAM users, each with its own external id (parameters of the stack)"
    yield f"SELECT SYSTEM$VERIFY_EXTERNAL_VOLUME('{target.volume}');"
    if target.tables == LISTED:
        yield "-- source GLUE has no verifying function: the first table is tried until AWS lets Snowflake in, 3 minutes at most"
    else:
        yield f"SELECT SYSTEM$VERIFY_CATALOG_INTEGRATION('{target.integration}');"


def applied_text(applied: AppliedMigrations) -> str:
    lines = [f"made     {thing}" for thing in applied.made]
    lines += [f"waiting  {waiting.thing}: {waiting.why}" for waiting in applied.waiting]
    lines.append(f"AWS      {'trusts Snowflake now' if applied.trusted else 'trusted Snowflake already'}")
    lines.append(f"{len(applied.made)} made, {applied.kept} there already, {len(applied.waiting)} waiting")
    return "\n".join(lines)


def as_document(applied: AppliedMigrations) -> dict[str, Any]:
    return {
        "made": list(applied.made),
        "kept": applied.kept,
        "waiting": [{"thing": str(waiting.thing), "why": waiting.why} for waiting in applied.waiting],
        "trust_changed": applied.trusted,
    }
