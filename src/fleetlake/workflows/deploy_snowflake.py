"""From the configuration to what is to stand in Snowflake."""

from __future__ import annotations

from fleetlake.cloud.aws.preflight import require_names
from fleetlake.cloud.aws.session import require_region
from fleetlake.cloud.snowflake.target import SnowflakeTarget
from fleetlake.config.settings import Settings
from fleetlake.config.wiring import aws_of, bucket_of, region_of
from fleetlake.foundation.errors import BadInput

S3_SCHEMES = ("s3", "s3a")


def planned_target(settings: Settings, tables: str | None) -> SnowflakeTarget:
    """For a plan: what only AWS knows is a <placeholder>. tables: overrides the configured mode. BadInput for no such names."""
    stack, bucket, region = settings.aws.stack, bucket_of(settings), region_of(settings)
    require_names(stack, bucket, settings.aws.view_database)
    if region:
        require_region(region)
    role_arn = f"arn:aws:iam::<account>:role/{stack}-snowflake"
    bucket = bucket or f"{stack}-<hash of account and region>"
    return _target(settings, tables, region or "<region>", "<account>", bucket, role_arn)


def require_deployable(settings: Settings, tables: str | None) -> None:
    """BadInput for what can be known to be wrong without asking anybody."""
    planned_target(settings, tables)
    require_region(region_of(settings))


def deployed_target(settings: Settings, tables: str | None) -> SnowflakeTarget:
    """Over the stack as it is. BadInput or Missing if there is none, if it has another bucket, or AWS can't be asked."""
    from fleetlake.cloud.snowflake.stack import role_and_bucket

    require_deployable(settings, tables)
    aws, wanted = aws_of(settings), bucket_of(settings)
    account = aws.account()
    role_arn, bucket = role_and_bucket(aws, settings.aws.stack)
    if wanted and wanted != bucket:
        raise BadInput(
            f"the stack has the bucket {bucket}, and its role for Snowflake reads no other",
            where="aws.bucket" if settings.aws.bucket else "lake.properties.warehouse",
            allowed=bucket,
            hint="the stack of that bucket: fleetlake --set aws.stack=NAME ...",
        )
    return _target(settings, tables, aws.region, account, bucket, role_arn)


def _target(settings: Settings, tables: str | None, region: str, account: str, bucket: str, role_arn: str) -> SnowflakeTarget:
    section = settings.snowflake
    return SnowflakeTarget(
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
        location=_location(settings, bucket),
    )


def _location(settings: Settings, bucket: str) -> str:
    """s3://.../ of the lake's warehouse if that is in S3, else empty. BadInput if it is in another bucket."""
    scheme, _, place = settings.lake.properties.get("warehouse", "").partition("://")
    if scheme not in S3_SCHEMES:
        return ""
    found = place.partition("/")[0]
    if found != bucket:
        raise BadInput(
            f"the lake is in the bucket {found}, not in {bucket}",
            where="aws.bucket",
            allowed=found,
            hint="leave aws.bucket away: it is the lake's then",
        )
    return f"s3://{place.rstrip('/')}/"
