"""How soon an event can be queried: `python -m benchmarks.freshness`, each system on a broker and a topic of its own.

Freshness of an event: the time of the snapshot that added it, less the time it was stamped with just before it was sent. The
snapshot's time is taken while its commit is made, some 20 ms before readers see it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.manifest import ManifestEntryStatus
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation, Snapshot
from sqlalchemy.exc import SQLAlchemyError

from benchmarks.bars import FRESH_HEAD, NATIVE, Figures, aligned, fresh_rows
from benchmarks.load import trickle
from benchmarks.outputs import Output, rows_committed
from benchmarks.rig import Watched, free_port, used
from benchmarks.systems import SYSTEMS, Job, System
from fleetlake.broker.embedded import EmbeddedBroker
from fleetlake.broker.topics import ensure_topics
from fleetlake.contracts.events import EVENTS
from fleetlake.lake.catalog import local_path

RATE, SECONDS, WARM_UP_S, FIRST_ROWS_S, IDLE_S = 5000, 60.0, 5.0, 90.0, 30.0
SETTLED_S, SETTLING_LIMIT_S, LOOK_S = 12.0, 60.0, 0.5
NOTE_EVERY_S = 10.0  # less than the minute for which expiry leaves snapshots alone
MAINTAIN_EVERY_S = 15
STAMPS_DIFFER_MS = 5  # the first one's rounding
LIVE = tuple(name for name, system in SYSTEMS.items() if system.live)


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m benchmarks.freshness", description=__doc__)
    arguments.add_argument("--only", default=",".join(LIVE), help=f"of {', '.join(LIVE)}; comma-separated")
    arguments.add_argument("--rate", type=int, default=RATE, help="events a second")
    arguments.add_argument("--seconds", type=float, default=SECONDS)
    arguments.add_argument("--json", action="store_true")
    chosen = arguments.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    found = [measure_freshness(SYSTEMS[name], chosen.rate, chosen.seconds) for name in chosen.only.split(",")]
    print(json.dumps(found, indent=1) if chosen.json else aligned(FRESH_HEAD, fresh_rows({"freshness": found})))


def measure_freshness(system: System, rate: int, seconds: float) -> Figures:
    """Waits of all events of `seconds`; one that does not bring every one of them over, each once, has `failed` and no figures."""
    found = {"system": system.name} | _measure_apart(system, rate, seconds)
    said = f"failed: {found['failed']}" if "failed" in found else f"p99 {found['p99_s']:.2f} s"
    print(f"{time.strftime('%H:%M:%S')} freshness of {system.name}: {said}", file=sys.stderr, flush=True)
    return found


def _measure_apart(system: System, rate: int, seconds: float) -> Figures:
    with tempfile.TemporaryDirectory(prefix="fleetlake-bench-") as name:
        folder = Path(name)
        broker = EmbeddedBroker(folder, free_port())
        try:
            broker.start()
            ensure_topics(broker.settings, [event.topic for event in EVENTS])
            return _measure(system, broker, folder / "home", rate, seconds)
        except Exception as error:  # one system's trouble is not the others'
            return {"failed": f"{type(error).__name__}: {error}"[:300]}
        finally:
            broker.stop()


def _measure(system: System, broker: EmbeddedBroker, home: Path, rate: int, seconds: float) -> Figures:
    home.mkdir()
    output = system.outputs(home)[system.phases[0]]
    with contextlib.ExitStack() as started:
        watched = _start(started, system.command(Job(broker.port, home, 0, live=True)), home, broker.port)
        began, seed = time.monotonic(), 2
        while not _rows(output):
            if watched.process.poll() is not None or time.monotonic() > began + FIRST_ROWS_S:
                return {"failed": f"no row in {time.monotonic() - began:.0f} s: {watched.last_words()}"}
            trickle(broker.settings, rate, WARM_UP_S, seed=seed)
            seed += 1
        beside = ""
        if system.name == NATIVE:
            beside = f"fleetlake maintain run --every {MAINTAIN_EVERY_S}"
            (home / "maintain").mkdir()
            command = [sys.executable, "-m", "fleetlake.cli.main", "--home", str(home), *beside.split()[1:]]
            maintained = _start(started, command, home / "maintain", broker.port)
        added = started.enter_context(Added(output))
        trickle(broker.settings, rate, WARM_UP_S, seed=seed)
        first = trickle(broker.settings, rate, seconds, seed=seed + 1)
        spent = used(watched.samples, first, first + seconds)
        _settle(output)
        found: Figures = {"beside": beside, "cpu_percent": spent.cpu_s / seconds * 100, "peak_mb": spent.peak_mb}
        if beside:
            if maintained.process.poll() is not None:
                return {"failed": f"maintain ended: {maintained.last_words()}"}
            added.note()
            idle_from = time.time()
            time.sleep(IDLE_S)
            found["idle_cpu_percent"] = used(watched.samples, idle_from, idle_from + IDLE_S).cpu_s / IDLE_S * 100
    return found | waits(added.files, output, int(first * 1000) - STAMPS_DIFFER_MS, round(rate * seconds))


def _start(started: contextlib.ExitStack, command: list[str], home: Path, port: int) -> Watched:
    watched = Watched(command, home, port)
    started.callback(watched.stop)
    return watched


def _rows(output: Output) -> int:
    with contextlib.suppress(SQLAlchemyError, NoSuchTableError):  # not there yet, or locked by a commit
        return rows_committed(output)
    return 0


def _settle(output: Output) -> None:
    """Until nothing more comes."""
    limit, seen, since = time.monotonic() + SETTLING_LIMIT_S, -1, time.monotonic()
    while time.monotonic() < min(limit, since + SETTLED_S):
        if (rows := _rows(output)) > seen:
            seen, since = rows, time.monotonic()
        time.sleep(LOOK_S)


class Added:
    """Files with the time, ms, of the snapshot that appended them, noted while it runs: expiry forgets old snapshots."""

    def __init__(self, output: Output) -> None:
        self.files: dict[str, int] = {}
        self._output, self._known = output, set[int]()
        self._ended, self._lock = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Added:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self.note()

    def note(self) -> None:
        with self._lock:
            table = self._output.load()
            for snapshot in table.snapshots():
                if snapshot.snapshot_id not in self._known:
                    self.files |= dict(_appended(table, snapshot))
                    self._known.add(snapshot.snapshot_id)

    def _run(self) -> None:
        while not self._ended.wait(NOTE_EVERY_S):
            with contextlib.suppress(SQLAlchemyError):  # locked by a commit
                self.note()


def waits(added: Mapping[str, int], output: Output, since_ms: int, wanted: int) -> Figures:
    """Of the events stamped since then, in seconds; failed if they are not `wanted` rows of as many ids.

    added: files that a snapshot appended, and its time in ms. A compaction's copies are not among them.
    """
    with duckdb.connect() as con:
        con.execute("CREATE TABLE added (file VARCHAR, at_ms BIGINT)")
        con.executemany("INSERT INTO added VALUES (?, ?)", list(added.items()))
        row = con.execute(
            f"""WITH events AS (SELECT filename, "{output.id}" AS id, epoch_ms("{output.time}") AS ms
                                FROM read_parquet(?, filename = true))
                SELECT count(*), count(DISTINCT id), count(DISTINCT at_ms), quantile_cont(at_ms - ms, [0.5, 0.95, 0.99, 1.0])
                FROM events JOIN added ON file = filename WHERE ms >= ?""",
            [list(added), since_ms],
        ).fetchone()
    rows, ids, commits, quantiles = row or (0, 0, 0, None)
    if rows != wanted or ids != wanted:
        return {"failed": f"{rows:,} rows and {ids:,} ids of {wanted:,}"}
    names = ("p50_s", "p95_s", "p99_s", "max_s")
    return {"events": rows, "commits": commits} | {name: ms / 1000 for name, ms in zip(names, quantiles, strict=True)}


def _appended(table: Table, snapshot: Snapshot) -> Iterator[tuple[str, int]]:
    if snapshot.summary and snapshot.summary.operation is not Operation.APPEND:
        return
    for manifest in snapshot.manifests(table.io):
        if manifest.added_snapshot_id == snapshot.snapshot_id:
            for entry in manifest.fetch_manifest_entry(table.io):
                if entry.status is ManifestEntryStatus.ADDED:
                    path = entry.data_file.file_path
                    yield local_path(path) or path, snapshot.timestamp_ms


if __name__ == "__main__":
    main()
