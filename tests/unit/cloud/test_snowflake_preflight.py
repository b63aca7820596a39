"""What is refused before anything is made."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.snowflake_runs import MODES, fresh, run, secrets_of, target_in
from tests.trusting_role import ROLE_ARN

from fleetlake.cloud.snowflake.target import LINKED, LISTED
from fleetlake.foundation.errors import BadInput


def test_a_role_the_user_lacks() -> None:
    account = fresh()
    with pytest.raises(BadInput, match="can't take role NOBODY") as refused:
        run(account, replace(target_in(LISTED), admin_role="NOBODY"))
    assert (account.changing, refused.value.exit_code) == ([], 2)


def test_a_warehouse_of_somebody_else() -> None:
    account = fresh()
    account.things["WAREHOUSE", "FLEETLAKE_WH"], account.forbidden = {}, frozenset({"FLEETLAKE_WH"})
    with pytest.raises(BadInput, match="warehouse 'FLEETLAKE_WH' is not assigned"):
        run(account, target_in(LISTED))
    assert account.changing == []


def test_privileges_that_lack_are_named_together() -> None:
    account = fresh()
    account.roles += ("LOADER",)
    account.privileges = {
        "LOADER": (("USAGE", "ROLE", "MAKER"), ("CREATE ROLE", "ACCOUNT", "X")),
        "MAKER": (("CREATE WAREHOUSE", "ACCOUNT", "X"), ("CREATE DATABASE", "ACCOUNT", "X"), ("USAGE", "ROLE", "LOADER")),
    }
    with pytest.raises(BadInput, match="role LOADER lacks CREATE EXTERNAL VOLUME, CREATE INTEGRATION;"):
        run(account, replace(target_in(LISTED), admin_role="LOADER"))
    assert account.changing == []


def test_a_role_that_has_them_needs_no_more() -> None:
    account = fresh()
    account.roles += ("LOADER",)
    names = ("WAREHOUSE", "DATABASE", "EXTERNAL VOLUME", "INTEGRATION", "ROLE")
    account.privileges = {"LOADER": tuple((f"CREATE {name}", "ACCOUNT", "X") for name in names)}
    assert run(account, replace(target_in(LISTED), admin_role="LOADER")).waiting == ()


@pytest.mark.parametrize("first", MODES)
def test_the_other_mode_in_the_same_database(first: str) -> None:
    account = fresh()
    run(account, target_in(first))
    account.statements = []
    with pytest.raises(BadInput, match=r"FLEETLAKE\.BRONZE\.VEHICLE is a (table|view) already, and has to be a (table|view)"):
        run(account, target_in(LINKED if first == LISTED else LISTED))
    assert account.changing == []


def test_a_rest_integration_with_another_role() -> None:
    account, target = fresh(), target_in(LINKED)
    run(account, target)
    account.statements = []
    account.things["EXTERNAL VOLUME", "FLEETLAKE_VOLUME"]["location"]["STORAGE_AWS_ROLE_ARN"] = ROLE_ARN + "2"
    with pytest.raises(BadInput, match="FLEETLAKE_GLUE_REST is there already, for another AWS role"):
        run(account, replace(target, role_arn=ROLE_ARN + "2"))
    assert account.changing == []


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({"bucket": "another"}, "FLEETLAKE_VOLUME is there already, for another bucket"),
        ({"role_arn": ROLE_ARN + "2"}, "FLEETLAKE_VOLUME is there already, for another AWS role"),
        ({"account": "8" * 12}, "FLEETLAKE_GLUE is there already, for another Glue catalog"),
    ],
)
def test_a_volume_or_integration_of_another_lake(other: dict[str, str], what: str) -> None:
    account, target = fresh(), target_in(LISTED)
    run(account, target)
    account.statements = []
    with pytest.raises(BadInput, match=what) as refused:
        run(account, replace(target, **other))
    assert account.changing == []
    assert not [secret for secret in secrets_of(account) if secret in str(refused.value)]
