"""An AWS role whose trust takes its time, and a clock that moves when somebody sleeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fleetlake.cloud.snowflake.handshake import Identity
from fleetlake.contracts.tables import all_tables

USER_ARN = "arn:aws:iam::" + "4" * 12 + ":user/abc1-b-self4321"
ACCOUNT = "9" * 12
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/fleetlake-snowflake"
EVERYTHING = frozenset(table.name for table in all_tables())
PROPAGATION_S = 9.0


class Crash(BaseException):
    """kill -9 at this call."""


class Clock:
    """Time passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class AwsRole:
    """The stack's role, and Glue. A change of trust is in force PROPAGATION_S later."""

    clock: Clock
    glue: frozenset[str] = EVERYTHING
    trusted: dict[str, Identity] = field(default_factory=dict)
    since: float = 0.0
    changes: int = 0
    crash: str = ""  # before or after a change of trust

    def tables(self) -> frozenset[str]:
        return self.glue

    def trust(self, identities: Mapping[str, Identity]) -> bool:
        if all(self.trusted.get(part) == identity for part, identity in identities.items()):
            return False
        if self.crash == "before":
            raise Crash
        self.trusted |= identities
        self.since, self.changes = self.clock.now, self.changes + 1
        if self.crash == "after":
            raise Crash
        return True

    def lets_in(self, external_id: str) -> bool:
        known = Identity(USER_ARN, external_id) in self.trusted.values()
        return known and self.clock.now >= self.since + PROPAGATION_S
