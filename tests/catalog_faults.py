"""A catalog whose commits fail on purpose, as a server or a network between makes them fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException

from fleetlake.lake.catalog import Lake


class Faults:
    """Makes a catalog's commits fail: before they reach it, or after they landed, or so that they land only later.

    table: commits to others go through and are not counted; empty for all. tried: how many commits there were.
    """

    def __init__(self, lake: Lake, table: str = "") -> None:
        self._table, self.tried = table, 0
        self.plan: list[str] = []
        self.late: list[Callable[[], object]] = []
        self._commit = lake.catalog.commit_table
        lake.catalog.commit_table = self._commit_table  # type: ignore[method-assign]  # the seam between us and every catalog

    def _commit_table(self, *args: Any) -> object:
        is_meant = not self._table or ".".join(args[0].name()) == self._table
        self.tried += is_meant
        fault = self.plan.pop(0) if self.plan and is_meant else "none"
        if fault == "conflict":
            raise CommitFailedException("refused")
        if fault == "lost":
            raise CommitStateUnknownException("no reply, and it never arrived")
        if fault == "late":
            self.late.append(lambda: self._commit(*args))
            raise CommitStateUnknownException("no reply yet")
        answer = self._commit(*args)
        if fault == "landed":
            raise CommitStateUnknownException("landed, but the reply was lost")
        return answer

    def deliver_late(self) -> int:
        """Lets the late commits arrive; returns how many the catalog took."""
        landed = 0
        for arrive in self.late:
            try:
                arrive()
                landed += 1
            except CommitFailedException:
                pass
        self.late.clear()
        return landed
