"""The AWS side of the handshake: the stack's role, and what is in the Glue catalog."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fleetlake.cloud.aws.session import Aws, told
from fleetlake.cloud.aws.trust import Trust, stack_outputs, trust_snowflake
from fleetlake.cloud.snowflake.handshake import Identity
from fleetlake.cloud.snowflake.target import LAYERS
from fleetlake.foundation.errors import Missing


class StackTrust:
    """The trust policy as parameters of the stack, see apply.TrustPolicy."""

    def __init__(self, aws: Aws, stack: str, report: Callable[[str], None] = lambda line: None) -> None:
        self._aws, self._stack, self._report = aws, stack, report

    def tables(self) -> frozenset[str]:
        """Of bronze, silver and gold. A database that is not there has none."""
        glue = self._aws.client("glue")
        found = set()
        with told("AWS glue, the lake's tables"):
            for layer in LAYERS:
                try:
                    for page in glue.get_paginator("get_tables").paginate(DatabaseName=layer):
                        found |= {f"{layer}.{table['Name']}" for table in page["TableList"]}
                except glue.exceptions.EntityNotFoundException:
                    continue
        return frozenset(found)

    def trust(self, identities: Mapping[str, Identity]) -> bool:
        trusts = {part: Trust(identity.principal_arn, identity.external_id) for part, identity in identities.items()}
        return trust_snowflake(self._aws, self._stack, trusts, self._report)


def role_and_bucket(aws: Aws, stack: str) -> tuple[str, str]:
    """The ARN of the role that Snowflake takes, and the lake's bucket. Missing if the stack has none: it is of an older version."""
    outputs = stack_outputs(aws, stack)
    if "SnowflakeRoleArn" not in outputs or "Bucket" not in outputs:
        raise Missing("the stack has no role for Snowflake", where=f"stack {stack}", hint="fleetlake deploy aws apply")
    return outputs["SnowflakeRoleArn"], outputs["Bucket"]
