"""What `deploy athena` and `athena query` say."""

from __future__ import annotations

import io
import re
import sys

import pytest
from athena_fakes import FakeAthena, FakeGlue

from fleetlake.cloud.athena.apply import Apply
from fleetlake.cloud.athena.client import Athena
from fleetlake.cloud.aws.session import Aws
from fleetlake.config.settings import AwsSection, Settings, SparkSection
from fleetlake.contracts.tables import all_tables
from fleetlake.workflows.deploy_athena import athena_of, outcome_text, plan_text, planned


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def settings(**aws: str) -> Settings:
    return Settings(aws=AwsSection.model_validate(aws))


def test_the_text_of_a_plan_has_every_statement_once() -> None:
    plan = planned(settings(bucket="my-bucket"))
    text = plan_text(plan)
    for one in plan.statements:
        assert text.count(f"\n{one.signed};\n") == 1
    for query in plan.named:
        assert text.count(f"-- named query {query.title}: ") == 1
        assert f"\n{query.saved};" in text


def test_the_landing_of_the_spark_ingest_is_taken_if_it_is_on_s3() -> None:
    on_s3 = Settings(spark=SparkSection.model_validate({"landing": "s3a://b/landing"}))
    assert planned(on_s3).target.landing == "s3://b/landing"
    assert planned(settings(view_database="views")).target.database == "views"


def test_what_was_done_in_a_few_lines() -> None:
    athena = FakeAthena(FakeGlue(*(table.name for table in all_tables() if table.name != "gold.driving_events")))
    plan = planned(settings(bucket="my-bucket"))
    outcomes = Apply(athena.glue, athena, Athena(athena, "wg", "fleet"), "wg").run(plan)
    lines = outcome_text(plan, outcomes).splitlines()
    assert lines[0] == "database fleet                        created"
    assert "view     trips                        waits for gold.driving_events" in lines
    assert lines[-2] == f"named queries in the workgroup: {len(plan.named)} created"
    assert lines[-1] == "trips: ingest and transform with the aws profile, then apply again"
    athena.glue.tables["gold", "driving_events"] = {}
    Apply(athena.glue, athena, Athena(athena, "wg", "fleet"), "wg").run(plan)
    again = outcome_text(plan, Apply(athena.glue, athena, Athena(athena, "wg", "fleet"), "wg").run(plan))
    assert again.splitlines()[-1] == f"named queries in the workgroup: {len(plan.named)} unchanged"


@pytest.mark.parametrize(
    ("stream", "said"),
    [(Terminal(), "\r\033[Kqueued, T s, 0.0 MB scanned\r\033[Ksucceeded, T s, 3.0 MB scanned"), (io.StringIO(), "")],
)
def test_progress_goes_to_a_terminal_only(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, said: str) -> None:
    fake = FakeAthena()
    fake.states, scanned = ["QUEUED", "SUCCEEDED"], [0, 3 * 2**20]
    look = fake.get_query_execution

    def looked(**asked: str) -> dict[str, object]:
        fake.scanned = scanned.pop(0)
        return look(**asked)

    fake.get_query_execution = looked  # type: ignore[method-assign,assignment]
    monkeypatch.setattr(Aws, "client", lambda self, service: fake)
    monkeypatch.setattr(sys, "stderr", stream)
    athena_of(settings(region="eu-west-2")).run("SELECT 1")
    assert re.sub(r"\d+\.\d s", "T s", stream.getvalue()) == said
    assert fake.started[0]["WorkGroup"] == "fleetlake"


def test_a_workgroup_of_its_own_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeAthena()
    monkeypatch.setattr(Aws, "client", lambda self, service: fake)
    athena_of(settings(region="eu-west-2", workgroup="mine", view_database="views")).run("SELECT 1")
    assert fake.started[0]["WorkGroup"] == "mine"
    assert fake.started[0]["QueryExecutionContext"] == {"Database": "views"}
