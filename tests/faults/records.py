"""What a run sends to Kafka: good events, copies, late ones, poison, and clocks that are wrong; all drawn from a seed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from tests.command_line import GOOD

T0 = datetime(2026, 1, 1, 8, tzinfo=UTC)
POISON = (b"{broken", b"", b"[]", b"\xff\xfe", b'{"id": 7}', b"null")
FAR_PAST, FAR_FUTURE = datetime(1971, 1, 1, tzinfo=UTC), datetime(2099, 12, 31, tzinfo=UTC)
DEVICES = 7


@dataclass(frozen=True, slots=True)
class Mix:
    """Shares of a stream. copies: of an earlier event. late: by up to 40 days. skewed: clocks of device and producer far off."""

    copies: float = 0.02
    late: float = 0.02
    poison: float = 0.02
    skewed: float = 0.0


@dataclass(frozen=True, slots=True)
class Record:
    """timestamp_ms: the producer's, since 1970."""

    key: bytes
    value: bytes
    timestamp_ms: int


def draw_records(random: Random, run: str, first: int, count: int, mix: Mix) -> Iterator[Record]:
    """`count` records of the run, numbered from `first`; the number is in the event's id."""
    for number in range(first, first + count):
        of = random.randrange(number) if number and random.random() < mix.copies else number
        device, time = f"{run}-{of % DEVICES:05d}", T0 + timedelta(seconds=3 * of)
        if random.random() < mix.late:
            time -= timedelta(minutes=random.randrange(1, 60 * 24 * 40))
        sent = time
        if random.random() < mix.skewed:
            time, sent = random.choice([FAR_PAST, FAR_FUTURE, time]), random.choice([FAR_PAST, FAR_FUTURE])
        event = GOOD | {
            "id": f"{run}-{of}",
            "deviceId": device,
            "timestamp": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "location": [51.5 + of % 1000 / 1e4, -0.12],
        }
        value = random.choice(POISON) if random.random() < mix.poison else json.dumps(event).encode()
        yield Record(device.encode(), value, int(sent.timestamp() * 1000))
