"""`python -m benchmarks.checksums`: what it costs the native ingest to compare the checksum of each batch of records.

One topic, read again and again by turns with and without; the order within a pair changes from one to the next.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.bars import Figures
from benchmarks.rig import free_port
from benchmarks.shapes import fill
from benchmarks.systems import SYSTEMS, Job, System
from benchmarks.throughput import measure
from fleetlake.broker.embedded import EmbeddedBroker
from fleetlake.broker.topics import ensure_topics
from fleetlake.contracts.events import EVENTS, VEHICLE

ROWS, PAIRS = 1_000_000, 8
WITHOUT = "--without"
CPU = "active_cpu_s_per_million"


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m benchmarks.checksums", description=__doc__)
    arguments.add_argument("--rows", type=int, default=ROWS)
    arguments.add_argument("--pairs", type=int, default=PAIRS)
    arguments.add_argument(
        "--into", type=Path, metavar="FILE", help="add the figures to those of `python -m benchmarks --json FILE`"
    )
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="fleetlake-bench-") as name:
        found = compare(Path(name), chosen.rows, chosen.pairs)
    print(json.dumps(found))
    if chosen.into:
        figures = json.loads(chosen.into.read_text())
        chosen.into.write_text(json.dumps(figures | {"checksums": found}, indent=1) + "\n")


def compare(folder: Path, rows: int, pairs: int) -> Figures:
    """CPU seconds per million events from the first record to the last commit, of each run; the median of the pairs' ratios."""
    broker = EmbeddedBroker(folder, free_port())
    broker.start()
    try:
        ensure_topics(broker.settings, [event.topic for event in EVENTS])
        rows = fill(broker.settings, (VEHICLE,), rows)[VEHICLE]
        made = [_pair(broker.port, folder, rows, without_first=bool(number % 2)) for number in range(pairs)]
    finally:
        broker.stop()
    ratios = [with_ / without for with_, without in made]
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M}", "rows": rows, "pairs": made, "median_ratio": statistics.median(ratios),
        "median_with": statistics.median(with_ for with_, _ in made),
        "median_without": statistics.median(without for _, without in made),
    }  # fmt: skip


def _pair(port: int, folder: Path, rows: int, *, without_first: bool) -> tuple[float, float]:
    spent: dict[bool, float] = {}
    for checked in (False, True) if without_first else (True, False):
        (result,) = measure(SYSTEMS["native"] if checked else UNCHECKED, port, folder, rows)
        if "failed" in result:
            sys.exit(f"an ingest failed: {result['failed']}")
        spent[checked] = result[CPU]
        print(f"{time.strftime('%H:%M:%S')} {'with' if checked else 'without'}: {result[CPU]:.3f}", file=sys.stderr, flush=True)
    return spent[True], spent[False]


def _unchecked(job: Job) -> list[str]:
    command = SYSTEMS["native"].command(job)
    return [command[0], "-m", "benchmarks.checksums", WITHOUT, *command[3:]]


UNCHECKED = System("native-unchecked", _unchecked, SYSTEMS["native"].outputs, "for comparison only")


def ingest_unchecked(arguments: list[str]) -> None:
    """The command with these arguments, as it is but for the checksums."""
    from fleetlake.app import main as command
    from fleetlake.ingest import reader

    reader.TUNING = {**reader.TUNING, "check.crcs": False}
    sys.argv[1:] = arguments
    command.main()


if __name__ == "__main__":
    if sys.argv[1:2] == [WITHOUT]:
        ingest_unchecked(sys.argv[2:])
    else:
        main()
