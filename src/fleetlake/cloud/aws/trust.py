"""Who may take the stack's role for Snowflake: a change of the stack's parameters, never of the role itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fleetlake.cloud.aws.change_sets import execute, prepare, stack_outputs
from fleetlake.cloud.aws.session import Aws
from fleetlake.foundation.errors import BadInput

__all__ = ["PARTS", "Trust", "stack_outputs", "trust_snowflake"]

# What of Snowflake has an IAM user and an external id of its own -> the stack's parameters begin with.
PARTS = {"volume": "SnowflakeVolume", "glue": "SnowflakeGlue", "rest": "SnowflakeRest"}


@dataclass(frozen=True, slots=True)
class Trust:
    """What DESC of a Snowflake object tells: its IAM user, and the external id it will send. Neither is ever printed."""

    principal_arn: str
    external_id: str


def trust_snowflake(aws: Aws, stack: str, trusts: Mapping[str, Trust], report: Callable[[str], None] = lambda line: None) -> bool:
    """The role trusts exactly these principals with these external ids, and whatever it trusted for the parts not named.

    trusts: by volume, glue, rest. Waits until it is so; False if it was so before. BadInput for an unknown part, an empty value, or
    if there is no such stack.
    """
    parameters: dict[str, str] = {}
    for part, trust in trusts.items():
        if part not in PARTS:
            raise BadInput(f"Snowflake has no part {part} to trust", allowed=", ".join(PARTS))
        if not (trust.principal_arn.startswith("arn:") and trust.external_id):
            raise BadInput(f"the IAM user or external id of Snowflake's {part} is not one", allowed="what DESC prints")
        parameters[f"{PARTS[part]}UserArn"] = trust.principal_arn
        parameters[f"{PARTS[part]}ExternalId"] = trust.external_id
    stack_outputs(aws, stack)  # BadInput if there is no stack: a change set would begin one
    changes = prepare(aws, stack, parameters)
    if changes is None:
        return False
    execute(aws, changes, report)
    return True
