"""Apply on a real account, in both modes: what fakes can't show. Everything it makes has names of its own and is dropped."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from fleetlake.cloud.aws.session import Aws
from fleetlake.cloud.snowflake.apply import AppliedMigrations, apply
from fleetlake.cloud.snowflake.files import time_travel
from fleetlake.cloud.snowflake.handshake import SystemClock, identities
from fleetlake.cloud.snowflake.login import open_session
from fleetlake.cloud.snowflake.migrations import migrations
from fleetlake.cloud.snowflake.session import Session
from fleetlake.cloud.snowflake.stack import StackTrust, role_and_bucket
from fleetlake.cloud.snowflake.statements import SnowflakeObjectKind
from fleetlake.cloud.snowflake.target import LINKED, LISTED, SnowflakeTarget

MODES = (LISTED, LINKED)


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with open_session(os.environ["FLEETLAKE_TEST_SNOWFLAKE_CONNECTION"]) as opened:
        yield opened


@pytest.fixture(scope="module")
def stack() -> StackTrust:
    return StackTrust(Aws(os.environ["FLEETLAKE_TEST_AWS_REGION"]), os.environ["FLEETLAKE_TEST_STACK"])


@pytest.fixture(scope="module", params=MODES)
def target(request: pytest.FixtureRequest, session: Session) -> Iterator[SnowflakeTarget]:
    """Both modes, each in a database of its own."""
    region, name = os.environ["FLEETLAKE_TEST_AWS_REGION"], f"FLEETLAKE_TEST_{os.getpid()}_{request.param}".upper()
    aws = Aws(region)
    role_arn, bucket = role_and_bucket(aws, os.environ["FLEETLAKE_TEST_STACK"])
    made = SnowflakeTarget(
        database=name, warehouse=f"{name}_WH", admin_role="ACCOUNTADMIN", analyst_role=f"{name}_ANALYST", tables=request.param,
        refresh_s=30, stack=os.environ["FLEETLAKE_TEST_STACK"], region=region, account=aws.account(), bucket=bucket,
        role_arn=role_arn,
    )  # fmt: skip
    try:
        yield made
    finally:
        for kind, what in (
            ("DATABASE", made.linked_database), ("DATABASE", made.database), ("INTEGRATION", made.integration),
            ("EXTERNAL VOLUME", made.volume), ("WAREHOUSE", made.warehouse), ("ROLE", made.analyst_role),
        ):  # fmt: skip
            session.run(f"DROP {kind} IF EXISTS {what}")


@pytest.fixture(scope="module")
def applied(session: Session, stack: StackTrust, target: SnowflakeTarget) -> AppliedMigrations:
    return apply(session, stack, target, SystemClock())


def test_all_that_is_in_glue_is_made(applied: AppliedMigrations, stack: StackTrust, target: SnowflakeTarget) -> None:
    waiting = {waiting.thing for waiting in applied.waiting}
    expected = [s for m in migrations(target) for s in m.statements if s.in_glue in stack.tables()]
    assert expected, "the stack's lake is empty: ingest and transform into it first"
    assert [str(statement.makes) for statement in expected if statement.makes in waiting] == []
    assert applied.trusted


@pytest.mark.usefixtures("applied")
def test_a_second_run_changes_nothing(session: Session, stack: StackTrust, target: SnowflakeTarget) -> None:
    before = identities(session, target)
    again = apply(session, stack, target, SystemClock())
    assert (again.made, again.trusted) == ((), False)
    assert identities(session, target) == before


def test_every_view_and_table_can_be_read_without_quotes(
    applied: AppliedMigrations, session: Session, target: SnowflakeTarget
) -> None:
    made = set(applied.made)
    for migration in migrations(target):
        for statement in migration.statements:
            if statement.makes.kind in (SnowflakeObjectKind.VIEW, SnowflakeObjectKind.TABLE) and str(statement.makes) in made:
                session.run(f"SELECT count(*) FROM {statement.makes.name}")
    (row,) = session.run(f"SELECT device_id, event_time FROM {target.database}.SILVER.POSITIONS LIMIT 1")
    assert set(row) == {"device_id", "event_time"}


def test_time_travel_is_spelled_right(applied: AppliedMigrations, session: Session, target: SnowflakeTarget) -> None:
    assert any("GOLD.TRIPS" in thing for thing in applied.made), "the stack's lake has no trips: transform into it first"
    *_, status = (part for part in time_travel(target).split(";") if part.strip())
    session.run(status)
    table = status.split("'")[1]
    session.run(f"SELECT count(*) FROM {table} AT(TIMESTAMP => CURRENT_TIMESTAMP())")  # a new table has no other past
