"""The properties of a lake on S3 or Glue: checked before anything is asked of AWS, completed, and with an end to every wait."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from fleetlake.foundation.aws_names import require_bucket, require_region
from fleetlake.foundation.errors import BadInput

S3_SCHEMES = ("s3://", "s3a://", "s3n://")
REGIONS = ("s3.region", "client.region", "glue.region")
# Seconds, and how often: a wrong endpoint is told within half a minute. PyIceberg's own are ten retries, up to 20 s apart.
BOUNDS = {"s3.connect-timeout": "5", "s3.request-timeout": "10", "glue.max-retries": "3"}


def is_s3(location: str) -> bool:
    return location.startswith(S3_SCHEMES)


def is_on_aws(properties: Mapping[str, str]) -> bool:
    return is_s3(properties.get("warehouse", "")) or properties.get("type") == "glue"


def aws_properties(properties: Mapping[str, str], *, region: str) -> dict[str, str]:
    """The properties with a region for each service and bounds to waiting, as far as they say nothing themselves.

    region: taken where they name none. BadInput for a bucket or a region of no such name, and for no region at all.
    """
    warehouse = properties.get("warehouse", "")
    if is_s3(warehouse):
        require_bucket(urlsplit(warehouse).netloc, "lake.properties.warehouse")
    elif properties.get("type") == "glue" and warehouse:
        raise BadInput("a lake in Glue is on S3", where="lake.properties.warehouse", allowed="s3://BUCKET/PREFIX")
    named = next((properties[name] for name in REGIONS if properties.get(name)), region)
    completed = BOUNDS | dict.fromkeys(REGIONS, named) | dict(properties)
    for name in REGIONS:
        require_region(completed[name], f"lake.properties.{name}")
    return completed
