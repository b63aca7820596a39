"""Apply on the account of tests, from an empty one on."""

from __future__ import annotations

from dataclasses import replace

from fleetlake.cloud.snowflake.apply import AppliedMigrations, apply
from fleetlake.cloud.snowflake.target import LINKED, LISTED, PLACEHOLDERS, SnowflakeTarget
from tests.snowflake_account import Account
from tests.trusting_role import ACCOUNT, EVERYTHING, ROLE_ARN, USER_ARN, AwsRole, Clock

MODES = (LISTED, LINKED)


def target_in(mode: str) -> SnowflakeTarget:
    return replace(PLACEHOLDERS, tables=mode, region="eu-west-2", account=ACCOUNT, bucket="lake", role_arn=ROLE_ARN)


def run(account: Account, target: SnowflakeTarget, told: list[str] | None = None) -> AppliedMigrations:
    account.warehouse = ""  # a session of its own
    return apply(account, account.aws, target, account.aws.clock, (told if told is not None else []).append)


def fresh(glue: frozenset[str] = EVERYTHING) -> Account:
    return Account(AwsRole(Clock(), glue))


def secrets_of(account: Account) -> set[str]:
    ids = {thing["external_id"] for thing in account.things.values() if "external_id" in thing}
    return {*ids, USER_ARN, ROLE_ARN, ACCOUNT, "4" * 12}
