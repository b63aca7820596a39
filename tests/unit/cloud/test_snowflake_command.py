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

from fleetlake.app.main import main
from fleetlake.app.settings import Settings
from fleetlake.cloud.snowflake.session import Session
from fleetlake.cloud.snowflake.target import PLACEHOLDERS, Target


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    """Instead of Snowflake and of the stack; its clock is the command's."""
    made = Account(AwsRole(Clock(), EVERYTHING - {"gold.fuel"}))

    @contextmanager
    def session(connection: str) -> Iterator[Session]:
        assert connection == "mine"
        yield made

    def target(settings: Settings, mode: str | None) -> Target:
        over = {"region": "eu-west-2", "account": ACCOUNT, "bucket": "lake", "role_arn": ROLE_ARN}
        return replace(PLACEHOLDERS, tables=mode or settings.snowflake.tables, **over)

    monkeypatch.setattr("fleetlake.cloud.snowflake.session.open_session", session)
    monkeypatch.setattr("fleetlake.cloud.snowflake.stack.StackTrust", lambda *_: made.aws)
    monkeypatch.setattr("fleetlake.cloud.snowflake.handshake.SystemClock", lambda: made.aws.clock)
    monkeypatch.setattr("fleetlake.app.deploying_snowflake.deployed_target", target)
    return made


def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[object, str, str]:
    command = ["fleetlake", "--set", "snowflake.connection=mine", "deploy", "snowflake", "apply", *arguments]
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
