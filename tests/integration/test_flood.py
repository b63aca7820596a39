"""A flood of large records takes as much memory as a commit of them may, however small the broker keeps it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import Popen

import pytest
from confluent_kafka import Producer
from tests.command_line import PATIENCE_S, Cli

from fleetlake.broker.embedded import EmbeddedBroker
from fleetlake.contracts.events import EVENTS

MIB = 1024 * 1024
RECORDS, RECORD_BYTES = 400, 1_000_000
CODECS = ("lz4", "zstd")
FLUSH_BYTES = 64 * MIB
# The process and its libraries need 170 MiB; the rest are what the client holds (16 MiB and an answer of the broker, whose 24 KiB
# become 100 MiB where zstd made them), what is being decoded, and 1.125 commits.
MOST_BYTES = 704 * MIB
FLOODS: dict[str, Callable[[int], bytes]] = {
    "rejects": lambda n: b"{" + b"x" * RECORD_BYTES,
    "events with a large text": lambda n: event(n, description="x" * RECORD_BYTES),
    "not UTF-8": lambda n: b"\xff" + b"x" * RECORD_BYTES,
}


@pytest.fixture
def cli(broker: EmbeddedBroker, home: Path) -> Iterator[Cli]:
    made = Cli(broker, home)
    yield made
    made.end()


def event(number: int, **more: object) -> bytes:
    known = {
        "id": f"e-{number}",
        "deviceId": "d",
        "timestamp": f"2026-01-0{1 + number % 9}T06:05:00.000Z",
        "location": [51.5, -0.1],
    }
    return json.dumps(known | {"type": "Fire", "status": "Active"} | more).encode()


def send_flood(broker: EmbeddedBroker, codec: str, records: int) -> None:
    """Of every kind in turn, to every topic; a record is some kilobytes as the broker keeps it."""
    producer = Producer(broker.settings.client_config() | {"compression.type": codec, "message.max.bytes": 2 * RECORD_BYTES})
    kinds = list(FLOODS.values())
    for number in range(records):
        producer.produce(EVENTS[number % len(EVENTS)].topic, kinds[number % len(kinds)](number))
        producer.flush(PATIENCE_S) if number % 20 == 19 else producer.poll(0)
    assert producer.flush(PATIENCE_S) == 0


def peak_bytes(process: Popen[str]) -> int:
    """The most memory that it had, asked until it ends."""
    peak, give_up_at = 0, time.monotonic() + PATIENCE_S
    while process.poll() is None:
        assert time.monotonic() < give_up_at
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        peak = max([peak, *(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))])
        time.sleep(0.02)
    return peak


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux how much memory a process had")
def test_a_flood_of_large_records_takes_bounded_memory(broker: EmbeddedBroker, cli: Cli) -> None:
    for codec in CODECS:
        send_flood(broker, codec, RECORDS // len(CODECS))
    process = cli.start("--set", f"ingest.flush_bytes={FLUSH_BYTES}", "ingest", "--once", "--json")
    peak = peak_bytes(process)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert sum(counts["landed"] for counts in json.loads(out).values()) == RECORDS
    assert peak < MOST_BYTES, f"{peak / MIB:,.0f} MiB"
    print(f"peak {peak / MIB:,.0f} MiB")
