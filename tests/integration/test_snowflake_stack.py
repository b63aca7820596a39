"""The handshake with the stack itself on moto: the role's trust policy has what Snowflake's objects say, a statement each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import boto3
import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from tests.aws_server import REGION, AwsServer, aws_server
from tests.conftest import free_ports
from tests.snowflake_account import Account
from tests.trusting_role import EVERYTHING, USER_ARN, AwsRole, Clock

from fleetlake.cloud.aws.change_sets import execute, prepare
from fleetlake.cloud.aws.session import Aws
from fleetlake.cloud.aws.template import template_text
from fleetlake.cloud.snowflake.apply import apply
from fleetlake.cloud.snowflake.handshake import Identity
from fleetlake.cloud.snowflake.stack import StackTrust, role_and_bucket
from fleetlake.cloud.snowflake.target import LINKED, LISTED
from fleetlake.config.settings import Overrides, Settings, load
from fleetlake.foundation.errors import BadInput
from fleetlake.workflows.deploy_snowflake import deployed_target

PARTS = {"volume": ("Volume", "EXTERNAL VOLUME", "FLEETLAKE_VOLUME")}
INTEGRATIONS = {
    LISTED: ("Glue", "CATALOG INTEGRATION", "FLEETLAKE_GLUE"),
    LINKED: ("Rest", "CATALOG INTEGRATION", "FLEETLAKE_GLUE_REST"),
}


class StackRole(AwsRole):
    """The stack's role on moto: lets in by the trust policy that IAM has, at once."""

    def __init__(self, stack: StackTrust, aws: Aws) -> None:
        super().__init__(Clock(), stack.tables())
        self._stack, self._iam = stack, aws.client("iam")

    def trust(self, identities: Mapping[str, Identity]) -> bool:
        changed = self._stack.trust(identities)
        self.changes += changed
        return changed

    def policy(self) -> dict[str, tuple[str, str, str]]:
        """Effect, principal and external id by statement."""
        role = self._iam.get_role(RoleName="fleetlake-snowflake")["Role"]
        return {
            statement["Sid"]: (
                statement["Effect"],
                statement["Principal"]["AWS"],
                statement.get("Condition", {}).get("StringEquals", {}).get("sts:ExternalId", ""),
            )
            for statement in role["AssumeRolePolicyDocument"]["Statement"]
        }

    def lets_in(self, external_id: str) -> bool:
        return ("Allow", USER_ARN, external_id) in self.policy().values()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsServer]:
    with aws_server(tmp_path_factory.mktemp("aws"), free_ports()) as made:
        yield made


@pytest.fixture
def aws(server: AwsServer, monkeypatch: pytest.MonkeyPatch) -> Aws:
    """An account without a stack."""
    server.reset()
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return Aws(REGION)


def make_stack(aws: Aws) -> None:
    changes = prepare(aws, "fleetlake", {"BucketName": "lake", "PackageKey": "artifacts/fleetlake.zip"}, template_text())
    assert changes is not None
    execute(aws, changes, lambda line: None)


def make_tables(names: frozenset[str]) -> None:
    glue: Any = boto3.client("glue")
    for name in sorted(names):
        layer, kind = name.split(".")
        with suppress(glue.exceptions.AlreadyExistsException):
            glue.create_database(DatabaseInput={"Name": layer})
        glue.create_table(DatabaseName=layer, TableInput={"Name": kind, "Parameters": {"table_type": "ICEBERG"}})


def configured(mode: str) -> Settings:
    return load(Overrides(assignments=(f"aws.region={REGION}", f"snowflake.tables={mode}"))).settings


@pytest.mark.parametrize("mode", [LISTED, LINKED])
def test_the_role_trusts_what_desc_says_and_a_second_run_leaves_it(aws: Aws, mode: str) -> None:
    make_stack(aws)
    make_tables(EVERYTHING)
    target = deployed_target(configured(mode), None)
    assert (target.account, target.bucket) == (DEFAULT_ACCOUNT_ID, "lake")
    assert target.role_arn.endswith(f":iam::{DEFAULT_ACCOUNT_ID}:role/fleetlake-snowflake")
    role = StackRole(StackTrust(aws, "fleetlake"), aws)
    assert role.tables() == EVERYTHING
    assert set(role.policy()) == {"NoVolume", "NoGlue", "NoRest"}
    account = Account(role)

    applied = apply(account, role, target, role.clock)
    assert (applied.waiting, applied.trusted) == ((), True)
    expected = {
        sid: ("Allow", USER_ARN, account.things[kind, name]["external_id"])
        for sid, kind, name in (*PARTS.values(), INTEGRATIONS[mode])
    }
    allowed = {sid: statement for sid, statement in role.policy().items() if statement[0] == "Allow"}
    assert allowed == expected

    again = apply(account, role, target, role.clock)
    assert (again.made, again.trusted, role.changes) == ((), False, 1)
    assert {sid: statement for sid, statement in role.policy().items() if statement[0] == "Allow"} == expected


def test_only_tables_that_are_in_glue_count(aws: Aws) -> None:
    stack = StackTrust(aws, "fleetlake")
    assert stack.tables() == frozenset()
    make_stack(aws)
    some = frozenset({"bronze.gps", "silver.positions"})
    make_tables(some)
    assert stack.tables() == some


def test_without_a_stack_there_is_one_line(aws: Aws) -> None:
    with pytest.raises(BadInput, match="fleetlake") as refused:
        role_and_bucket(aws, "fleetlake")
    assert (refused.value.exit_code, DEFAULT_ACCOUNT_ID in str(refused.value)) == (2, False)
