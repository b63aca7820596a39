"""A place to send simulated events to, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from fleetlake.contracts.events import EVENTS, Event

START = datetime(2026, 1, 5, 6, tzinfo=UTC)


class Kept:
    """A sink that keeps everything: topic to (key, value), in order."""

    def __init__(self) -> None:
        self.records: dict[str, list[tuple[bytes, bytes]]] = {event.topic: [] for event in EVENTS}
        self.flushed = False

    def send(self, event: Event, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        self.records[event.topic] += zip(keys, values, strict=True)

    def flush(self) -> None:
        self.flushed = True
