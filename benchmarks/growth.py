"""`python -m benchmarks.growth`: the cost of a commit as commits add up, each as native ingest makes it, with a file of few rows.

The lake is a local SQLite catalog. With --expire the newest KEPT snapshots are left every KEPT commits; that is not in the figures.
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

import duckdb
import pyarrow as pa

from benchmarks.bars import Figures
from benchmarks.load import vehicle_events
from fleetlake.contracts.events import VEHICLE
from fleetlake.contracts.tables import bronze_of
from fleetlake.ingest.decode import RAW_SCHEMA, Decoder
from fleetlake.ingest.offsets import KafkaTopicState
from fleetlake.ingest.table_writer import TableWriter
from fleetlake.lake.catalog import LakeSettings, open_lake
from fleetlake.maintain.expiry import expire
from fleetlake.maintain.retention import ExpiryPolicy

MARKS, WINDOW, ROWS, KEPT = (100, 1000, 3000, 10_000), 50, 10, 100


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    arguments.add_argument("--commits", type=int, default=MARKS[-1])
    arguments.add_argument("--expire", action="store_true", help="with expiry")
    arguments.add_argument(
        "--limit", type=float, default=1200, metavar="SECONDS", help="stop after so long; what is missing stays out"
    )
    arguments.add_argument(
        "--into", type=Path, metavar="FILE", help="add the figures to those of `python -m benchmarks --json FILE`"
    )
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="fleetlake-bench-") as name:
        found = grow(Path(name), chosen.commits, with_expiry=chosen.expire, limit_s=chosen.limit)
    print(json.dumps(found))
    if chosen.into:
        figures = json.loads(chosen.into.read_text())
        others = [run for run in figures.get("growth", []) if run["what"] != found["what"]]
        chosen.into.write_text(json.dumps(figures | {"growth": [*others, found]}, indent=1) + "\n")


def grow(home: Path, commits: int, *, with_expiry: bool, limit_s: float) -> Figures:
    """The median of the last WINDOW commits, ms, at each of MARKS up to `commits`, with the marks as text."""
    lake = open_lake(LakeSettings("bench", {"type": "sql", "uri": f"sqlite:///{home}/catalog.db", "warehouse": f"file://{home}/w"}))
    contract = bronze_of(VEHICLE)
    lake.ensure([contract])
    writer = TableWriter(lake, contract.name, job="bench", wait=lambda attempt: None)
    writer.take_over(KafkaTopicState(VEHICLE.topic, "cluster", "topic", {0: (0, 0)}))
    rows, took, p50_ms, began = _rows(), list[float](), dict[str, float](), time.monotonic()
    policy = ExpiryPolicy(newest=KEPT, planning_s=0, reading_s=0, hourly_s=0)
    for i in range(1, commits + 1):
        started = time.perf_counter()
        writer.append([rows], {0: i * ROWS}, i)
        took.append((time.perf_counter() - started) * 1000)
        if i in MARKS:
            p50_ms[str(i)] = statistics.median(took[-WINDOW:])
            print(f"{i:,} commits: {p50_ms[str(i)]:.1f} ms", file=sys.stderr, flush=True)
        if with_expiry and not i % KEPT:
            expire(lake, contract.name, policy, wait=lambda attempt: None)
        if time.monotonic() > began + limit_s:
            break
    expiry = f"the newest {KEPT} snapshots kept" if with_expiry else "nothing expired"
    return {"what": expiry, "p50_ms": p50_ms, "commits": len(took), "seconds": time.monotonic() - began}


def _rows() -> pa.Table:
    payloads = next(vehicle_events())[1][:ROWS]
    now = datetime.now(UTC)
    columns = [[0] * ROWS, range(ROWS), [now] * ROWS, payloads]
    raw = pa.table([pa.array(values, field.type) for values, field in zip(columns, RAW_SCHEMA, strict=True)], schema=RAW_SCHEMA)
    return Decoder(VEHICLE, duckdb.connect(config={"threads": 1})).decode(raw, now)


if __name__ == "__main__":
    main()
