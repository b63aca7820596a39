"""Where events go: Kafka's producer, a file of JSON lines, or whatever else has the two methods."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Protocol, TextIO

from fleetlake.contracts.events import Event


class EventSink(Protocol):
    """Takes records in order; `flush` returns when all of them are safe, or raises a FleetlakeError."""

    def send(self, event: Event, keys: Sequence[bytes], values: Sequence[bytes]) -> None: ...

    def flush(self) -> None: ...


class NdjsonSink:
    """One JSON object a line: topic, key, and the value as text, or as base64 if it is not UTF-8."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def send(self, event: Event, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        for key, value in zip(keys, values, strict=True):
            try:
                body = {"value": value.decode()}
            except UnicodeDecodeError:
                body = {"value_base64": base64.b64encode(value).decode()}
            self._stream.write(json.dumps({"topic": event.topic, "key": key.decode(), **body}, separators=(",", ":")) + "\n")

    def flush(self) -> None:
        self._stream.flush()
