"""`fleetlake deploy snowflake apply` as it is called: what it prints, what it ends with, and that no secret is in it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from tests.snowflake_account import Account
from tests.trusting_role import ACCOUNT, EVERYTHING, ROLE_ARN, USER_ARN, AwsRole, Clock

from fleetlake.cli.main import main
from fleetlake.cloud.snowflake.session import Session
from fleetlake.cloud.snowflake.target import PLACEHOLDERS, SnowflakeTarget
from fleetlake.config.settings import Overrides, Settings, load
from fleetlake.foundation.errors import BadInput
from fleetlake.workflows.deploy_snowflake import deployed_target, planned_target


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    """Instead of Snowflake and of the stack; its clock is the command's."""
    made = Account(AwsRole(Clock(), EVERYTHING - {"gold.fuel"}))

    @contextmanager
    def session(connection: str) -> Iterator[Session]:
        assert connection == "mine"
        yield made

    def target(settings: Settings, mode: str | None) -> SnowflakeTarget:
        over = {"region": "eu-west-2", "account": ACCOUNT, "bucket": "lake", "role_arn": ROLE_ARN}
        return replace(PLACEHOLDERS, tables=mode or settings.snowflake.tables, **over)

    monkeypatch.setattr("fleetlake.cloud.snowflake.login.open_session", session)
    monkeypatch.setattr("fleetlake.cloud.snowflake.stack.StackTrust", lambda *_: made.aws)
    monkeypatch.setattr("fleetlake.cloud.snowflake.handshake.SystemClock", lambda: made.aws.clock)
    monkeypatch.setattr("fleetlake.workflows.deploy_snowflake.deployed_target", target)
    return made


def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[object, str, str]:
    given = ["--set", "snowflake.connection=mine", "--set", "aws.region=eu-west-2"]
    command = ["fleetlake", *given, "deploy", "snowflake", "apply", *arguments]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    for secret in (USER_ARN, ROLE_ARN, ACCOUNT, "4" * 12, "SFCRole"):
        assert secret not in out + err
    return ended.value.code, out, err


def test_what_is_made_and_what_waits_is_said(
    account: Account, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = call(capsys, monkeypatch)
    assert (code or 0, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "made     warehouse FLEETLAKE_WH"
    assert "waiting  table FLEETLAKE.GOLD.FUEL: gold.fuel is not in Glue yet: the first ingest or transform makes it" in lines
    made = sum(line.startswith("made ") for line in lines)
    assert lines[-2:] == ["AWS      trusts Snowflake now", f"{made} made, 0 there already, 2 waiting"]

    code, out, _ = call(capsys, monkeypatch)
    assert out.splitlines()[-2:] == ["AWS      trusted Snowflake already", f"0 made, {made} there already, 2 waiting"]


def test_as_json(account: Account, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = call(capsys, monkeypatch, "--json", "--mode", "linked")
    found = json.loads(out)
    assert code in (0, None)
    assert found["trust_changed"] is True
    assert found["made"][0] == "warehouse FLEETLAKE_WH"
    assert "database FLEETLAKE_LAKE" in found["made"]
    assert {waiting["thing"] for waiting in found["waiting"]} >= {"view FLEETLAKE.GOLD.FUEL"}


def test_a_refusal_is_one_line_and_exit_code_2(
    account: Account, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    account.roles = ()
    code, out, err = call(capsys, monkeypatch)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: the user can't take role ACCOUNTADMIN: ")
    assert account.changing == []


BAD_INPUTS = [
    ("aws.stack=x; DROP DATABASE PROD; --", "is no name for the stack; at aws.stack"),
    ("aws.bucket=Fleet.Lake", "it has upper case and a dot; at aws.bucket"),
    ("aws.region=x'y", "is not an AWS region; at aws.region"),
    ("snowflake.database=select", "is a reserved word of Snowflake's; at snowflake.database"),
    ("snowflake.analyst_role=sysadmin", "is one of Snowflake's system roles; at snowflake.analyst_role"),
    ("lake.properties.warehouse=s3://Not_A_Bucket/x", "'Not_A_Bucket' can't be the name of a bucket here: it has upper case"),
]


class TestInputs:
    """Judged before anybody is asked: there is neither Snowflake nor AWS here."""

    @pytest.fixture(autouse=True)
    def nobody(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def asked(*_: object) -> None:
            raise AssertionError("logged in")

        monkeypatch.setattr("fleetlake.cloud.snowflake.login.open_session", asked)
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            monkeypatch.delenv(name, raising=False)

    def refused(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["fleetlake", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert (ended.value.code, out, err.count("\n")) == (2, "", 1)
        return err

    @pytest.mark.parametrize("command", ["plan", "apply"])
    @pytest.mark.parametrize(("given", "said"), BAD_INPUTS)
    def test_what_can_t_be(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str, given: str, said: str
    ) -> None:
        region = () if given.startswith("aws.region") else ("--set", "aws.region=eu-west-2")
        assert said in self.refused(capsys, monkeypatch, *region, "--set", given, "deploy", "snowflake", command)

    @pytest.mark.parametrize("command", ["plan", "apply"])
    def test_no_such_mode(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str) -> None:
        arguments = ("--set", "aws.region=eu-west-2", "deploy", "snowflake", command, "--mode", "both")
        assert "there is no mode 'both'" in self.refused(capsys, monkeypatch, *arguments)

    def test_no_region(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        assert "no AWS region is given; at aws.region" in self.refused(capsys, monkeypatch, "deploy", "snowflake", "apply")


class TestPlannedTarget:
    def planned(self, *assignments: str) -> SnowflakeTarget:
        return planned_target(load(Overrides(assignments=assignments)).settings, None)

    def test_what_only_aws_knows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            monkeypatch.delenv(name, raising=False)
        target = self.planned("aws.stack=mine")
        assert target.base_url == "s3://mine-<hash of account and region>/warehouse/"
        assert (target.region, target.account) == ("<region>", "<account>")

    def test_the_bucket_that_is_set(self) -> None:
        assert self.planned("aws.bucket=the-lake").base_url == "s3://the-lake/warehouse/"

    @pytest.mark.parametrize("warehouse", ["s3://the-lake/warehouse", "s3a://the-lake/warehouse/"])
    def test_the_lakes_own_bucket_and_region(self, warehouse: str) -> None:
        lake = (f"lake.properties.warehouse={warehouse}", "lake.properties.s3.region=eu-west-3")
        target = self.planned(*lake)
        assert (target.bucket, target.base_url, target.region) == ("the-lake", "s3://the-lake/warehouse/", "eu-west-3")

    def test_the_lakes_own_place(self) -> None:
        assert self.planned("lake.properties.warehouse=s3://the-lake/deep/er").base_url == "s3://the-lake/deep/er/"
        assert self.planned("lake.properties.warehouse=s3://the-lake").base_url == "s3://the-lake/"

    def test_two_buckets(self) -> None:
        with pytest.raises(BadInput, match=r"the lake is in the bucket one-lake, not in the-lake; at aws\.bucket"):
            self.planned("aws.bucket=the-lake", "lake.properties.warehouse=s3://one-lake/warehouse")


class TestDeployedTarget:
    @pytest.fixture(autouse=True)
    def stack(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("fleetlake.cloud.aws.session.Aws.account", lambda _: ACCOUNT)
        monkeypatch.setattr("fleetlake.cloud.snowflake.stack.role_and_bucket", lambda *_: (ROLE_ARN, "the-lake"))

    def deployed(self, *assignments: str) -> SnowflakeTarget:
        return deployed_target(load(Overrides(assignments=assignments)).settings, None)

    def test_region_and_place_of_the_lake(self) -> None:
        lake = ("lake.properties.warehouse=s3://the-lake/warehouse", "lake.properties.glue.region=eu-west-3")
        target = self.deployed(*lake)
        assert (target.region, target.base_url, target.role_arn) == ("eu-west-3", "s3://the-lake/warehouse/", ROLE_ARN)

    @pytest.mark.parametrize(
        ("given", "where"),
        [
            ("aws.bucket=other-lake", "aws.bucket"),
            ("lake.properties.warehouse=s3://other-lake/warehouse", "lake.properties.warehouse"),
        ],
    )
    def test_another_bucket_than_the_stacks(self, given: str, where: str) -> None:
        with pytest.raises(BadInput, match=f"the stack has the bucket the-lake, .*; at {where}; allowed: the-lake"):
            self.deployed("aws.region=eu-west-2", given)
