"""Names that AWS takes, checked before anything is asked of it."""

from __future__ import annotations

import re

from fleetlake.foundation.errors import BadInput

REGION = re.compile(r"^[a-z]{2}(-[a-z]+)+-\d$")
BUCKET = re.compile(r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$")


def require_region(region: str, where: str) -> None:
    """BadInput if it does not look like a region; whether there is one of that name only AWS knows. where: the setting."""
    if not REGION.match(region):
        raise BadInput(
            f"{region!r} is not an AWS region" if region else "no AWS region is given",
            where=where,
            allowed="a name like eu-west-2",
            hint=f"fleetlake --set {where}=eu-west-2 ...",
        )


def require_bucket(bucket: str, where: str) -> None:
    """BadInput for a name that S3 does not take, and for one with a dot: its certificate does not cover such a host."""
    if not BUCKET.match(bucket):
        faults = {"upper case": bucket != bucket.lower(), "a dot": "." in bucket}
        why = " and ".join(fault for fault, there in faults.items() if there)
        raise BadInput(
            f"{bucket!r} can't be the name of a bucket here{f': it has {why}' if why else ''}",
            where=where,
            allowed="3 to 63 lower-case letters, digits and hyphens, the first and last not a hyphen; no dot, no upper case",
        )
