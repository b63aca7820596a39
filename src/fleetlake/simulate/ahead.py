"""Encoding and sending on threads of their own, while the vehicles drive on: neither C nor Arrow needs Python's lock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from fleetlake.simulate.events import GENERATORS, EventBatch, Reporter
from fleetlake.simulate.rounds import Round, RoundReport

ENCODERS = 2


class EncodeAhead:
    """One round of reports is encoded while the caller is busy with the one before it. Never more than one ahead."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._pool = ThreadPoolExecutor(ENCODERS, "encode")
        self._ahead: list[Future[EventBatch]] = []

    def __enter__(self) -> EncodeAhead:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)

    def exchange(self, reports: Sequence[RoundReport]) -> list[EventBatch]:
        """Takes a round, which may be empty, and gives the one before it: a batch of each of the five kinds, or none."""
        ahead = self._ahead
        together = Round(reports)
        self._ahead = [self._pool.submit(generate, self._reporter, together) for generate in GENERATORS if reports]
        return [batch.result() for batch in ahead]


class SendBehind:
    """One round's batches are sent, in their order, while the caller makes the next. Never more than one behind.

    What `send` raises reaches the caller with the next round, or at the end of the context, by when all are sent.
    """

    def __init__(self, send: Callable[[EventBatch], None]) -> None:
        self._send = send
        self._pool = ThreadPoolExecutor(1, "send")
        self._behind: Future[None] | None = None

    def __enter__(self) -> SendBehind:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._pool.shutdown()
        if kind is None:
            self.wait()

    def send(self, batches: Sequence[EventBatch]) -> None:
        self.wait()
        self._behind = self._pool.submit(self._send_all, batches)

    def wait(self) -> None:
        """Until all that it was given is sent."""
        if (behind := self._behind) is not None:
            self._behind = None
            behind.result()

    def _send_all(self, batches: Sequence[EventBatch]) -> None:
        for batch in batches:
            self._send(batch)
