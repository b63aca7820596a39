"""moto's server with three things mended of 5.2.

Stacks made by change sets have no outputs, a role's trust can't be updated, and RetainExceptOnCreate is not known.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from moto.cloudformation.models import ChangeSet
from moto.cloudformation.parsing import OutputMap
from moto.iam.models import Role
from moto.server import main

apply, update_role = ChangeSet.apply, Role.update_from_cloudformation_json


def apply_with_outputs(change_set: ChangeSet) -> None:
    for body in change_set.template_dict["Resources"].values():
        if body.get("DeletionPolicy") == "RetainExceptOnCreate":
            body["DeletionPolicy"] = "Retain"
    apply(change_set)
    template, stack = change_set.template_dict, change_set.stack
    conditions = stack.resource_map.lazy_condition_map
    outputs = {
        name: body for name, body in template.get("Outputs", {}).items() if "Condition" not in body or conditions[body["Condition"]]
    }
    stack.output_map = OutputMap(stack.resource_map, {**template, "Outputs": outputs}, stack.stack_id)


def update_role_and_trust(**given: Any) -> Role:
    role = update_role(**given)
    role.assume_role_policy_document = json.dumps(given["cloudformation_json"]["Properties"]["AssumeRolePolicyDocument"])
    return role


ChangeSet.apply = apply_with_outputs  # type: ignore[method-assign]
Role.update_from_cloudformation_json = staticmethod(update_role_and_trust)  # type: ignore[method-assign,assignment]
main(sys.argv[1:])
