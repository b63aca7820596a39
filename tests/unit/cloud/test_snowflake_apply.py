"""Apply against an account that enforces the order and the external ids; cut off anywhere, and run again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.snowflake_runs import MODES, fresh, run, secrets_of, target_in
from tests.trusting_role import EVERYTHING, ROLE_ARN, Crash

from fleetlake.cloud.snowflake.apply import AppliedMigrations
from fleetlake.cloud.snowflake.migrations import migrations
from fleetlake.cloud.snowflake.plan import applied_text, as_document
from fleetlake.cloud.snowflake.target import LINKED, LISTED
from fleetlake.contracts.tables import all_tables
from fleetlake.foundation.errors import BadInput

NO_GOLD = frozenset(name for name in EVERYTHING if not name.startswith("gold."))


@pytest.mark.parametrize("mode", MODES)
def test_everything_is_made_in_one_run(mode: str) -> None:
    account, target = fresh(), target_in(mode)
    applied = run(account, target)
    assert applied.made == tuple(str(statement.makes) for migration in migrations(target) for statement in migration.statements)
    assert (applied.kept, applied.waiting, applied.trusted, account.aws.changes) == (0, (), True, 1)


@pytest.mark.parametrize("mode", MODES)
def test_a_second_run_changes_nothing(mode: str) -> None:
    account, target = fresh(), target_in(mode)
    first = run(account, target)
    before, account.statements = account.contents(), []
    applied = run(account, target)
    assert applied == AppliedMigrations((), len(first.made), (), False)
    assert account.changing == []
    assert account.contents() == before
    assert account.aws.changes == 1


@pytest.mark.parametrize(
    ("mode", "part", "integration"), [(LISTED, "glue", "FLEETLAKE_GLUE"), (LINKED, "rest", "FLEETLAKE_GLUE_REST")]
)
def test_aws_trusts_each_object_with_its_own_external_id(mode: str, part: str, integration: str) -> None:
    account = fresh()
    run(account, target_in(mode))
    expected = {
        "volume": account.things["EXTERNAL VOLUME", "FLEETLAKE_VOLUME"]["external_id"],
        part: account.things["CATALOG INTEGRATION", integration]["external_id"],
    }
    assert {name: identity.external_id for name, identity in account.aws.trusted.items()} == expected
    assert len(set(expected.values())) == 2


@pytest.mark.parametrize("mode", MODES)
def test_verified_before_anything_of_the_second_pass(mode: str) -> None:
    account = fresh()
    run(account, target_in(mode))
    said = [" ".join(sql.split()[:3]) for sql in account.statements]
    verified = max(i for i, sql in enumerate(account.statements) if "SYSTEM$VERIFY" in sql)
    second = min(i for i, sql in enumerate(said) if sql in ("CREATE ICEBERG TABLE", "CREATE DATABASE FLEETLAKE_LAKE"))
    described = [i for i, sql in enumerate(said) if sql.startswith("DESC ")]
    assert max(described) < verified < second


def test_the_linked_integration_is_asked_and_the_glue_one_has_no_such_function() -> None:
    listed, linked = fresh(), fresh()
    run(listed, target_in(LISTED))
    run(linked, target_in(LINKED))
    assert not any("VERIFY_CATALOG_INTEGRATION" in sql for sql in listed.statements)
    assert any("VERIFY_CATALOG_INTEGRATION" in sql for sql in linked.statements)


@pytest.mark.parametrize("mode", MODES)
def test_nothing_trusted_is_ever_replaced(mode: str) -> None:
    account = fresh()
    run(account, target_in(mode))
    replaced = [sql for sql in account.statements if "OR REPLACE" in sql]
    assert all(sql.startswith("CREATE OR REPLACE VIEW") for sql in replaced)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("glue", [EVERYTHING, NO_GOLD])
@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_cut_off_anywhere_and_run_again_ends_the_same(mode: str, glue: frozenset[str], data: st.DataObject) -> None:
    target, whole = target_in(mode), fresh(glue)
    expected = run(whole, target)
    account = fresh(glue)
    for _ in range(data.draw(st.integers(1, 3))):
        account.crash_at = len(account.statements) + data.draw(st.integers(0, len(whole.statements)))
        account.crash_before = data.draw(st.booleans())
        account.aws.crash = data.draw(st.sampled_from(["", "before", "after"]))
        try:
            run(account, target)
        except Crash:
            continue
    account.crash_at, account.aws.crash = -1, ""
    applied = run(account, target)
    assert applied.waiting == expected.waiting
    assert account.contents() == whole.contents()
    assert {name: identity.external_id for name, identity in account.aws.trusted.items()} == {
        name: identity.external_id for name, identity in whole.aws.trusted.items()
    }


@pytest.mark.parametrize("mode", MODES)
def test_gold_waits_for_the_first_transform_and_only_gold_and_what_reads_it(mode: str) -> None:
    account, target = fresh(NO_GOLD), target_in(mode)
    applied = run(account, target)
    gold = {table.name for table in all_tables() if table.layer == "gold"}
    named = {waiting.why.split()[0] for waiting in applied.waiting if "is not in Glue yet" in waiting.why}
    assert named == gold
    assert {"view FLEETLAKE.ANALYTICS.TRIPS", "view FLEETLAKE.ANALYTICS.FLEET_STATE"} <= {str(w.thing) for w in applied.waiting}
    assert "view FLEETLAKE.ANALYTICS.QUARANTINE" in applied.made
    assert ("ICEBERG TABLE" if mode == LISTED else "VIEW", "FLEETLAKE.SILVER.POSITIONS") in account.things

    account.aws.glue, account.statements = EVERYTHING, []
    late = run(account, target)
    assert set(late.made) == {str(waiting.thing) for waiting in applied.waiting}
    assert late.waiting == ()
    assert account.aws.changes == 1


def test_a_new_gold_table_is_the_only_thing_made(monkeypatch: pytest.MonkeyPatch) -> None:
    account, target = fresh(), target_in(LISTED)
    fewer = tuple(table for table in all_tables() if table.name != "gold.fuel")
    with monkeypatch.context() as patched:
        patched.setattr("fleetlake.cloud.snowflake.migrations.lake_tables", lambda: fewer)
        run(account, target)
    account.statements = []
    assert run(account, target).made == ("table FLEETLAKE.GOLD.FUEL", "grant SELECT ON TABLE FLEETLAKE.GOLD.FUEL")
    assert len(account.changing) == 2


@pytest.mark.parametrize("mode", MODES)
def test_a_view_over_a_table_that_is_behind_its_contract_waits_and_the_rest_is_made(mode: str) -> None:
    account = fresh()
    account.behind = frozenset({"weather_condition"})
    applied = run(account, target_in(mode))
    behind = {str(waiting.thing) for waiting in applied.waiting if "lacks a column" in waiting.why}
    first = {"view FLEETLAKE.ANALYTICS.FLEET_STATE"} if mode == LISTED else {"view FLEETLAKE.SILVER.POSITIONS"}
    assert first <= behind
    assert "view FLEETLAKE.ANALYTICS.TRIPS" in applied.made
    account.behind = frozenset()
    assert run(account, target_in(mode)).waiting == ()


def test_a_view_that_was_changed_is_made_anew() -> None:
    account, target = fresh(), target_in(LISTED)
    run(account, target)
    account.things["VIEW", "FLEETLAKE.ANALYTICS.TRIPS"]["comment"] = "Trips [fleetlake 000000000000]"
    before = account.things["VIEW", "FLEETLAKE.ANALYTICS.QUARANTINE"]
    assert run(account, target).made == ("view FLEETLAKE.ANALYTICS.TRIPS",)
    assert account.things["VIEW", "FLEETLAKE.ANALYTICS.QUARANTINE"] is before


def test_both_modes_in_databases_of_their_own_share_the_volume_and_stay_trusted() -> None:
    account, listed = fresh(), target_in(LISTED)
    run(account, listed)
    volume = account.things["EXTERNAL VOLUME", "FLEETLAKE_VOLUME"]
    applied = run(account, replace(target_in(LINKED), database="FLEETLAKE_TOO"))
    assert ("external volume FLEETLAKE_VOLUME" in applied.made, applied.waiting) == (False, ())
    assert account.things["EXTERNAL VOLUME", "FLEETLAKE_VOLUME"] is volume
    assert set(account.aws.trusted) == {"volume", "glue", "rest"}
    account.statements = []
    assert (run(account, listed).made, account.changing) == ((), [])


def test_another_interval_alters_the_integration_and_keeps_its_external_id() -> None:
    account, target = fresh(), target_in(LISTED)
    run(account, target)
    trusted = dict(account.aws.trusted)
    applied = run(account, replace(target, refresh_s=300))
    assert applied.made == ("refresh interval of FLEETLAKE_GLUE",)
    assert account.things["CATALOG INTEGRATION", "FLEETLAKE_GLUE"]["shown"]["REFRESH_INTERVAL_SECONDS"] == "300"
    assert (account.aws.trusted, account.aws.changes) == (trusted, 1)


def test_a_volume_that_somebody_replaced_is_trusted_anew() -> None:
    account, target = fresh(), target_in(LISTED)
    run(account, target)
    old = account.aws.trusted["volume"]
    create = next(
        statement.sql for migration in migrations(target) for statement in migration.statements if "VOLUME IF" in statement.sql
    )
    account.run(create.replace("CREATE EXTERNAL VOLUME IF NOT EXISTS", "CREATE OR REPLACE EXTERNAL VOLUME"))
    applied = run(account, target)
    assert (applied.made, applied.trusted, account.aws.changes) == ((), True, 2)
    assert account.aws.trusted["volume"] != old


@pytest.mark.parametrize("mode", MODES)
def test_trust_that_never_comes_into_force_ends_in_one_line_and_nothing_of_pass_two(mode: str) -> None:
    account, told = fresh(), list[str]()
    account.aws.lets_in = lambda external_id: False  # type: ignore[method-assign]
    with pytest.raises(BadInput, match="can't use FLEETLAKE_VOLUME after 180 s") as refused:
        run(account, target_in(mode), told)
    assert not any(kind in ("ICEBERG TABLE", "VIEW", "ROLE") for kind, _ in account.things)
    assert told.count("waiting until AWS lets Snowflake use FLEETLAKE_VOLUME") > 5
    assert not [secret for secret in secrets_of(account) if secret in f"{refused.value} {told}"]


def test_glue_that_lets_in_late_is_waited_for_and_never_is_refused_masked() -> None:
    account = fresh()
    account.aws.lets_in = lambda external_id: external_id.startswith("ABC00006")  # type: ignore[method-assign]  # the volume's alone
    with pytest.raises(BadInput, match=r"Snowflake refused: \*\*\* is not authorized to perform") as refused:
        run(account, target_in(LISTED))
    assert account.aws.clock.now >= 180
    assert not [secret for secret in secrets_of(account) if secret in str(refused.value)]


@pytest.mark.parametrize("mode", MODES)
def test_no_secret_in_what_is_told_printed_or_shown(mode: str) -> None:
    account, told = fresh(NO_GOLD), list[str]()
    applied = run(account, target_in(mode), told)
    shown = " ".join([*told, applied_text(applied), str(as_document(applied)), repr(applied), repr(account.aws.trusted)])
    assert [secret for secret in secrets_of(account) if secret in shown] == []
    assert len(secrets_of(account)) == 6


def test_tables_a_linked_database_has_not_found_wait_for_the_next_run() -> None:
    account = fresh()
    account.sync_s = 10_000.0
    applied = run(account, target_in(LINKED))
    assert "view FLEETLAKE.SILVER.GPS" in {str(waiting.thing) for waiting in applied.waiting}
    account.aws.clock.now += 10_000
    assert run(account, target_in(LINKED)).waiting == ()


def test_a_name_that_is_only_like_ours_is_not_ours() -> None:
    account = fresh()
    account.things["WAREHOUSE", "FLEETLAKEXWH"] = account.things["ROLE", "FLEETLAKE2ANALYST"] = {}
    applied = run(account, target_in(LISTED))
    assert {"warehouse FLEETLAKE_WH", "role FLEETLAKE_ANALYST"} <= set(applied.made)


def test_a_link_that_failed_says_why() -> None:
    account = fresh()
    account.sync_s = 10_000.0
    failed = [{"status": '{"executionState": "FAILED", "failedExecutionStateReason": "no access for ' + ROLE_ARN + '"}'}]
    account._link_status = lambda sql, name: failed  # type: ignore[method-assign,assignment]
    ran = account.run

    def answered(sql: str) -> object:
        return failed if "CATALOG_LINK_STATUS" in sql else ran(sql)

    account.run = answered  # type: ignore[method-assign,assignment]
    with pytest.raises(BadInput, match=r"can't follow Glue: no access for \*\*\*; at FLEETLAKE_LAKE"):
        run(account, target_in(LINKED))
