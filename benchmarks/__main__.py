"""`make bench`: every system on the same topic, each in its own processes, one after the other; a table, ratios and bars.

Needs Linux, Java, and jars of the peers (fetched once into the cache folder). A system that fails is a row that says why.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import psutil

from benchmarks.bars import NATIVE, RAW, Figures, report
from benchmarks.freshness import LIVE, RATE, SECONDS, measure_freshness
from benchmarks.load import VEHICLES
from benchmarks.rig import free_port
from benchmarks.systems import SYSTEMS
from benchmarks.throughput import measure
from fleetlake.broker.embedded import EmbeddedBroker
from fleetlake.broker.topics import ensure_topics
from fleetlake.contracts.events import EVENTS

ROWS, PAIRS, SIMULATOR_LIMIT_S = 2_000_000, 3, 300
QUICK_ROWS, QUICK_SECONDS = 200_000, 10.0
TO_KAFKA, IN_MEMORY = "simulator-to-kafka", "simulator-in-memory"


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    arguments.add_argument("--only", default=",".join(SYSTEMS), help=f"of {', '.join(SYSTEMS)}; comma-separated")
    arguments.add_argument("--fresh", metavar="NAMES", help="freshness of these of the chosen systems only; empty for none")
    arguments.add_argument("--rows", type=int, default=ROWS)
    arguments.add_argument(
        "--quick",
        action="store_true",
        help=f"{QUICK_ROWS:,} rows, one pair, {QUICK_SECONDS:.0f} s of freshness: to see that it runs",
    )
    arguments.add_argument("--json", type=Path, metavar="FILE", help="where all figures go, for benchmarks.publish")
    chosen = arguments.parse_args()
    systems = [system for system in chosen.only.split(",") if system]
    if unknown := set(systems) - set(SYSTEMS):
        arguments.error(f"no system {', '.join(sorted(unknown))}; there are {', '.join(SYSTEMS)}")
    if unknown := set((chosen.fresh or "").split(",")) - set(LIVE) - {""}:
        arguments.error(f"no freshness of {', '.join(sorted(unknown))}; there are {', '.join(LIVE)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all that was started is stopped
    rows, pairs = (QUICK_ROWS, 1) if chosen.quick else (chosen.rows, PAIRS)
    figures = describe_machine() | {"rows": rows, "vehicles": VEHICLES}
    with tempfile.TemporaryDirectory(prefix="fleetlake-bench-") as name:
        figures["runs"] = compare(systems, Path(name), rows, pairs)
    figures["fresh_rate"], figures["freshness"] = RATE, []
    keep(figures, chosen.json)
    for system in LIVE if chosen.fresh is None else chosen.fresh.split(","):
        if system in systems:
            figures["freshness"].append(measure_freshness(SYSTEMS[system], RATE, QUICK_SECONDS if chosen.quick else SECONDS))
            keep(figures, chosen.json)
    print(report(figures))


def keep(figures: Figures, file: Path | None) -> None:
    """As soon as there is something, so that a run that is cut off was not for nothing."""
    if file:
        file.write_text(json.dumps(figures, indent=1) + "\n")


def compare(systems: list[str], folder: Path, rows: int, pairs: int) -> list[Figures]:
    """All runs, on a broker of their own that is stopped at the end."""
    broker = EmbeddedBroker(folder, free_port())
    broker.start()
    try:
        ensure_topics(broker.settings, [event.topic for event in EVENTS])
        filled = simulate(TO_KAFKA, rows, broker.settings.bootstrap_servers)
        if "failed" in filled:
            sys.exit(f"the topic was not filled: {filled['failed']}")
        runs: list[Figures] = []
        for system, pair in order(systems, pairs):
            for result in measure(SYSTEMS[system], broker.port, folder, rows):
                runs.append(result | ({} if pair is None else {"pair": pair}))
                tell(runs[-1])
    finally:
        broker.stop()
    return [*runs, filled, simulate(IN_MEMORY, rows)]


def order(systems: list[str], pairs: int) -> list[tuple[str, int | None]]:
    """Systems one after the other, but native and one process of raw consume by turns: what their ratio is taken from."""
    turns = [system for system in (RAW, NATIVE) if system in systems]
    once = [(system, None) for system in systems if system not in turns]
    return [(system, pair) for pair in range(pairs) for system in turns] + once


def simulate(what: str, rows: int, servers: str = "") -> Figures:
    job = json.dumps({"in_memory": what == IN_MEMORY, "servers": servers, "rows": rows})
    command = [sys.executable, "-m", "benchmarks.run_simulator", job]
    found: Figures = {"system": what, "note": "one process"}
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=SIMULATOR_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        found["failed"] = f"stopped after {SIMULATOR_LIMIT_S} s"
    else:
        said = (ended.stderr.splitlines() or ["it said nothing"])[-1]
        found |= json.loads(ended.stdout.splitlines()[-1]) if ended.returncode == 0 else {"failed": said}
    tell(found)
    return found


def tell(run: Figures) -> None:
    said = f"failed: {run['failed']}" if "failed" in run else f"{run['events_per_s']:,.0f} events/s"
    print(f"{time.strftime('%H:%M:%S')} {run['system']}: {said}", file=sys.stderr, flush=True)


def describe_machine() -> Figures:
    models = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")
    ]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()  # noqa: S607
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}", "commit": commit, "python": platform.python_version(),
        "machine": {
            "cpu": (models or [platform.machine()])[0], "cores": len(os.sched_getaffinity(0)),
            "memory_gb": round(psutil.virtual_memory().total / 1e9), "system": f"Linux {platform.release()}",
        },
    }  # fmt: skip


if __name__ == "__main__":
    main()
