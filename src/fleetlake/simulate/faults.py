"""What goes wrong between a device and Kafka, on purpose and counted: duplicates, late arrivals, poison."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields

import numpy as np

from fleetlake.contracts.events import Event
from fleetlake.foundation.errors import BadInput
from fleetlake.simulate.events import Batch
from fleetlake.simulate.sink import EventSink

LATE_MS = (150_000, 600_000)
LATENESS_MS = 120_000  # an event is late from here on: the watermark of the transform and of the streaming engine


@dataclass(frozen=True, slots=True)
class FaultRates:
    """Shares of the good events, 0 to 1. poison: bad records sent besides them, so no good event is lost."""

    duplicates: float = 0.0
    late: float = 0.0
    poison: float = 0.0

    @classmethod
    def parse(cls, text: str) -> FaultRates:
        """From `duplicates=0.01,late=0.02,poison=0.005`, any of them. BadInput says what is allowed."""
        names = [f.name for f in fields(cls)]
        rates: dict[str, float] = {}
        for part in filter(None, text.split(",")):
            name, _, share = part.partition("=")
            try:
                rates[name.strip()] = float(share)
            except ValueError:
                rates[name.strip()] = -1.0
            if name.strip() not in names or not 0 <= rates[name.strip()] <= 1:
                raise BadInput(f"--faults {part} is not understood", allowed=f"{', '.join(names)}, each =0 to 1")
        return cls(**rates)


@dataclass(slots=True)
class Tally:
    """Records of one topic. sent: all of them; good: distinct good events; late: those over 120 s behind when they were sent."""

    sent: int = 0
    good: int = 0
    duplicates: int = 0
    late: int = 0
    poison: int = 0


@dataclass(slots=True)
class _Held:
    """A late event on its way. release_ms: the device's time from which it may arrive."""

    who: int
    time_ms: int
    release_ms: int
    key: bytes
    value: bytes


@dataclass(slots=True)
class _Lane:
    """One topic. newest_ms: per vehicle, the latest event time that was sent."""

    tally: Tally = field(default_factory=Tally)
    newest_ms: dict[int, int] = field(default_factory=dict)
    held: list[_Held] = field(default_factory=list)


class FaultySink:
    """Stands before a sink and does what the rates say, following from the seed. Without faults it only counts."""

    def __init__(self, sink: EventSink, rates: FaultRates, seed: int) -> None:
        self._sink, self._rates = sink, rates
        self._rng = np.random.default_rng([seed, 3])
        self._lanes: dict[Event, _Lane] = {}
        self._poisons = 0

    @property
    def tallies(self) -> Mapping[str, Tally]:
        return {event.topic: lane.tally for event, lane in self._lanes.items()}

    def send(self, batch: Batch) -> None:
        """Sends a batch, then the late events that are due by now."""
        lane = self._lanes.setdefault(batch.event, _Lane())
        n = len(batch.values)
        drawn = self._rng.random((3, n))
        late = drawn[0] < self._rates.late
        duplicate = (drawn[1] < self._rates.duplicates) & ~late
        poison = drawn[2] < self._rates.poison
        delays = self._rng.integers(*LATE_MS, n)
        order = np.repeat(np.arange(n), np.where(late, 0, 1 + duplicate))
        keys, values = [batch.keys[i] for i in order.tolist()], [batch.values[i] for i in order.tolist()]
        for i in np.flatnonzero(late).tolist():
            time_ms = int(batch.time_ms[i])
            lane.held.append(_Held(int(batch.who[i]), time_ms, time_ms + int(delays[i]), batch.keys[i], batch.values[i]))
        for i in np.flatnonzero(poison).tolist():
            keys.append(batch.keys[i])
            values.append(self._poison(batch.values[i]))
        for who, time_ms in zip(batch.who[~late].tolist(), batch.time_ms[~late].tolist(), strict=True):
            lane.newest_ms[who] = time_ms  # a vehicle's events come in order
        self._count(lane, keys, good=n, duplicates=int(duplicate.sum()), poison=int(poison.sum()))
        self._sink.send(batch.event, keys, values)
        self._release(batch.event, lane, lambda held: lane.newest_ms.get(held.who, 0) >= held.release_ms)

    def finish(self) -> None:
        """Sends what is still held, and waits for the sink."""
        for event, lane in self._lanes.items():
            self._release(event, lane, lambda held: True)
        self._sink.flush()

    def _release(self, event: Event, lane: _Lane, due: Callable[[_Held], bool]) -> None:
        released = [held for held in lane.held if due(held)]
        if not released:
            return
        lane.held = [held for held in lane.held if not due(held)]
        for held in released:
            newest = lane.newest_ms.get(held.who, held.time_ms)
            lane.tally.late += newest - held.time_ms > LATENESS_MS
            lane.newest_ms[held.who] = max(newest, held.time_ms)
        self._count(lane, [held.key for held in released])
        self._sink.send(event, [held.key for held in released], [held.value for held in released])

    def _count(self, lane: _Lane, sent: list[bytes], *, good: int = 0, duplicates: int = 0, poison: int = 0) -> None:
        lane.tally.sent += len(sent)
        lane.tally.good += good
        lane.tally.duplicates += duplicates
        lane.tally.poison += poison

    def _poison(self, value: bytes) -> bytes:
        """The next kind of bad record, made from a good one."""
        kind = POISONS[self._poisons % len(POISONS)]
        self._poisons += 1
        return kind(value)


def _changed(**changes: object) -> Callable[[bytes], bytes]:
    def change(value: bytes) -> bytes:
        document = json.loads(value) | changes
        return json.dumps({name: changed for name, changed in document.items() if changed is not ...}).encode()

    return change


POISONS: tuple[Callable[[bytes], bytes], ...] = (
    lambda value: b"this is not JSON",
    lambda value: value[: len(value) // 2],
    lambda value: b"",
    lambda value: b"null",
    lambda value: b"[" + value + b"]",
    lambda value: b"\xff\xfe" + value,
    lambda value: value.replace(b'"', b'"\n', 1),
    _changed(deviceId=...),
    _changed(id=None),
    _changed(id=17),
    _changed(timestamp="yesterday"),
    _changed(location=[123.4, 0.0]),
    _changed(location="51.5,-0.1"),
)
