"""What goes wrong between a device and Kafka, on purpose and counted: duplicates, late arrivals, poison, lost fixes."""

from __future__ import annotations

import heapq
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import NamedTuple

import numpy as np

from fleetlake.contracts.events import EVENTS, GPS
from fleetlake.foundation.errors import BadInput
from fleetlake.simulate.driver import Ints
from fleetlake.simulate.events import EventBatch
from fleetlake.simulate.sink import EventSink

LATE_MS = (150_000, 600_000)
NEVER, NO_TIME_YET = np.iinfo(np.int64).max, np.iinfo(np.int64).min
LATENESS_MS = 120_000  # an event is late from here on: the watermark of the transform and of the streaming engine


@dataclass(frozen=True, slots=True)
class FaultRates:
    """Shares of the good events, 0 to 1. poison: bad records sent besides them, so no good event is lost.

    dropped_fixes: of the fixes (gps_data) alone, those that are never sent; the vehicle's own report of the instant still is.
    """

    duplicates: float = 0.0
    late: float = 0.0
    poison: float = 0.0
    dropped_fixes: float = 0.0

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
    """Records of one topic. sent: all of them; good: distinct good events; late: those over 120 s behind when they were sent.

    dropped: events that were not sent, in none of the other numbers.
    """

    sent: int = 0
    good: int = 0
    duplicates: int = 0
    late: int = 0
    poison: int = 0
    dropped: int = 0


class _Held(NamedTuple):
    """A late event on its way; they sort by release_ms, the device's time from which it may arrive."""

    release_ms: int
    time_ms: int
    key: bytes
    value: bytes


@dataclass(slots=True)
class _Lane:
    """One topic. held: of vehicles, a heap of what comes late.

    newest_ms, due_ms: of each vehicle by its number, the latest event time that was sent, and when the first held event is due.
    drops: draws of its own, so that whatever else goes wrong is the same with and without dropped fixes.
    """

    rng: np.random.Generator
    drops: np.random.Generator
    tally: Tally = field(default_factory=Tally)
    newest_ms: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    due_ms: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    held: dict[int, list[_Held]] = field(default_factory=dict)
    poisons: int = 0

    def make_room(self, vehicles: int) -> None:
        if (more := vehicles - len(self.due_ms)) > 0:
            self.newest_ms = np.append(self.newest_ms, np.full(more, NO_TIME_YET))
            self.due_ms = np.append(self.due_ms, np.full(more, NEVER))

    def hold(self, who: int, event: _Held) -> None:
        heapq.heappush(self.held.setdefault(who, []), event)
        self.due_ms[who] = self.held[who][0].release_ms


class FaultySink:
    """Stands before a sink and does what the rates say. Without faults it only counts.

    What it makes of a topic's events follows from the seed alone, however they are divided into batches.
    """

    def __init__(self, sink: EventSink, rates: FaultRates, seed: int) -> None:
        self._sink, self._rates = sink, rates
        self._lanes = {
            event: _Lane(np.random.default_rng([seed, 3, number]), np.random.default_rng([seed, 5, number]))
            for number, event in enumerate(EVENTS)
        }

    @property
    def tallies(self) -> Mapping[str, Tally]:
        return {event.topic: lane.tally for event, lane in self._lanes.items()}

    def send(self, batch: EventBatch) -> None:
        """Sends a batch, and each late event once its vehicle's time has come."""
        lane = self._lanes[batch.event]
        lane.tally.good += len(batch.values)
        keys, values = (batch.keys, batch.values) if self._rates == FaultRates() else self._spoil(lane, batch)
        lane.tally.sent += len(values)
        self._sink.send(batch.event, keys, values)

    def finish(self) -> None:
        """Sends what is still held, and waits for the sink."""
        for event, lane in self._lanes.items():
            keys: list[bytes] = []
            values: list[bytes] = []
            for who in lane.held:
                self._release(lane, who, math.inf, keys, values)
            lane.tally.sent += len(values)
            if values:
                self._sink.send(event, keys, values)
        self._sink.flush()

    def _spoil(self, lane: _Lane, batch: EventBatch) -> tuple[list[bytes], list[bytes]]:
        """What is sent in place of a batch; each vehicle's events come in order of time.

        Four draws an event, used or not: so its faults don't depend on its batch. Nothing is sent of an event that is dropped: no
        copy, nothing late and no bad record made of it. Only events with which something happens are looked at one by one.
        """
        rates, keys, values = self._rates, list[bytes](), list[bytes]()
        drawn = lane.rng.random((len(batch.values), 4))
        late, duplicate, poison = drawn[:, 0] < rates.late, drawn[:, 1] < rates.duplicates, drawn[:, 2] < rates.poison
        delay_ms = (LATE_MS[0] + drawn[:, 3] * (LATE_MS[1] - LATE_MS[0])).astype(np.int64)
        dropped = lane.drops.random(len(batch.values)) < (rates.dropped_fixes if batch.event is GPS else 0.0)
        lost = int(dropped.sum())
        lane.tally.good, lane.tally.dropped = lane.tally.good - lost, lane.tally.dropped + lost
        if not len(batch.who):
            return keys, values
        lane.make_room(int(batch.who.max()) + 1)
        held, due_ms = late & ~dropped, lane.due_ms.copy()
        np.minimum.at(due_ms, batch.who[held], (batch.time_ms + delay_ms)[held])
        touched = np.flatnonzero(late | duplicate | poison | dropped | (due_ms[batch.who] <= batch.time_ms))
        facts = (touched, *(fact[touched] for fact in (batch.who, batch.time_ms, late, duplicate, poison, delay_ms, dropped)))
        done = 0
        for row, who, time_ms, is_late, is_doubled, is_poisoned, delay, is_dropped in zip(
            *(fact.tolist() for fact in facts), strict=True
        ):
            keys += batch.keys[done:row]
            values += batch.values[done:row]
            done = row + 1
            if is_dropped:
                continue
            key, value = batch.keys[row], batch.values[row]
            if is_late:
                lane.hold(who, _Held(time_ms + delay, time_ms, key, value))
            else:
                copies = 1 + is_doubled
                keys += [key] * copies
                values += [value] * copies
                lane.tally.duplicates += is_doubled
                lane.newest_ms[who] = max(time_ms, lane.newest_ms[who])
                self._release(lane, who, time_ms, keys, values)
            if is_poisoned:
                keys.append(key)
                values.append(_poison(lane, value))
        keys += batch.keys[done:]
        values += batch.values[done:]
        sent = ~(late | dropped)
        np.maximum.at(lane.newest_ms, batch.who[sent], batch.time_ms[sent])
        return keys, values

    def _release(self, lane: _Lane, who: int, now_ms: float, keys: list[bytes], values: list[bytes]) -> None:
        """Adds what is due of a vehicle, and counts what is late indeed."""
        held = lane.held.get(who)
        if not held or held[0].release_ms > now_ms:
            return
        newest = int(lane.newest_ms[who])
        while held and held[0].release_ms <= now_ms:
            due = heapq.heappop(held)
            lane.tally.late += newest - due.time_ms > LATENESS_MS
            newest = max(newest, due.time_ms)
            keys.append(due.key)
            values.append(due.value)
        lane.newest_ms[who], lane.due_ms[who] = newest, held[0].release_ms if held else NEVER


def _poison(lane: _Lane, value: bytes) -> bytes:
    """The next kind of bad record, made from a good one."""
    kind = POISONS[lane.poisons % len(POISONS)]
    lane.poisons += 1
    lane.tally.poison += 1
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
    _changed(direction="Up", vehicleCount=-1, weatherCondition="Lava", status="Perhaps"),  # one of them is in each event
)
