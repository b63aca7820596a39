"""The fleetlake command as users run it, in processes of its own, and events to feed it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from fleetlake.broker.embedded import EmbeddedBroker
from fleetlake.broker.producer import EventProducer
from fleetlake.contracts.events import EVENTS, Event
from fleetlake.contracts.tables import bronze_of
from fleetlake.lake.catalog import LakeSettings, open_lake, row_count
from tests.forking import run_fleetlake

PATIENCE_S = 240  # a JVM on a busy machine takes its time
POLL_S = 0.25  # a look into a lake opens its catalog, and takes from what is waited for
GOOD = {
    "id": "", "deviceId": "", "timestamp": "2026-01-01T08:00:00.000Z", "location": [51.5, -0.12], "cameraId": "c",
    "type": "None", "status": "Resolved", "speed": 50,
}  # fmt: skip


class Cli:
    """Runs fleetlake commands against one broker and one home folder."""

    def __init__(self, broker: EmbeddedBroker, home: Path) -> None:
        kafka = f"port={broker.port}" if broker.home == home else f"bootstrap_servers=127.0.0.1:{broker.port}"
        self._words = ["--home", str(home), "--set", f"kafka.{kafka}"]
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("FLEETLAKE")}
        self._home = home
        self._started: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "fleetlake.cli.main", *self._words, *arguments]
        process = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self._environment)
        self._started.append(process)
        return process

    def run(self, *arguments: str, expect: int = 0) -> str:
        done = run_fleetlake(*self._words, *arguments, env=self._environment, timeout=PATIENCE_S)
        assert done.returncode == expect, done.stderr + done.stdout
        return done.stderr if expect else done.stdout

    def rows(self, event: Event) -> int:
        """Rows of the event's bronze table."""
        properties = {"type": "sql", "uri": f"sqlite:///{self._home}/catalog.db", "warehouse": f"file://{self._home}/warehouse"}
        lake = open_lake(LakeSettings("local", properties))
        try:
            name = bronze_of(event).name
            return row_count(lake.table(name)) if lake.has(name) else 0
        finally:
            lake.close()

    def end(self) -> None:
        """Kills what a failed test left running."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
                process.communicate()


def events(first: int, count: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values; every 50th is a duplicate of the one before, every 70th is poison."""
    for i in range(first, first + count):
        device = f"veh-{i % 20:05d}"
        number = i - 1 if i % 50 == 49 else i
        value = json.dumps(GOOD | {"id": f"event-{number}", "deviceId": f"veh-{number % 20:05d}"}).encode()
        yield device.encode(), b"{broken" if i % 70 == 69 else value


def send(producer: EventProducer, first: int, count: int) -> None:
    keys, values = zip(*events(first, count), strict=True)
    for event in EVENTS:
        producer.send(event, keys, values)


def wait_until(holds: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Waits for a condition that a running process brings about."""
    give_up_at = time.monotonic() + PATIENCE_S
    while not holds():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < give_up_at
        time.sleep(POLL_S)
