"""CloudFormation by change sets: what would change is known before it does; a failure names the resource and its reason."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fleetlake.cloud.aws.session import Aws, error_code, told, without_accounts
from fleetlake.cloud.aws.template import parse
from fleetlake.foundation.errors import BadInput, Permanent, Retryable

CAPABILITIES = ("CAPABILITY_NAMED_IAM",)
NOTHING = ("didn't contain changes", "No updates are to be performed")
FIRST_LOOK_S, LONGEST_LOOK_S, PATIENCE_S = 0.2, 5.0, 3600.0
GONE = "DELETE_COMPLETE"
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class StackChange:
    """action: Add, Modify, Remove, Import. replaced: the resource is made anew, under another id."""

    action: str
    logical_id: str
    type: str
    replaced: bool = False


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """A change set that can be executed. creates: the stack is not there yet."""

    stack: str
    id: str
    creates: bool
    changes: tuple[StackChange, ...]


def stack_status(aws: Aws, stack: str) -> str:
    """Such as CREATE_COMPLETE; empty if there is no such stack."""
    found = _describe(aws, stack)
    return "" if found is None or found["StackStatus"] == GONE else str(found["StackStatus"])


def stack_outputs(aws: Aws, stack: str) -> Mapping[str, str]:
    """Its outputs by name: docs/aws.md lists them. BadInput if there is no such stack. Values may hold the account id."""
    found = _described(aws, stack)
    return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", ())}


def stack_parameters(aws: Aws, stack: str) -> Mapping[str, str]:
    """Its parameters by name; those that are not echoed are asterisks. BadInput if there is no such stack."""
    found = _described(aws, stack)
    return {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in found.get("Parameters", ())}


def has_optimizers(aws: Aws, stack: str) -> bool:
    """Whether its template has table optimizers; False if there is no such stack."""
    if stack_status(aws, stack) in ("", "REVIEW_IN_PROGRESS"):
        return False
    with told(f"stack {stack}"):
        body = aws.client("cloudformation").get_template(StackName=stack)["TemplateBody"]
    return "AWS::Glue::TableOptimizer" in str(body)


def require_usable(aws: Aws, stack: str) -> None:
    """BadInput with what to do if the stack is in a state that no change set can leave."""
    status = stack_status(aws, stack)
    if status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED", "CREATE_FAILED", "IMPORT_ROLLBACK_FAILED"):
        raise BadInput(
            f"the stack is in {status}: its making or deleting failed, and it can only be deleted",
            where=f"stack {stack}",
            hint="fleetlake deploy aws destroy --yes (keeps bucket and tables), then apply again",
        )
    if status == "UPDATE_ROLLBACK_FAILED":
        raise BadInput(
            "the stack is in UPDATE_ROLLBACK_FAILED",
            where=f"stack {stack}",
            hint=f"aws cloudformation continue-update-rollback --stack-name {stack}",
        )
    if status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS":
        raise BadInput(f"the stack is in {status}: somebody changes it now", where=f"stack {stack}", hint="run it again later")


def prepare(aws: Aws, stack: str, parameters: Mapping[str, str], template: str | None = None) -> ChangeSet | None:
    """Makes a change set and waits for it; None, and no change set is left, if nothing would change.

    template: its text, the stack's own if None. Parameters that are not given keep their values.
    A stack that only waits for its first change set (REVIEW_IN_PROGRESS) is taken up. BadInput says what is refused.
    """
    require_usable(aws, stack)
    creates = stack_status(aws, stack) in ("", "REVIEW_IN_PROGRESS")
    client, where = aws.client("cloudformation"), f"stack {stack}"
    before = {} if creates else stack_parameters(aws, stack)
    given = [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]
    known = before if template is None else parse(template)["Parameters"]
    kept = [{"ParameterKey": name, "UsePreviousValue": True} for name in before if name not in parameters and name in known]
    text: dict[str, Any] = {"UsePreviousTemplate": True} if template is None else {"TemplateBody": template}
    with told(where):
        try:
            made = client.create_change_set(
                StackName=stack,
                ChangeSetName=f"fleetlake-{uuid.uuid4().hex[:12]}",
                ChangeSetType="CREATE" if creates else "UPDATE",
                Parameters=given + kept,
                Capabilities=CAPABILITIES,
                ImportExistingResources=creates,  # bucket and databases that an earlier stack left behind
                Tags=[{"Key": "fleetlake", "Value": stack}],
                **text,
            )["Id"]
        except client.exceptions.ClientError as error:
            if any(said in str(error) for said in NOTHING):
                return None
            raise
    for pause_s in _pauses(where):
        with told(where):
            found = client.describe_change_set(StackName=stack, ChangeSetName=made)
        status = found["Status"]
        if status == "CREATE_COMPLETE":
            with told(where):
                pages = list(client.get_paginator("describe_change_set").paginate(StackName=stack, ChangeSetName=made))
            return ChangeSet(stack, made, creates, tuple(_change(entry) for page in pages for entry in page["Changes"]))
        if status == "FAILED":
            discard(aws, ChangeSet(stack, made, creates, ()))
            reason = str(found.get("StatusReason", "no reason given"))
            if any(said in reason for said in NOTHING):
                return None
            raise BadInput(f"CloudFormation refuses the change: {without_accounts(reason)}", where=where)
        time.sleep(pause_s)
    raise AssertionError("unreachable")


def discard(aws: Aws, changes: ChangeSet) -> None:
    """Deletes a change set, and the empty stack that came with it."""
    client = aws.client("cloudformation")
    with told(f"stack {changes.stack}"):
        client.delete_change_set(StackName=changes.stack, ChangeSetName=changes.id)
        if changes.creates and stack_status(aws, changes.stack) == "REVIEW_IN_PROGRESS":
            client.delete_stack(StackName=changes.stack)


def execute(aws: Aws, changes: ChangeSet, report: Report) -> None:
    """Executes it and waits. report: told each event of a resource. Permanent with the first failed resource and its reason."""
    client, where = aws.client("cloudformation"), f"stack {changes.stack}"
    seen = _event_ids(aws, changes.stack)
    with told(where):
        client.execute_change_set(StackName=changes.stack, ChangeSetName=changes.id)
    _wait(aws, changes.stack, seen, report, done=("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"))


def delete_stack(aws: Aws, stack: str, report: Report) -> None:
    """Deletes it and waits; what the template retains stays. Nothing if there is none."""
    found = _describe(aws, stack)
    if found is None or found["StackStatus"] == GONE:
        return
    seen = _event_ids(aws, stack)
    with told(f"stack {stack}"):
        aws.client("cloudformation").delete_stack(StackName=stack)
    _wait(aws, found["StackId"], seen, report, done=("", GONE))


def _wait(aws: Aws, stack: str, seen: set[str], report: Report, *, done: tuple[str, ...]) -> None:
    """stack: its name, or its id, by which it is found after it was deleted."""
    failed = ""
    for pause_s in _pauses(f"stack {stack}"):
        found = _describe(aws, stack)
        status = "" if found is None else str(found["StackStatus"])
        if found is not None:
            for event in _events(aws, stack, seen):
                line = f"{event['ResourceStatus']} {event['LogicalResourceId']}"
                reason = without_accounts(str(event.get("ResourceStatusReason", "")))
                report(f"{line}: {reason}" if event["ResourceStatus"].endswith("_FAILED") else line)
                if event["ResourceStatus"].endswith("_FAILED") and not failed and "cancelled" not in reason:
                    failed = f"{event['LogicalResourceId']} ({event['ResourceType']}): {reason}"
        if status in done:
            return
        if not status.endswith("_IN_PROGRESS"):
            name = found["StackName"] if found else stack
            raise Permanent(
                f"the stack ended in {status or 'nothing'}" + (f"; {failed}" if failed else ""),
                where=f"stack {without_accounts(name)}",
                hint="mend what is named and run it again; a first apply that failed needs deploy aws destroy --yes before",
            )
        time.sleep(pause_s)


def _change(entry: Mapping[str, Any]) -> StackChange:
    entry = entry["ResourceChange"]
    return StackChange(
        str(entry["Action"]),
        str(entry["LogicalResourceId"]),
        str(entry["ResourceType"]),
        entry.get("Replacement") in ("True", "Conditional"),
    )


def _described(aws: Aws, stack: str) -> Mapping[str, Any]:
    found = _describe(aws, stack)
    if found is None or found["StackStatus"] in (GONE, "REVIEW_IN_PROGRESS"):
        raise BadInput("there is no such stack", where=f"stack {stack} in {aws.region}", hint="fleetlake deploy aws apply makes it")
    return found


def _describe(aws: Aws, stack: str) -> Mapping[str, Any] | None:
    client = aws.client("cloudformation")
    with told(f"stack {stack}"):
        try:
            found: list[dict[str, Any]] = client.describe_stacks(StackName=stack)["Stacks"]
        except client.exceptions.ClientError as error:
            if error_code(error) == "ValidationError" and "does not exist" in str(error):
                return None
            raise
    return found[0] if found else None


def _event_ids(aws: Aws, stack: str) -> set[str]:
    seen: set[str] = set()
    if stack_status(aws, stack):
        _events(aws, stack, seen)
    return seen


def _events(aws: Aws, stack: str, seen: set[str]) -> list[dict[str, Any]]:
    """Those not seen before, the oldest first; they are seen then."""
    fresh: list[dict[str, Any]] = []
    with told(f"stack {stack}"):
        for page in aws.client("cloudformation").get_paginator("describe_stack_events").paginate(StackName=stack):
            unseen = [event for event in page["StackEvents"] if event["EventId"] not in seen]
            fresh += unseen
            if len(unseen) < len(page["StackEvents"]):  # the newest come first: the rest is older
                break
    seen.update(event["EventId"] for event in fresh)
    return fresh[::-1]


def _pauses(where: str) -> Any:
    """Seconds to wait before each next look. Retryable when patience is at its end."""
    give_up_at, pause_s = time.monotonic() + PATIENCE_S, FIRST_LOOK_S
    while time.monotonic() < give_up_at:
        yield pause_s
        pause_s = min(pause_s * 1.5, LONGEST_LOOK_S)
    raise Retryable(
        f"not done after {PATIENCE_S:.0f} s", where=where, hint="AWS goes on with it: look at the stack's events, run it again"
    )
