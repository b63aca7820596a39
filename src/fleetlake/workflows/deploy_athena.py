"""Athena as the configuration describes it: what is planned, and what runs it."""

from __future__ import annotations

import sys

from fleetlake.cloud.athena.apply import Apply, Done, StatementOutcome, require_bucket, require_workgroup
from fleetlake.cloud.athena.client import Athena, Execution
from fleetlake.cloud.athena.plan import AthenaPlan, plan_for, target_of
from fleetlake.cloud.aws.change_sets import stack_parameters, stack_status
from fleetlake.cloud.aws.preflight import default_bucket, require_names
from fleetlake.cloud.aws.session import Aws, require_region
from fleetlake.config.settings import Settings
from fleetlake.config.wiring import aws_of, bucket_of, region_of

NO_STACK = ("", "REVIEW_IN_PROGRESS")


def planned(settings: Settings) -> AthenaPlan:
    """By the configuration alone; the bucket is a placeholder unless it is named there. BadInput for a name AWS would refuse."""
    aws, bucket, region = settings.aws, bucket_of(settings), region_of(settings)
    require_names(aws.stack, bucket, aws.view_database)
    if region:
        require_region(region)
    return plan_for(target_of(aws.view_database, bucket, settings.spark.landing))


def applied(settings: Settings) -> tuple[AthenaPlan, list[StatementOutcome]]:
    """Looks at names, credentials, workgroup and bucket before anything is made; then makes what is not there."""
    planned(settings)
    aws, section = aws_of(settings), settings.aws
    account = aws.account()
    athena = aws.client("athena")
    require_workgroup(athena, workgroup_of(settings))
    bucket = bucket_of(settings) or _bucket_of_stack(aws, section.stack) or default_bucket(section.stack, account, aws.region)
    require_bucket(aws.client("s3"), bucket, account)
    plan = plan_for(target_of(section.view_database, bucket, settings.spark.landing))
    runner = Athena(athena, workgroup_of(settings), section.view_database)
    outcomes = Apply(aws.client("glue"), athena, runner, workgroup_of(settings), _tell).run(plan)
    clear_line()
    return plan, outcomes


def workgroup_of(settings: Settings) -> str:
    return settings.aws.workgroup or settings.aws.stack


def athena_of(settings: Settings) -> Athena:
    """Runs statements and says on a terminal how far they are. BadInput without a region, and for a name AWS would refuse."""
    require_names(settings.aws.stack, bucket_of(settings), settings.aws.view_database)
    client = aws_of(settings).client("athena")
    return Athena(client, workgroup_of(settings), settings.aws.view_database, on_progress=_show)


def plan_text(plan: AthenaPlan) -> str:
    """Every statement and named query, each with a line that says what it is."""
    statements = (
        f"-- {number}. {statement.kind} {plan.target.database}.{statement.name}\n{statement.signed};"
        for number, statement in enumerate(plan.statements, 1)
    )
    named = (f"-- named query {query.title}: {query.text}\n{query.saved};" for query in plan.named)
    return "\n\n".join((f"-- Glue database {plan.target.database}, made if absent", *statements, *named))


def outcome_text(plan: AthenaPlan, outcomes: list[StatementOutcome]) -> str:
    """A line for each table and view, one for all named queries, and what a view waits for."""
    lines = [f"{o.kind:8} {o.name:28} {_said(o)}" for o in outcomes if o.kind != "named query"]
    named = [o.done for o in outcomes if o.kind == "named query"]
    counts = ", ".join(f"{named.count(done)} {done}" for done in Done if done in named)
    waiting = [o.name for o in outcomes if o.done is Done.WAITS]
    hint = f"\n{', '.join(waiting)}: ingest and transform with the aws profile, then apply again" if waiting else ""
    return "\n".join((*lines, f"named queries in the workgroup: {counts}{hint}"))


def clear_line() -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")


def _bucket_of_stack(aws: Aws, stack: str) -> str:
    return "" if stack_status(aws, stack) in NO_STACK else stack_parameters(aws, stack).get("BucketName", "")


def _said(outcome: StatementOutcome) -> str:
    return f"waits for {', '.join(outcome.missing)}" if outcome.missing else str(outcome.done)


def _tell(outcome: StatementOutcome) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{outcome.kind} {outcome.name}: {_said(outcome)}")


def _show(execution: Execution) -> None:
    if sys.stderr.isatty():
        scanned = execution.scanned_bytes / 2**20
        sys.stderr.write(f"\r\033[K{execution.state.lower()}, {execution.elapsed_s:.1f} s, {scanned:,.1f} MB scanned")
