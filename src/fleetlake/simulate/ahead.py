"""Encoding on threads of its own, while the round before is sent and the vehicles drive on: Arrow's kernels need no lock."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from fleetlake.simulate.events import GENERATORS, Batch, Reporter
from fleetlake.simulate.rounds import Report, Round

ENCODERS = 2


class EncodeAhead:
    """One round of reports is encoded while the caller is busy with the one before it. Never more than one ahead."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._pool = ThreadPoolExecutor(ENCODERS, "encode")
        self._ahead: list[Future[Batch]] = []

    def __enter__(self) -> EncodeAhead:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)

    def exchange(self, reports: Sequence[Report]) -> list[Batch]:
        """Takes a round, which may be empty, and gives the one before it: a batch of each of the five kinds, or none."""
        ahead = self._ahead
        together = Round(reports)
        self._ahead = [self._pool.submit(generate, self._reporter, together) for generate in GENERATORS if reports]
        return [batch.result() for batch in ahead]
