"""The stack from nothing to applied and away again. Preflight is first: what can't be whole is not begun."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from fleetlake.cloud.aws.change_sets import (
    ChangeSet,
    delete_stack,
    discard,
    execute,
    has_optimizers,
    prepare,
    stack_outputs,
    stack_parameters,
)
from fleetlake.cloud.aws.package import Package, build_package, upload_package
from fleetlake.cloud.aws.preflight import LAYERS, require_ready
from fleetlake.cloud.aws.session import Aws, told
from fleetlake.cloud.aws.template import template_text, with_names
from fleetlake.foundation.errors import BadInput

Report = Callable[[str], None]
FEWEST_SUBNETS = 2
VIEW_DIGEST = "fleetlake.view."  # and a view's name: property of the database, by `deploy athena apply`
PRINCIPAL = re.compile(r"^(arn:aws[\w-]*:\S+|[a-z0-9.-]+\.amazonaws\.com(\.cn)?)$")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the stack is to be. principal: ARN or service that may take the ingest's role. What is None stays as it is."""

    stack: str
    bucket: str = ""
    view_database: str = "fleet"
    principal: str = ""
    kms_key_arn: str | None = None
    emr: bool | None = None
    msk_subnets: str | None = None
    msk_security_groups: str | None = None
    optimizers: bool | None = None

    def __post_init__(self) -> None:
        if self.msk_subnets and len(self.msk_subnets.split(",")) < FEWEST_SUBNETS:
            raise BadInput("MSK Serverless needs subnets in two availability zones", where="--msk-subnets", allowed="ID,ID")
        if self.msk_security_groups and not self.msk_subnets:
            raise BadInput(
                "security groups are of no use without subnets", where="--msk-security-groups", hint="--msk-subnets ID,ID"
            )
        if self.principal and not PRINCIPAL.match(self.principal):
            raise BadInput(
                f"{self.principal!r} can't take a role",
                where="aws.ingest_principal",
                allowed="a service such as ec2.amazonaws.com, or an ARN",
            )
        if self.kms_key_arn and not self.kms_key_arn.startswith("arn:"):
            raise BadInput("the KMS key is given by its ARN", where="--kms-key")

    def parameters(self, package_key: str, bucket: str) -> dict[str, str]:
        """Those that are not given keep the values they have: Snowflake's too."""
        is_arn = self.principal.startswith("arn:")
        given = {
            "BucketName": bucket,
            "ViewDatabase": self.view_database,
            "PackageKey": package_key,
            "IngestService": "ec2.amazonaws.com" if is_arn or not self.principal else self.principal,
            "IngestPrincipalArn": self.principal if is_arn else "",
            "KmsKeyArn": self.kms_key_arn,
            "WithEmr": None if self.emr is None else str(self.emr).lower(),
            "WithMsk": None if self.msk_subnets is None else str(bool(self.msk_subnets)).lower(),
            "MskSubnets": self.msk_subnets,
            "MskSecurityGroups": self.msk_security_groups,
        }
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Prepared:
    """changes: None if the stack is as wanted already."""

    wanted: Wanted
    bucket: str
    package: Package = field(repr=False)
    changes: ChangeSet | None


@dataclass(frozen=True, slots=True)
class AppliedStack:
    """outputs: the stack's. uploaded: whether the package was not there yet."""

    outputs: Mapping[str, str]
    uploaded: bool


def prepare_stack(aws: Aws, wanted: Wanted) -> Prepared:
    """Preflight and change set, which `discard_stack` takes back; nothing else is made. BadInput says what is wrong."""
    package = build_package()
    bucket = require_ready(aws, wanted.stack, wanted.bucket, wanted.view_database)
    optimizers = has_optimizers(aws, wanted.stack) if wanted.optimizers is None else wanted.optimizers
    if optimizers:
        _require_tables(aws)
    text = with_names(template_text(optimizers=optimizers), bucket, wanted.view_database)
    changes = prepare(aws, wanted.stack, wanted.parameters(package.key, bucket), text)
    return Prepared(wanted, bucket, package, changes)


def discard_stack(aws: Aws, prepared: Prepared) -> None:
    if prepared.changes is not None:
        discard(aws, prepared.changes)


def apply_stack(aws: Aws, prepared: Prepared, report: Report) -> AppliedStack:
    """Executes the change set, then uploads the package. Run again after any failure: what is done is not done twice."""
    if prepared.changes is not None:
        execute(aws, prepared.changes, report)
    uploaded = upload_package(aws, prepared.bucket, prepared.package)
    return AppliedStack(stack_outputs(aws, prepared.wanted.stack), uploaded)


def destroy_stack(aws: Aws, stack: str, report: Report, *, delete_data: bool) -> str:
    """Deletes the stack; with delete_data its tables, databases and bucket too. Returns the bucket's name.

    BadInput if there is no stack. Of databases that others use too, only the tables in our bucket go.
    """
    aws.account()
    given = stack_parameters(aws, stack)
    bucket, views = given["BucketName"], given["ViewDatabase"]
    if delete_data:  # before the stack, which says what is ours: what breaks off here can be run again
        _delete_databases(aws, (*LAYERS, views), bucket, report)
        _empty_bucket(aws, bucket, report)
        _delete_bucket(aws, bucket, report)
    delete_stack(aws, stack, report)
    return bucket


def _require_tables(aws: Aws) -> None:
    """BadInput with the tables that optimizers would be for and that are not there."""
    from fleetlake.contracts.tables import all_tables

    client = aws.client("glue")
    absent = []
    for table in all_tables():
        with told(f"Glue table {table.name}"):
            try:
                client.get_table(DatabaseName=table.layer, Name=table.kind)
            except client.exceptions.EntityNotFoundException:
                absent.append(table.name)
    if absent:
        raise BadInput(
            f"optimizers need tables that are not there: {', '.join(absent)}",
            where="--optimizers",
            hint="fleetlake --profile aws ingest and transform make them; apply without --optimizers until then",
        )


def _delete_databases(aws: Aws, names: tuple[str, ...], bucket: str, report: Report) -> None:
    """Tables in the bucket, and views; then the databases that are empty. Others may have databases of the same names."""
    client = aws.client("glue")
    for name in names:
        with told(f"Glue database {name}"), suppress(client.exceptions.EntityNotFoundException):
            pages = client.get_paginator("get_tables").paginate(DatabaseName=name)
            tables = [table for page in pages for table in page["TableList"]]
            views = {
                key.removeprefix(VIEW_DIGEST)
                for key in client.get_database(Name=name)["Database"].get("Parameters", {})
                if key.startswith(VIEW_DIGEST)
            }
            ours = [table for table in tables if _is_in(bucket, table) or table["Name"] in views]
            for table in ours:
                client.delete_table(DatabaseName=name, Name=table["Name"])
            if len(ours) == len(tables):
                client.delete_database(Name=name)
            report(f"deleted database {name}" if len(ours) == len(tables) else f"kept database {name}: others have tables in it")


def _is_in(bucket: str, table: Mapping[str, Any]) -> bool:
    place = table.get("Parameters", {}).get("metadata_location") or table.get("StorageDescriptor", {}).get("Location", "")
    return str(place).startswith(f"s3://{bucket}/")


def _empty_bucket(aws: Aws, bucket: str, report: Report) -> None:
    """Every version of every object."""
    client = aws.client("s3")
    with told(f"bucket {bucket}"), suppress(client.exceptions.NoSuchBucket):
        for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
            found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            if not found:
                continue
            objects = [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in found]
            for error in client.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True}).get("Errors", ()):
                raise BadInput(f"{error['Key']} can't be deleted: {error['Code']}", where=f"bucket {bucket}")
            report(f"deleted {len(objects):,} objects of {bucket}")


def _delete_bucket(aws: Aws, bucket: str, report: Report) -> None:
    client = aws.client("s3")
    with told(f"bucket {bucket}"), suppress(client.exceptions.NoSuchBucket):
        client.delete_bucket(Bucket=bucket)
        report(f"deleted bucket {bucket}")
