"""`deploy athena apply`: makes what is missing, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from athena_fakes import FakeAthena, FakeGlue, refused

from fleetlake.cloud.athena.apply import Apply, Done, StatementOutcome, require_bucket, require_workgroup
from fleetlake.cloud.athena.client import Athena
from fleetlake.cloud.athena.plan import AthenaPlan, plan_for, target_of
from fleetlake.contracts.tables import all_tables
from fleetlake.foundation.errors import BadInput, Missing, Retryable

PLAN = plan_for(target_of("fleet", "my-bucket", None))
TABLES = [table.name for table in all_tables()]


def apply(athena: FakeAthena, plan: AthenaPlan = PLAN) -> list[StatementOutcome]:
    runner = Athena(athena, "wg", plan.target.database, sleep=lambda s: None)
    return Apply(athena.glue, athena, runner, "wg").run(plan)


def done(outcomes: list[StatementOutcome]) -> set[Done]:
    return {outcome.done for outcome in outcomes}


def test_all_is_made_in_order_and_again_nothing() -> None:
    athena = FakeAthena(FakeGlue(*TABLES))
    first = apply(athena)
    assert athena.statements == [statement.signed for statement in PLAN.statements]
    assert [outcome.name for outcome in first] == [
        "fleet", *(statement.name for statement in PLAN.statements), *(query.title for query in PLAN.named),
    ]  # fmt: skip
    assert done(first) == {Done.CREATED}
    assert {query["QueryString"] for query in athena.named.values()} == {query.saved for query in PLAN.named}
    assert {query["WorkGroup"] for query in athena.named.values()} == {"wg"}
    named, databases = dict(athena.named), dict(athena.glue.databases)
    again = apply(athena)
    assert done(again) == {Done.UNCHANGED}
    assert len(athena.statements) == len(PLAN.statements)
    assert (athena.named, athena.glue.databases) == (named, databases)


def test_a_database_that_is_there_keeps_what_it_has() -> None:
    athena = FakeAthena(FakeGlue(*TABLES))
    athena.glue.databases["fleet"] = {"LocationUri": "s3://b/x", "Description": "mine", "Parameters": {"owner": "me"}}
    assert apply(athena)[0] == StatementOutcome("database", "fleet", Done.UNCHANGED)
    kept = athena.glue.databases["fleet"]
    assert (kept["LocationUri"], kept["Description"], kept["Parameters"]["owner"]) == ("s3://b/x", "mine", "me")


def test_a_view_waits_for_its_tables_and_is_made_when_they_are_there() -> None:
    athena = FakeAthena(FakeGlue("bronze.gps", "gold.trips", "silver.positions"))
    outcomes = {outcome.name: outcome for outcome in apply(athena)}
    assert outcomes["trips"] == StatementOutcome("view", "trips", Done.WAITS, ("gold.driving_events",))
    assert outcomes["fleet_state"].done is Done.CREATED
    assert outcomes["quarantine"].missing == ("bronze.emergency", "bronze.traffic_camera", "bronze.vehicle", "bronze.weather")
    assert not any('"fleet"."trips"' in sql for sql in athena.statements)
    athena.glue.tables["gold", "driving_events"] = {}
    assert {outcome.name for outcome in apply(athena) if outcome.done is Done.CREATED} == {"trips"}


def test_a_table_of_another_statement_is_made_anew() -> None:
    athena = FakeAthena(FakeGlue(*TABLES))
    apply(athena)
    del athena.statements[:]
    other = plan_for(target_of("fleet", "other-bucket", None))
    outcomes = apply(athena, other)
    assert {outcome.name for outcome in outcomes if outcome.done is Done.UPDATED} == {
        one.name for one in PLAN.statements if one.name.startswith("landing")
    }
    assert athena.statements[:2] == ["DROP TABLE IF EXISTS `fleet`.`landing_vehicle`", other.statements[0].signed]
    assert done(apply(athena, other)) == {Done.UNCHANGED}


def test_a_view_of_another_statement_is_replaced() -> None:
    athena = FakeAthena(FakeGlue(*TABLES))
    apply(athena)
    del athena.statements[:]
    other = replace(PLAN.statements[-1], sql=PLAN.statements[-1].sql.replace("'week'", "'day'"))
    changed = replace(PLAN, statements=(*PLAN.statements[:-1], other))
    assert [outcome.name for outcome in apply(athena, changed) if outcome.done is Done.UPDATED] == ["driver_weeks"]
    assert athena.statements == [other.sql]
    assert done(apply(athena, changed)) == {Done.UNCHANGED}


def test_a_view_that_was_dropped_is_made_again() -> None:
    athena = FakeAthena(FakeGlue(*TABLES))
    apply(athena)
    del athena.glue.tables["fleet", "trips"]
    assert [outcome.name for outcome in apply(athena) if outcome.done is Done.CREATED] == ["trips"]


def test_a_table_of_somebody_else_is_left_alone() -> None:
    athena = FakeAthena(FakeGlue(*TABLES, "fleet.landing_gps"))
    with pytest.raises(BadInput, match=r"fleetlake has not made; at Glue, fleet\.landing_gps"):
        apply(athena)
    assert athena.glue.tables["fleet", "landing_gps"] == {}
    assert [sql for sql in athena.statements if "landing_gps" in sql] == []


def test_a_view_of_somebody_else_is_left_alone() -> None:
    athena = FakeAthena(FakeGlue(*TABLES, "fleet.trips"))
    with pytest.raises(BadInput, match=r"a view .* fleetlake has not made; at Glue, fleet\.trips"):
        apply(athena)
    assert not any('"fleet"."trips"' in sql for sql in athena.statements)


def test_a_view_whose_making_was_cut_off_is_made_by_the_next_run() -> None:
    class CutOff(FakeAthena):
        broken = False

        def get_query_execution(self, *, QueryExecutionId: str) -> dict[str, Any]:  # noqa: N803
            ended = super().get_query_execution(QueryExecutionId=QueryExecutionId)
            if '"fleet"."trips"' in self.statements[-1] and not self.broken:
                self.broken = True
                raise KeyboardInterrupt
            return ended

    athena = CutOff(FakeGlue(*TABLES))
    with pytest.raises(KeyboardInterrupt):
        apply(athena)
    assert ("fleet", "trips") in athena.glue.tables
    assert {outcome.name: outcome.done for outcome in apply(athena)}["trips"] is Done.UPDATED
    assert done(apply(athena)) == {Done.UNCHANGED}


def test_named_queries_are_made_the_same_again() -> None:
    athena = FakeAthena(FakeGlue(*TABLES))
    apply(athena)
    ids = {query["Name"]: name for name, query in athena.named.items()}
    athena.named[ids["fleetlake_worst_drivers"]]["QueryString"] = "SELECT 1"
    athena.named[ids["fleetlake_fleet_state_now"]]["Database"] = "elsewhere"
    athena.named["mine"] = {"Name": "mine", "QueryString": "SELECT 2", "Database": "d", "Description": ""}
    outcomes = apply(athena)
    assert {outcome.name for outcome in outcomes if outcome.done is Done.UPDATED} == {
        "fleetlake_worst_drivers", "fleetlake_fleet_state_now",
    }  # fmt: skip
    assert done(apply(athena)) == {Done.UNCHANGED}
    assert athena.named["mine"]["QueryString"] == "SELECT 2"
    assert {query["Database"] for name, query in athena.named.items() if name != "mine"} == {"fleet"}
    assert len(athena.named) == len(PLAN.named) + 1


def test_of_two_named_queries_of_one_name_always_the_same_is_kept_right() -> None:
    athena = FakeAthena(FakeGlue(*TABLES))
    apply(athena)
    (first,) = (name for name, query in athena.named.items() if query["Name"] == "fleetlake_worst_drivers")
    athena.named["z"] = {"Name": "fleetlake_worst_drivers", "QueryString": "SELECT 1", "Database": "fleet", "Description": ""}
    assert done(apply(athena)) == {Done.UNCHANGED}
    athena.named[first]["QueryString"] = "SELECT 2"
    assert [outcome.done for outcome in apply(athena) if outcome.name == "fleetlake_worst_drivers"] == [Done.UPDATED]
    assert athena.named["z"]["QueryString"] == "SELECT 1"


def test_a_refused_statement_is_named_and_the_next_run_goes_on() -> None:
    athena = FakeAthena(FakeGlue(*TABLES))
    athena.fails["landing_weather"] = {
        "State": "FAILED", "StateChangeReason": "line 1: no\nviable alternative", "AthenaError": {"ErrorCategory": 2},
    }  # fmt: skip
    with pytest.raises(BadInput, match=r"Athena refused: line 1: no viable alternative; at Athena, table fleet\.landing_weather"):
        apply(athena)
    athena.fails.clear()
    outcomes = {outcome.name: outcome.done for outcome in apply(athena)}
    assert (outcomes["landing_vehicle"], outcomes["landing_weather"]) == (Done.UNCHANGED, Done.CREATED)


def test_without_permission_nothing_is_taken_for_missing() -> None:
    class Denied(FakeGlue):
        def get_database(self, **asked: Any) -> dict[str, Any]:
            raise refused("AccessDeniedException", "not authorized to perform: glue:GetDatabase")

    athena = FakeAthena(Denied())
    with pytest.raises(BadInput, match="the credentials may not do this"):
        apply(athena)
    assert athena.statements == []


class Workgroup:
    def __init__(self, answer: dict[str, Any] | Exception | None) -> None:
        self.answer = answer

    def get_work_group(self, *, WorkGroup: str) -> dict[str, Any]:  # noqa: N803
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"WorkGroup": self.answer}


RESULTS = {"ResultConfiguration": {"OutputLocation": "s3://b/results/"}}


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (refused("InvalidRequestException", "WorkGroup is not found."), Missing, "there is no Athena workgroup wg"),
        (None, Missing, "there is no Athena workgroup wg"),
        ({"State": "DISABLED", "Configuration": RESULTS}, BadInput, "wg is disabled"),
        ({"State": "ENABLED", "Configuration": {}}, BadInput, "has no place for results"),
        (refused("ThrottlingException"), Retryable, "busy"),
    ],
)
def test_a_workgroup_that_will_not_do(answer: Any, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        require_workgroup(Workgroup(answer), "wg")


@pytest.mark.parametrize("configuration", [RESULTS, {"ManagedQueryResultsConfiguration": {"Enabled": True}}])
def test_a_workgroup_that_will_do(configuration: dict[str, Any]) -> None:
    require_workgroup(Workgroup({"State": "ENABLED", "Configuration": configuration}), "wg")


class Bucket:
    def __init__(self, error: Exception | None) -> None:
        self.error, self.asked = error, dict[str, str]()

    def head_bucket(self, **asked: str) -> None:
        self.asked = asked
        if self.error:
            raise self.error


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        ("403", BadInput, "belongs to another account"),
        ("404", Missing, "there is no bucket"),
        ("301", BadInput, "in another region"),
        ("SlowDown", Retryable, "busy"),
    ],
)
def test_a_bucket_that_will_not_do(code: str, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        require_bucket(Bucket(refused(code)), "b", "a")


def test_the_bucket_has_to_be_the_accounts_own() -> None:
    bucket = Bucket(None)
    require_bucket(bucket, "b", "an-account")
    assert bucket.asked == {"Bucket": "b", "ExpectedBucketOwner": "an-account"}
