"""The connector's errors, each as one line with exit code 2 where the user has to change something, and without secrets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from snowflake.connector import errors
from tests.trusting_role import ACCOUNT, ROLE_ARN, USER_ARN

from fleetlake.cloud.snowflake.handshake import Identity, identities, integration_refusal, volume_refusal
from fleetlake.cloud.snowflake.session import ConnectorSession, LacksColumn, explain, masked
from fleetlake.cloud.snowflake.target import LINKED, PLACEHOLDERS
from fleetlake.foundation.errors import BadInput, Permanent, Retryable

EXTERNAL_ID = "ABC12345_" + "SFCRole=2_" + "a123456/s0Me+Thing="


class Cursor:
    """Of a connection that answers every statement with the same rows or error."""

    def __init__(self, answer: Any) -> None:
        self._answer, self.description = answer, [("Name",), ("Kind",)]

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execute(self, sql: str) -> None:
        if isinstance(self._answer, Exception):
            raise self._answer

    def fetchall(self) -> Any:
        return self._answer


class Connection:
    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def cursor(self) -> Cursor:
        return Cursor(self._answer)


def test_rows_are_by_name_in_lower_case() -> None:
    assert ConnectorSession(Connection([("a", 1), ("b", 2)])).run("SHOW x") == [{"name": "a", "kind": 1}, {"name": "b", "kind": 2}]


@pytest.mark.parametrize(
    ("error", "kind", "exit_code", "said"),
    [
        (
            errors.ProgrammingError(msg="Insufficient privileges to operate on account 'X'", errno=3001, sqlstate="42501"),
            BadInput,
            2,
            "the role lacks a privilege: Insufficient",
        ),
        (
            errors.ProgrammingError(msg="Object 'Y' does not exist or not authorized.", errno=2003),
            BadInput,
            2,
            "no such thing, or the role may not see it",
        ),
        (errors.ProgrammingError(msg="No active warehouse selected", errno=606), BadInput, 2, "has no warehouse for this"),
        (
            errors.ProgrammingError(msg="syntax error\nline 1 at position 0", errno=1003),
            BadInput,
            2,
            "Snowflake refused: syntax error line 1 at position 0",
        ),
        (errors.OperationalError(msg="connection reset", errno=250003), Retryable, 1, "can't be reached: connection reset"),
    ],
)
def test_a_statement_that_fails(error: Exception, kind: type[Exception], exit_code: int, said: str) -> None:
    with pytest.raises(kind) as raised:
        ConnectorSession(Connection(error)).run("CREATE EXTERNAL VOLUME IF NOT EXISTS X")
    assert said in str(raised.value)
    assert "at CREATE EXTERNAL VOLUME IF" in str(raised.value)
    assert (getattr(raised.value, "exit_code", None), "\n" in str(raised.value), raised.value.__suppress_context__) == (
        exit_code,
        False,
        True,
    )


def test_a_column_that_is_not_there_is_told_apart() -> None:
    with pytest.raises(LacksColumn, match="no such column: invalid identifier 'X'"):
        ConnectorSession(Connection(errors.ProgrammingError(msg="invalid identifier 'X'", errno=904))).run(
            "CREATE OR REPLACE VIEW X"
        )


def test_what_is_not_the_connectors_is_not_called_snowflakes() -> None:
    with pytest.raises(ZeroDivisionError):
        ConnectorSession(Connection(ZeroDivisionError())).run("SELECT 1")


@pytest.mark.parametrize("secret", [USER_ARN, ROLE_ARN, EXTERNAL_ID, ACCOUNT])
@pytest.mark.parametrize("around", ["{}", "it's '{}'.", 'x="{}",', "({})", "a {}; b"])
def test_secrets_are_masked_wherever_they_stand(secret: str, around: str) -> None:
    text = around.format(secret)
    assert secret not in masked(text)
    assert "***" in masked(text)
    assert secret not in str(explain(errors.ProgrammingError(msg=text, errno=1), text))


def test_other_text_is_left_alone() -> None:
    said = "Table 'SILVER.GPS' at 2026-01-01T00:00:00.000000Z has 1234567 rows"
    assert masked(said) == said


class Described:
    """DESC as given, by what is described."""

    def __init__(self, location: object, integration: list[tuple[str, str]]) -> None:
        self._location, self._integration = location, integration

    def run(self, sql: str) -> list[dict[str, Any]]:
        if sql.startswith("DESC EXTERNAL VOLUME"):
            return [
                {"property": "ALLOW_WRITES", "property_value": "false"},
                {"property": "STORAGE_LOCATION_1", "property_value": self._location},
            ]
        return [{"property": name, "property_value": value} for name, value in self._integration]


LOCATION = json.dumps({"NAME": "lake", "STORAGE_AWS_IAM_USER_ARN": USER_ARN, "STORAGE_AWS_EXTERNAL_ID": EXTERNAL_ID})


@pytest.mark.parametrize("prefix", ["API_AWS", "GLUE_AWS", "api_aws", "glue_aws"])
def test_desc_of_a_rest_integration_by_any_of_its_names(prefix: str) -> None:
    ending = ("_iam_user_arn", "_external_id") if prefix.islower() else ("_IAM_USER_ARN", "_EXTERNAL_ID")
    described = Described(LOCATION, [(prefix + ending[0], USER_ARN), (prefix + ending[1], "other")])
    found = identities(described, PLACEHOLDERS.in_mode(LINKED))
    assert found == {"volume": Identity(USER_ARN, EXTERNAL_ID), "rest": Identity(USER_ARN, "other")}
    assert USER_ARN not in repr(found)
    assert EXTERNAL_ID not in repr(found)


@pytest.mark.parametrize(
    "location", ["", "no json", json.dumps({"NAME": "lake"}), json.dumps({"STORAGE_AWS_IAM_USER_ARN": USER_ARN})]
)
def test_desc_that_does_not_tell(location: str) -> None:
    with pytest.raises(Permanent, match="DESC does not tell"):
        identities(Described(location, []), PLACEHOLDERS)


SKIPPED = dict.fromkeys(("writeResult", "readResult", "listResult", "deleteResult"), "SKIPPED")


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        ({"success": True, "storageLocationSelectionResult": "PASSED", **SKIPPED, "awsRoleArnValidationResult": "PASSED"}, ""),
        ({"success": False, "writeResult": "UNVERIFIED", "awsRoleArnValidationResult": "PASSED"}, ""),
        ({"success": False, **SKIPPED, "awsRoleArnValidationResult": "FAILED with x"}, "awsRoleArnValidationResult: FAILED with x"),
        ({"success": False, "readResult": "FAILED: y", "awsRoleArnValidationResult": "PASSED"}, "readResult: FAILED: y"),
        ({"success": True}, "awsRoleArnValidationResult: not told"),
    ],
)
def test_what_a_verified_volume_says(answer: dict[str, Any], refused: str) -> None:
    assert volume_refusal(answer) == refused


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        ({"success": True}, ""),
        ({"success": False, "errorMessage": "z"}, "z"),
        ({"success": "true"}, "no reason given"),
        ({}, "no reason given"),
    ],
)
def test_what_a_verified_integration_says(answer: dict[str, Any], refused: str) -> None:
    assert integration_refusal(answer) == refused
