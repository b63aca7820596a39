"""What is looked at before anything is made: names, region, credentials, and whose bucket it is."""

from __future__ import annotations

import hashlib
import re

from fleetlake.cloud.aws.change_sets import require_usable, stack_parameters, stack_status
from fleetlake.cloud.aws.session import Aws, error_code, explain, known_regions, require_region, told
from fleetlake.foundation.aws_names import require_bucket
from fleetlake.foundation.errors import BadInput

STACK = re.compile(r"^[a-z][a-z0-9-]{0,39}$")
TAG = "fleetlake"  # of the bucket: which stack made it
LAYERS = ("bronze", "silver", "gold", "raw")
RESERVED = re.compile(r"^(xn--|sthree-|amzn-s3-demo-)|(-s3alias|--ol-s3|--x-s3|--table-s3)$")  # S3 keeps these to itself
DATABASE = re.compile(r"^[a-z][a-z0-9_]{0,62}$")


def require_names(stack: str, bucket: str, view_database: str) -> None:
    """BadInput for a name that AWS or one of the engines would refuse later. bucket: empty if it is not known yet."""
    if not STACK.match(stack):
        raise BadInput(
            f"{stack!r} is no name for the stack",
            where="aws.stack",
            allowed="a lower-case letter, then up to 39 such letters, digits and hyphens",
        )
    if bucket:
        require_bucket(bucket, "aws.bucket")
        if RESERVED.search(bucket):
            raise BadInput(f"S3 keeps names like {bucket!r} to itself", where="aws.bucket", allowed="another name")
    if not DATABASE.match(view_database):
        raise BadInput(
            f"{view_database!r} is no name for a Glue database",
            where="aws.view_database",
            allowed="lower-case letters, digits and underscores: Athena and Snowflake find no others",
        )
    if view_database in LAYERS:
        raise BadInput(
            f"the database {view_database} holds the lake's own tables",
            where="aws.view_database",
            allowed=f"any other name than {', '.join(LAYERS)}",
        )


def require_ready(aws: Aws, stack: str, bucket: str, view_database: str) -> str:
    """The bucket's name. BadInput, and nothing was made, unless names, region, credentials, stack and bucket all can be used."""
    require_region(aws.region)
    require_names(stack, bucket, view_database)
    _require_known(aws.region)
    account = aws.account()
    require_usable(aws, stack)
    ours = "" if stack_status(aws, stack) in ("", "REVIEW_IN_PROGRESS") else stack_parameters(aws, stack).get("BucketName", "")
    chosen = bucket or ours or default_bucket(stack, account, aws.region)
    if ours and chosen != ours:
        raise BadInput(
            f"the stack has the bucket {ours}, and its tables are in there",
            where="aws.bucket",
            allowed=ours,
            hint="another stack for another bucket: fleetlake --set aws.stack=NAME ...",
        )
    require_names(stack, chosen, view_database)
    _require_own_or_free(aws, chosen, account)
    if not ours:
        _require_made_by(aws, stack, chosen)
        _require_databases(aws, chosen, (*LAYERS, view_database))
    return chosen


def default_bucket(stack: str, account: str, region: str) -> str:
    """A name nobody else has, and which does not tell the account."""
    return f"{stack}-{hashlib.sha256(f'{account}/{region}'.encode()).hexdigest()[:10]}"


def _require_known(region: str) -> None:
    """BadInput for what looks like a region, but is not one boto3 knows; without asking AWS."""
    known = known_regions()
    if region not in known:
        near = [name for name in known if name[:2] == region[:2]] or known
        raise BadInput(f"there is no AWS region {region}", where="aws.region", allowed=", ".join(near))


def _require_made_by(aws: Aws, stack: str, bucket: str) -> None:
    """BadInput if the bucket is there with something in it, and this stack has not made it: destroy could take all of it."""
    client = aws.client("s3")
    with told(f"bucket {bucket}"):
        try:
            tags = client.get_bucket_tagging(Bucket=bucket)["TagSet"]
        except client.exceptions.ClientError as error:
            if error_code(error) == "NoSuchBucket":
                return
            if error_code(error) != "NoSuchTagSet":
                raise
            tags = []
        if {"Key": TAG, "Value": stack} in tags or not client.list_object_versions(Bucket=bucket, MaxKeys=1).get("Versions"):
            return
    raise BadInput(
        "the bucket is there already, with objects in it, and the stack has not made it",
        where=f"bucket {bucket}",
        allowed="a new name, an empty bucket, or the one an earlier stack of this name left behind",
        hint=f"if it is that one: aws s3api put-bucket-tagging with {TAG}={stack}",
    )


def _require_own_or_free(aws: Aws, bucket: str, account: str) -> None:
    client = aws.client("s3")
    where = f"bucket {bucket}"
    try:
        client.head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
    except client.exceptions.ClientError as error:
        code = error_code(error)
        if code in ("404", "NoSuchBucket", "NotFound"):
            return
        if code in ("403", "AccessDenied", "Forbidden"):
            raise BadInput(
                "the bucket belongs to another account, or these credentials may not see it",
                where=where,
                hint="another name: fleetlake --set aws.bucket=NAME ...",
            ) from error
        raise explain(error, where) from error
    with told(where):
        found = client.get_bucket_location(Bucket=bucket).get("LocationConstraint") or "us-east-1"
    if found not in (aws.region, "EU"):
        raise BadInput(
            f"the bucket is in {found}, not in {aws.region}", where=where, hint=f"--set aws.region={found}, or another name"
        )


def _require_databases(aws: Aws, bucket: str, names: tuple[str, ...]) -> None:
    """BadInput if a database of ours is somebody else's: its tables are, or go, into another place than our bucket."""
    client = aws.client("glue")
    for name in names:
        with told(f"Glue database {name}"):
            try:
                place = str(client.get_database(Name=name)["Database"].get("LocationUri", ""))
            except client.exceptions.EntityNotFoundException:
                continue
            tables = client.get_tables(DatabaseName=name, MaxResults=1)["TableList"]
        if place.startswith(f"s3://{bucket}/") or not (place or tables):
            continue
        raise BadInput(
            f"there is a database {name} already, and its place is {'another bucket' if place else 'none, and it has tables'}",
            where=f"Glue database {name} in {aws.region}",
            hint="that bucket by --set aws.bucket=NAME if it is yours, or another region or account",
        )
