"""`python -m benchmarks.checksums`: what it costs the native ingest to compare the checksum of each batch of records.

Only reading differs, so only that is measured: one topic, read again and again by turns with and without, in one process. The
order within a pair changes from one to the next.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.bars import Figures
from benchmarks.rig import free_port
from benchmarks.shapes import fill
from fleetlake.broker.embedded import EmbeddedBroker
from fleetlake.broker.settings import KafkaSettings
from fleetlake.broker.topics import ensure_topics, watermarks
from fleetlake.contracts.events import VEHICLE
from fleetlake.ingest import reader
from fleetlake.ingest.offsets import Offsets

ROWS, PAIRS = 1_000_000, 15


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m benchmarks.checksums", description=__doc__)
    arguments.add_argument("--rows", type=int, default=ROWS)
    arguments.add_argument("--pairs", type=int, default=PAIRS)
    arguments.add_argument(
        "--into", type=Path, metavar="FILE", help="add the figures to those of `python -m benchmarks --json FILE`"
    )
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="fleetlake-bench-") as name:
        broker = EmbeddedBroker(Path(name), free_port())
        broker.start()
        try:
            ensure_topics(broker.settings, [VEHICLE.topic])
            fill(broker.settings, (VEHICLE,), chosen.rows)
            found = compare(broker.settings, chosen.pairs)
        finally:
            broker.stop()
    print(json.dumps(found))
    if chosen.into:
        figures = json.loads(chosen.into.read_text())
        chosen.into.write_text(json.dumps(figures | {"checksums": found}, indent=1) + "\n")


def compare(kafka: KafkaSettings, pairs: int) -> Figures:
    """CPU seconds per million records, of each pair with and without; the medians, and the median of the differences."""
    marks = watermarks(kafka, [VEHICLE.topic])[VEHICLE.topic]
    start, rows = {VEHICLE.topic: {p: low for p, (low, _) in marks.items()}}, sum(high - low for low, high in marks.values())
    read(kafka, start, rows, checked=True)  # so that the broker has the topic in memory
    made = [read_pair(kafka, start, rows, without_first=number % 2 == 0) for number in range(pairs)]
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M}", "rows": rows, "pairs": made,
        "median_with": statistics.median(with_ for with_, _ in made),
        "median_without": statistics.median(without for _, without in made),
        "median_difference": statistics.median(with_ - without for with_, without in made),
    }  # fmt: skip


def read_pair(kafka: KafkaSettings, start: Mapping[str, Offsets], rows: int, *, without_first: bool) -> tuple[float, float]:
    order = (False, True) if without_first else (True, False)
    spent = {checked: read(kafka, start, rows, checked=checked) for checked in order}
    print(f"{time.strftime('%H:%M:%S')} with {spent[True]:.3f}, without {spent[False]:.3f}", file=sys.stderr, flush=True)
    return spent[True], spent[False]


def read(kafka: KafkaSettings, start: Mapping[str, Offsets], rows: int, *, checked: bool) -> float:
    """CPU seconds per million records from the first poll to the last record, of all threads of this process."""
    tuning = reader.TUNING
    reader.TUNING = {**tuning, "check.crcs": checked}
    try:
        reading = reader.Reader(kafka.client_config(), group="checksums", start=start)
    finally:
        reader.TUNING = tuning
    began, seen = time.process_time(), 0
    while seen < rows:
        seen += sum(chunk.rows.num_rows for chunk in reading.poll(0.2).chunks)
    spent = time.process_time() - began
    reading.close()
    return spent / rows * 1e6


if __name__ == "__main__":
    main()
