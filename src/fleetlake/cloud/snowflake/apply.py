"""Making it: pass 1, the handshake, pass 2. What is there already stays as it is, so a run that was cut off is run again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from fleetlake.cloud.snowflake.handshake import (
    Clock,
    Identity,
    identities,
    integration_properties,
    run_when_trusted,
    verify,
    wait_for_tables,
)
from fleetlake.cloud.snowflake.migrations import migrations, table_thing
from fleetlake.cloud.snowflake.preflight import require_makeable, take_role
from fleetlake.cloud.snowflake.session import LacksColumn, Session
from fleetlake.cloud.snowflake.state import HandshakeState, linked_tables, read_state
from fleetlake.cloud.snowflake.statements import SnowflakeObjectKind, SnowflakeStatement, Thing
from fleetlake.cloud.snowflake.target import LISTED, SnowflakeTarget, lake_tables

Tell = Callable[[str], None]


class TrustPolicy(Protocol):
    """The AWS side."""

    def tables(self) -> frozenset[str]:
        """The lake's tables in Glue, as `layer.kind`."""
        ...

    def trust(self, identities: Mapping[str, Identity]) -> bool:
        """The role trusts each of these (by volume, glue, rest) with its own external id. False if it did already."""
        ...


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something that was not made. why: what it waits for."""

    thing: Thing
    why: str


@dataclass(frozen=True, slots=True)
class AppliedMigrations:
    """made: what was made or changed, in order. kept: how much was there already. trusted: whether AWS had to be changed."""

    made: tuple[str, ...]
    kept: int
    waiting: tuple[Waiting, ...]
    trusted: bool


@dataclass(slots=True)
class _Run:
    session: Session
    target: SnowflakeTarget
    clock: Clock
    tell: Tell
    in_glue: frozenset[str]
    found: dict[Thing, str]
    made: list[str] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    kept: int = 0

    def take(self, statement: SnowflakeStatement) -> None:
        """Runs it unless it is done, or has to wait."""
        if HandshakeState(self.found).done(statement):
            self.kept += 1
            return
        why = self._why_not(statement)
        if why:
            self.waiting.append(Waiting(statement.makes, why))
            return
        self.tell(f"making {statement.makes}")
        try:
            if statement.makes.kind is SnowflakeObjectKind.TABLE:
                run_when_trusted(self.session, statement.sql, self.clock, self.tell)
            else:
                self.session.run(statement.sql)
        except LacksColumn:  # the contract is ahead of the table, whose next writer adds the column
            self.waiting.append(Waiting(statement.makes, "its table lacks a column: the next ingest or transform adds it"))
            return
        self.found[statement.makes] = statement.fingerprint
        self.made.append(str(statement.makes))

    def _why_not(self, statement: SnowflakeStatement) -> str:
        if statement.in_glue and statement.in_glue not in self.in_glue:
            return f"{statement.in_glue} is not in Glue yet: the first ingest or transform makes it"
        absent = [thing for thing in statement.needs if thing not in self.found]
        return f"it needs {', '.join(map(str, absent))}" if absent else ""


def apply(
    session: Session, aws: TrustPolicy, target: SnowflakeTarget, clock: Clock, tell: Tell = lambda line: None
) -> AppliedMigrations:
    """Makes what is not there. Nothing is made if it can be known before that it would not be made whole.

    Objects that AWS trusts are never replaced. BadInput if Snowflake can't use what AWS trusts it with.
    """
    plan = migrations(target)
    take_role(session, target)
    in_glue = aws.tables()
    state = read_state(session, target)
    require_makeable(session, target, state, plan)
    run = _Run(session, target, clock, tell, in_glue, dict(state.things))
    for migration in plan:
        if migration.pass_number == 1:
            for statement in migration.statements:
                run.take(statement)
    _refresh_as_set(run)
    session.run(f"USE WAREHOUSE {target.warehouse}")
    trusted = aws.trust(identities(session, target))
    verify(session, target, clock, tell)
    for migration in plan:
        if migration.pass_number == 2:
            for statement in migration.statements:
                run.take(statement)
            if target.tables != LISTED and migration.title == "linked_database":
                _discover(run)
    return AppliedMigrations(tuple(run.made), run.kept, tuple(run.waiting), trusted)


def _refresh_as_set(run: _Run) -> None:
    """The interval is the one property of a trusted object that may change, and ALTER keeps the external id."""
    name, seconds = run.target.integration, str(run.target.refresh_s)
    if integration_properties(run.session, run.target).get("REFRESH_INTERVAL_SECONDS", seconds) != seconds:
        run.session.run(f"ALTER CATALOG INTEGRATION {name} SET REFRESH_INTERVAL_SECONDS = {seconds}")
        run.made.append(f"refresh interval of {name}")


def _discover(run: _Run) -> None:
    expected = {table_thing(run.target, table.name) for table in lake_tables() if table.name in run.in_glue}

    def missing() -> bool:
        run.found |= linked_tables(run.session, run.target)
        return not expected <= run.found.keys()

    wait_for_tables(run.session, run.target, missing, run.clock, run.tell, 60.0 + 2 * run.target.refresh_s)
