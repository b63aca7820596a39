"""From the configuration to what is to stand in Snowflake."""

from __future__ import annotations

from fleetlake.app.settings import Settings
from fleetlake.cloud.snowflake.target import Target


def planned_target(settings: Settings, tables: str | None) -> Target:
    """For a plan: what only AWS knows is a <placeholder>. tables: overrides the configured mode."""
    aws, stack = settings.aws, settings.aws.stack
    region = aws.region or "<region>"
    bucket = aws.bucket or f"{stack}-<account>-{region}"
    return _target(settings, tables, region, "<account>", bucket, f"arn:aws:iam::<account>:role/{stack}-snowflake")


def deployed_target(settings: Settings, tables: str | None) -> Target:
    """Over the stack as it is. BadInput or Missing if there is none, or AWS can't be asked."""
    from fleetlake.app.wiring import aws_of
    from fleetlake.cloud.snowflake.stack import role_and_bucket

    aws = aws_of(settings)
    account = aws.account()
    role_arn, bucket = role_and_bucket(aws, settings.aws.stack)
    return _target(settings, tables, settings.aws.region, account, bucket, role_arn)


def _target(settings: Settings, tables: str | None, region: str, account: str, bucket: str, role_arn: str) -> Target:
    section = settings.snowflake
    return Target(
        database=section.database,
        warehouse=section.warehouse,
        admin_role=section.admin_role,
        analyst_role=section.analyst_role,
        tables=tables or section.tables,
        refresh_s=section.refresh_s,
        stack=settings.aws.stack,
        region=region,
        account=account,
        bucket=bucket,
        role_arn=role_arn,
    )
