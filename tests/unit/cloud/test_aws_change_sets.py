"""What is made of CloudFormation's answers: a failure names its resource, not the account; an empty change leaves nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fleetlake.cloud.aws import change_sets
from fleetlake.cloud.aws.change_sets import ChangeSet, delete_stack, execute, prepare, require_usable
from fleetlake.cloud.aws.session import Aws
from fleetlake.foundation.errors import BadInput, FleetlakeError, Permanent

ARN = "arn:aws:iam::" + "1" * 12 + ":role/x"
CHANGES = ChangeSet("s", "c", creates=False, changes=())


class Pages:
    def __init__(self, pages: list[dict[str, Any]]) -> None:
        self._pages = pages

    def paginate(self, **_: Any) -> Iterator[dict[str, Any]]:
        return iter(self._pages)


class CloudFormation:
    """Statuses of the stack one after the other, the last for ever; the events that come with each."""

    class exceptions:  # noqa: N801
        ClientError = ClientError

    def __init__(self, *statuses: str, events: dict[str, list[dict[str, Any]]] | None = None, change: str = "") -> None:
        self.statuses, self.events, self.change = list(statuses), events or {}, change
        self.called: list[str] = []

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        status = self.statuses[0]
        if len(self.statuses) > 1:
            self.statuses.pop(0)
        if not status:
            raise ClientError({"Error": {"Code": "ValidationError", "Message": f"{StackName} does not exist"}}, "DescribeStacks")
        return {"Stacks": [{"StackName": StackName, "StackId": "id", "StackStatus": status, "Parameters": []}]}

    def get_paginator(self, _: str) -> Pages:
        shown = [event for status, events in self.events.items() if status == self.statuses[0] for event in events]
        return Pages([{"StackEvents": shown}])

    def create_change_set(self, **given: Any) -> dict[str, str]:
        self.called.append(f"create {given['ChangeSetType']}")
        return {"Id": "c"}

    def describe_change_set(self, **_: Any) -> dict[str, str]:
        return {"Status": "FAILED", "StatusReason": self.change}

    def delete_change_set(self, **_: Any) -> None:
        self.called.append("delete change set")

    def execute_change_set(self, **_: Any) -> None:
        self.called.append("execute")

    def delete_stack(self, **_: Any) -> None:
        self.called.append("delete stack")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_sets, "FIRST_LOOK_S", 0.0)


def aws(monkeypatch: pytest.MonkeyPatch, client: CloudFormation) -> Aws:
    monkeypatch.setattr(Aws, "client", lambda self, service: client)
    return Aws("eu-west-2")


def event(number: int, name: str, status: str, reason: str = "") -> dict[str, Any]:
    return {
        "EventId": str(number), "LogicalResourceId": name, "ResourceType": "AWS::X::Y", "ResourceStatus": status,
        "ResourceStatusReason": reason,
    }  # fmt: skip


def test_a_failure_names_the_first_resource_and_hides_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [
        event(3, "Job", "CREATE_FAILED", "Resource creation cancelled"),
        event(2, "Role", "CREATE_FAILED", f"no right\nto {ARN}"),
        event(1, "Bucket", "CREATE_COMPLETE"),
    ]
    client = CloudFormation("UPDATE_COMPLETE", "UPDATE_IN_PROGRESS", "ROLLBACK_COMPLETE", events={"ROLLBACK_COMPLETE": events})
    said: list[str] = []
    with pytest.raises(Permanent) as raised:
        execute(aws(monkeypatch, client), CHANGES, said.append)
    assert "ended in ROLLBACK_COMPLETE; Role (AWS::X::Y): no right to arn:aws:iam::************:role/x" in str(raised.value)
    assert said[:2] == ["CREATE_COMPLETE Bucket", "CREATE_FAILED Role: no right to arn:aws:iam::************:role/x"]


def test_a_change_set_without_changes_is_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    client = CloudFormation("CREATE_COMPLETE", change="The submitted information didn't contain changes.")
    assert prepare(aws(monkeypatch, client), "s", {}) is None
    assert client.called == ["create UPDATE", "delete change set"]


def test_a_change_set_that_is_refused_leaves_no_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    client = CloudFormation("", "", "REVIEW_IN_PROGRESS", change=f"{ARN} may not")
    with pytest.raises(BadInput, match=r"refuses the change: arn:aws:iam::\*{12}:role/x may not"):
        prepare(aws(monkeypatch, client), "s", {})
    assert client.called == ["create CREATE", "delete change set", "delete stack"]


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "CREATE_FAILED", "UPDATE_ROLLBACK_FAILED", "UPDATE_IN_PROGRESS"])
def test_a_stack_that_can_not_be_changed(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    with pytest.raises(BadInput, match=status) as raised:
        require_usable(aws(monkeypatch, CloudFormation(status)), "s")
    assert raised.value.hint


@pytest.mark.parametrize("status", ["", "CREATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "REVIEW_IN_PROGRESS"])
def test_a_stack_that_can_be_changed(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    require_usable(aws(monkeypatch, CloudFormation(status)), "s")


def test_deleting_waits_until_it_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    client = CloudFormation("CREATE_COMPLETE", "CREATE_COMPLETE", "DELETE_IN_PROGRESS", "DELETE_COMPLETE")
    delete_stack(aws(monkeypatch, client), "s", lambda line: None)
    assert (client.called, client.statuses) == (["delete stack"], ["DELETE_COMPLETE"])


def test_deleting_that_fails_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    client = CloudFormation("CREATE_COMPLETE", "CREATE_COMPLETE", "DELETE_FAILED")
    with pytest.raises(FleetlakeError, match="DELETE_FAILED"):
        delete_stack(aws(monkeypatch, client), "s", lambda line: None)
