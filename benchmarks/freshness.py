"""How soon an event can be queried: `python -m benchmarks.freshness`, all five topics, `fleetlake ingest` with its defaults.

Freshness of an event: the time of the snapshot that holds it, less the time Kafka stamped it with when it was produced. The
snapshot's time is taken while its commit is made, some 20 ms before readers see it.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import duckdb

from fleetlake.broker.embedded import EmbeddedBroker
from fleetlake.broker.producer import EventProducer
from fleetlake.broker.topics import ensure_topics
from fleetlake.contracts.events import EVENTS
from fleetlake.contracts.tables import BRONZE
from fleetlake.lake.catalog import LakeSettings, open_lake
from fleetlake.lake.scan import local_path
from fleetlake.simulate.run import Journey, SimulationSettings

VEHICLES, SLICES_PER_S, WARM_UP_S = 2000, 20, 5


def produce(broker: EmbeddedBroker, events_per_s: int, seconds: int) -> None:
    """Sends simulated events of all kinds at an even rate, in SLICES_PER_S portions a second."""
    journey = Journey(SimulationSettings(VEHICLES, datetime(2026, 1, 5, 6, tzinfo=UTC)))
    a_slice = events_per_s // len(EVENTS) // SLICES_PER_S
    reports = [tick.report for tick in islice(journey.ticks(), 100, 100 + seconds * SLICES_PER_S * a_slice // VEHICLES + 2)]
    batches = [journey.reporter.batch(event, reports) for event in EVENTS]
    began = time.monotonic()
    with EventProducer(broker.settings) as producer:
        for i in range(seconds * SLICES_PER_S):
            time.sleep(max(0.0, began + i / SLICES_PER_S - time.monotonic()))
            for batch in batches:
                part = slice(i * a_slice, (i + 1) * a_slice)
                producer.send(batch.event, batch.keys[part], batch.values[part])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rate", type=int, default=10_000, help="events a second, over all topics")
    arguments.add_argument("--seconds", type=int, default=60)
    arguments.add_argument("--port", type=int, default=39192)
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="fleetlake-bench-") as name:
        home = Path(name)
        broker = EmbeddedBroker(home, chosen.port)
        broker.start()
        try:
            ensure_topics(broker.settings, [event.topic for event in EVENTS])
            command = [sys.executable, "-m", "fleetlake.app.main", "--home", name, "--set", f"kafka.port={chosen.port}", "ingest"]
            ingest = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            produce(broker, chosen.rate, chosen.seconds + WARM_UP_S)
            time.sleep(2)
            ingest.send_signal(signal.SIGTERM)
            ingest.wait(60)
        finally:
            broker.stop()
        report(home, chosen.rate)


def report(home: Path, rate: int) -> None:
    lake = open_lake(
        LakeSettings("local", {"type": "sql", "uri": f"sqlite:///{home}/catalog.db", "warehouse": f"file://{home}/warehouse"})
    )
    con = duckdb.connect()
    con.execute("CREATE TABLE commits (file VARCHAR, visible_ms BIGINT)")
    snapshots = 0
    for contract in BRONZE:
        table = lake.table(contract.name)
        times = {snapshot.snapshot_id: snapshot.timestamp_ms for snapshot in table.snapshots()}
        snapshots += len(times)
        current = table.current_snapshot()
        entries = [e for m in current.manifests(table.io) for e in m.fetch_manifest_entry(table.io)] if current else []
        con.executemany(
            "INSERT INTO commits VALUES (?, ?)", [(local_path(e.data_file.file_path), times[e.snapshot_id or 0]) for e in entries]
        )
    files = [row[0] for row in con.execute("SELECT file FROM commits").fetchall()]
    events, *quantiles = con.execute(
        """WITH rows AS (SELECT filename, epoch_ms(kafka_timestamp) AS ms FROM read_parquet(?, filename = true)),
           late AS (SELECT visible_ms - ms AS wait FROM rows JOIN commits ON file = filename
                    WHERE ms > (SELECT min(ms) FROM rows) + ? * 1000)
           SELECT count(*), quantile_cont(wait, 0.5), quantile_cont(wait, 0.95), quantile_cont(wait, 0.99), max(wait) FROM late""",
        [files, WARM_UP_S],
    ).fetchone() or (0,)
    print(f"{events:,} events at {rate:,} a second over five topics, {snapshots:,} snapshots; seconds until committed:")
    print("  ".join(f"{name} {ms / 1000:.2f}" for name, ms in zip(("p50", "p95", "p99", "max"), quantiles, strict=True)))


if __name__ == "__main__":
    main()
