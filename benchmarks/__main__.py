"""`make bench`: raw consume, native and Spark ingest and the simulator, side by side in one run on a broker of its own."""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from fleetlake.broker.embedded import EmbeddedBroker
from fleetlake.broker.producer import EventProducer
from fleetlake.broker.topics import ensure_topics
from fleetlake.contracts.events import VEHICLE
from fleetlake.simulate.run import Journey, SimulationSettings, simulate_journey

START = datetime(2026, 1, 5, 6, tzinfo=UTC)
VEHICLES, TICKS_AT_ONCE = 1000, 20
Figures = dict[str, Any]


def produce(broker: EmbeddedBroker, rows: int) -> float:
    """Fills the topic with `rows` simulated vehicle events; returns events per second, simulated, encoded and delivered."""
    began, sent = time.perf_counter(), 0
    journey = Journey(SimulationSettings(VEHICLES, START, seed=1))
    ticks = (tick.report for tick in journey.ticks() if len(tick.report.who))
    with EventProducer(broker.settings) as producer:
        while sent < rows and (reports := list(islice(ticks, TICKS_AT_ONCE))):
            batch = journey.reporter.batch(VEHICLE, reports)
            room = rows - sent
            producer.send(VEHICLE, batch.keys[:room], batch.values[:room])
            sent += min(room, len(batch.values))
    return sent / (time.perf_counter() - began)


def simulate_in_memory() -> float:
    """Events per second of all five kinds, encoded, from one process."""
    began, made = time.perf_counter(), 0
    for batches in islice(simulate_journey(SimulationSettings(20_000, START, seed=1)), 110):
        made += sum(len(batch.values) for batch in batches)
    return made / (time.perf_counter() - began)


def measure(what: str, broker: EmbeddedBroker, folder: Path) -> Any:
    """What benchmarks.worker found, in a process of its own on a lake of its own."""
    home = folder / f"lake-{time.monotonic_ns()}"
    command = [sys.executable, "-m", "benchmarks.worker", what, broker.settings.bootstrap_servers, str(home)]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    shutil.rmtree(home, ignore_errors=True)
    return json.loads(out.splitlines()[-1])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=2_000_000)
    arguments.add_argument("--runs", type=int, default=3)
    arguments.add_argument("--port", type=int, default=39092)
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="fleetlake-bench-") as name:
        folder = Path(name)
        broker = EmbeddedBroker(folder, chosen.port)
        broker.start()
        try:
            ensure_topics(broker.settings, [VEHICLE.topic])
            to_kafka = produce(broker, chosen.rows)
            measure("raw", broker, folder)  # warms the disk cache
            pairs = [(measure("raw", broker, folder), measure("native", broker, folder)) for _ in range(chosen.runs)]
            spark = measure("spark", broker, folder)
        finally:
            broker.stop()
    report(chosen.rows, to_kafka, simulate_in_memory(), pairs, spark)


def report(rows: int, to_kafka: float, in_memory: float, pairs: list[tuple[Figures, Figures]], spark: list[Figures]) -> None:
    measured = [run for pair in pairs for run in pair] + spark
    assert all(run["rows"] == rows for run in measured), measured  # noqa: S101  # a rate of other rows is no rate
    print(f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {platform.machine()}, {rows:,} vehicle events\n")
    print(f"{'':<34}{'events/s':>12}{'CPU s per M':>14}{'peak MB':>10}")
    for name, column in (("raw consume (bytes only)", 0), ("native ingest to Iceberg", 1)):
        runs = [pair[column] for pair in pairs]
        rate = statistics.median(run["rows"] / run["seconds"] for run in runs)
        cpu = statistics.median(run["cpu_s"] / run["rows"] * 1e6 for run in runs)
        print(f"{name:<34}{rate:>12,.0f}{cpu:>14.1f}{max(run['peak_mb'] for run in runs):>10,.0f}")
    for run in spark:
        rate, cpu = run["rows"] / run["seconds"], run["cpu_s"] / run["rows"] * 1e6
        name = f"{run['what']} ingest to Iceberg"
        print(f"{name:<34}{rate:>12,.0f}{cpu:>14.1f}{run['peak_mb']:>10,.0f}")
    print(f"{'simulator to Kafka (vehicle)':<34}{to_kafka:>12,.0f}")
    print(f"{'simulator in memory (five kinds)':<34}{in_memory:>12,.0f}")
    ratios = [raw["seconds"] / native["seconds"] for raw, native in pairs]
    warm = spark[-1]["seconds"] / statistics.median(native["seconds"] for _, native in pairs)
    print(f"\nnative / spark warm: {warm:.1f}")
    print(f"native / raw: {statistics.median(ratios):.2f} (each pair: {', '.join(f'{ratio:.2f}' for ratio in ratios)})")


if __name__ == "__main__":
    main()
