"""Every error a user can meet. A message says what happened, where, what is allowed and what to do next."""

from __future__ import annotations

from fleetlake.foundation.display import escape_controls


class FleetlakeError(Exception):
    """Base of all errors raised on purpose.

    what: what went wrong, one sentence without a full stop.
    where: the file, option, topic, partition or offset it concerns.
    allowed: what would have been accepted.
    hint: what to do next.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", allowed: str = "", hint: str = "") -> None:
        self.what, self.where, self.allowed, self.hint = what, where, allowed, hint
        super().__init__(str(self))

    def __str__(self) -> str:
        parts = [self.what]
        if self.where:
            parts.append(f"at {self.where}")
        if self.allowed:
            parts.append(f"allowed: {self.allowed}")
        if self.hint:
            parts.append(f"try: {self.hint}")
        return escape_controls("; ".join(parts), keep="\n\t")


class Retryable(FleetlakeError):
    """The same call may succeed later without a change: a busy broker, a lost connection, a commit conflict."""


class Permanent(FleetlakeError):
    """The same call will fail again until somebody changes something."""


class BadInput(Permanent):
    """What the user gave can't be used: an option, a file, a configuration value. Exit code 2."""

    exit_code = 2


class Missing(Permanent):
    """Something that has to be there is not: a program, a port, a table, a broker. Exit code 2."""

    exit_code = 2


class Fenced(Permanent):
    """Another writer took the table over; this one has to stop and leave nothing behind."""


class DataLoss(Permanent):
    """Records can't be read any more (retention overran the reader, the topic was made anew): stop and say so."""


class Unproven(Permanent):
    """A check that was asked for did not hold: counts that don't add up, a report below its threshold. Exit code 1."""
