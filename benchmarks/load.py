"""Fills topics with our own simulator's vehicle events, some 390 bytes each."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice

from fleetlake.broker.producer import EventProducer
from fleetlake.broker.settings import KafkaSettings
from fleetlake.contracts.events import VEHICLE
from fleetlake.simulate.run import Journey, SimulationSettings

START = datetime(2026, 1, 5, 6, tzinfo=UTC)
VEHICLES, TICKS_AT_ONCE, SLICES_PER_S = 1000, 20, 20
STAMP = b'"timestamp":"'
STAMP_LENGTH = len("2026-01-05T06:05:00.000Z")


def vehicle_events(seed: int = 1) -> Iterator[tuple[Sequence[bytes], Sequence[bytes]]]:
    """Keys and values, without end."""
    journey = Journey(SimulationSettings(VEHICLES, START, seed=seed))
    ticks = (tick.report for tick in journey.ticks() if len(tick.report.who))
    while reports := list(islice(ticks, TICKS_AT_ONCE)):
        batch = journey.reporter.batch(VEHICLE, reports)
        yield batch.keys, batch.values


def fill(kafka: KafkaSettings, rows: int) -> float:
    """Sends `rows` vehicle events; returns events a second, simulated, encoded and delivered."""
    began, sent = time.perf_counter(), 0
    with EventProducer(kafka) as producer:
        for keys, values in vehicle_events():
            room = rows - sent
            producer.send(VEHICLE, keys[:room], values[:room])
            sent += min(room, len(values))
            if sent == rows:
                break
    return sent / (time.perf_counter() - began)


def stamped(value: bytes, stamp: bytes) -> bytes:
    """The event with another time, of the same length."""
    at = value.index(STAMP) + len(STAMP)
    return value[:at] + stamp + value[at + STAMP_LENGTH :]


def trickle(kafka: KafkaSettings, events_per_s: int, seconds: float, *, seed: int) -> float:
    """Sends events at an even rate, each stamped as it is sent; returns the time of day of the first stamp. seed: for other ids."""
    a_slice, source = events_per_s // SLICES_PER_S, vehicle_events(seed)
    waiting: list[tuple[bytes, bytes]] = []
    began, first = time.monotonic(), 0.0
    with EventProducer(kafka) as producer:
        for i in range(round(seconds * SLICES_PER_S)):
            if len(waiting) < a_slice:
                keys, values = next(source)
                waiting += zip(keys, values, strict=True)
            part, waiting = waiting[:a_slice], waiting[a_slice:]
            time.sleep(max(0.0, began + i / SLICES_PER_S - time.monotonic()))
            now = time.time()
            first = first or now
            stamp = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z").encode()
            producer.send(VEHICLE, [key for key, _ in part], [stamped(value, stamp) for _, value in part])
    return first
