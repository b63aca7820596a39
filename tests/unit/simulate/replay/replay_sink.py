"""A sink that keeps what it is sent."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fleetlake.contracts.events import Event
from fleetlake.contracts.validation import parse
from fleetlake.simulate.replay import ReplayReport, replay_files


class KeptSink:
    """records: event, key and value of each record, in order. flushed: how many there were at the last flush."""

    def __init__(self) -> None:
        self.records: list[tuple[Event, bytes, bytes]] = []
        self.flushed = -1

    def send(self, event: Event, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        self.records += [(event, key, value) for key, value in zip(keys, values, strict=True)]

    def flush(self) -> None:
        self.flushed = len(self.records)

    def documents(self, topic: str = "gps_data") -> list[dict[str, Any]]:
        return [json.loads(value) for event, _, value in self.records if event.topic == topic]

    def column(self, name: str, topic: str = "gps_data") -> list[Any]:
        return [document.get(name) for document in self.documents(topic)]

    def reasons(self) -> list[str | None]:
        return [parse(event, value).reject_reason for event, _, value in self.records]


def replayed(*paths: Path, **mapping: str) -> tuple[KeptSink, ReplayReport]:
    """All at once. `__` in a name of the mapping stands for the dot of a qualified one."""
    sink = KeptSink()
    report = replay_files(paths, {name.replace("__", "."): column for name, column in mapping.items()}, sink)
    assert sink.flushed == len(sink.records) == sum(report.sent.values())
    return sink, report
