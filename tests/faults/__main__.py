"""The fault matrix: python -m tests.faults [--engine native|spark] [--seeds N] [--first N] [--seed N] [--only NAME]."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from threading import Event

from fleetlake.broker.embedded import EmbeddedBroker
from fleetlake.foundation.errors import FleetlakeError
from fleetlake.ingest.offsets import IngestEngine
from tests.conftest import free_ports
from tests.faults.cluster_scenarios import ON_CLUSTER
from tests.faults.glue_scenarios import ON_GLUE
from tests.faults.scenarios import GOLD_SEEDS, NATIVE, Scenario, play
from tests.faults.servers import Servers
from tests.faults.spark_scenarios import SPARK

HEADER = f"{'scenario':<42} {'engine':<7} {'seeds':>6} {'looks':>7} {'lost':>5} {'doubled':>8} {'wrong':>6}"
ALL = (*NATIVE, *ON_CLUSTER, *ON_GLUE, *SPARK)


def main(arguments: list[str] | None = None) -> int:
    """Prints the table; 1 if anything was lost, doubled or otherwise wrong, or a scenario was not played."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, help="just this one")
    parser.add_argument("--seeds", type=int, default=20, help="so many of each scenario")
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="the first of them: goes on where a table ended")
    parser.add_argument("--engine", choices=(*IngestEngine, "all"), default="all")
    parser.add_argument("--only", metavar="NAME", default="", help="scenarios whose name contains this")
    parser.add_argument("--minutes", type=float, default=120.0, help="begin no seed after this time")
    parser.add_argument("--list", action="store_true", help="print the names")
    given = parser.parse_args(arguments)
    chosen = [one for one in ALL if given.only in one.name and given.engine in (one.engine, "all")]
    if given.list:
        print("\n".join(f"{one.engine:<7} {one.name}" for one in chosen))
        return 0
    seeds = [given.seed] if given.seed is not None else list(range(given.first, given.first + given.seeds))
    rows = [Row(scenario) for scenario in chosen]
    ended = Event()  # rather than an exception: inside of DuckDB that would become an error of the scenario's own
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with tempfile.TemporaryDirectory(prefix="faults-broker-") as folder:
        broker = EmbeddedBroker(Path(folder), free_ports())
        if not all(one.on_cluster for one in chosen):
            broker.start()
        try:
            with Servers(broker) as servers, suppress(KeyboardInterrupt):
                end_at = time.monotonic() + 60 * given.minutes
                play_seeds(rows, seeds, servers, over=lambda: ended.is_set() or time.monotonic() > end_at)
        finally:
            broker.stop()
            print(*table(rows, seeds), sep="\n")
    return 0 if rows and all(row.holds for row in rows) else 1


@dataclass(slots=True)
class Row:
    """A line of the table. lost, doubled: records, of all seeds; failed: seeds that were wrong in any way."""

    scenario: Scenario
    played: int = 0
    looks: int = 0
    lost: int = 0
    doubled: int = 0
    failed: int = 0

    @property
    def holds(self) -> bool:
        return self.played > 0 and not self.failed

    def play(self, seed: int, servers: Servers) -> None:
        """Plays a seed. A failure is printed as it comes, with what replays it."""
        if servers.broker.pid() is None and not self.scenario.on_cluster:  # a scenario killed it
            servers.broker.start()
        verdict = play(self.scenario, seed, servers, gold=seed % GOLD_SEEDS == 0)
        self.played, self.looks = self.played + 1, self.looks + verdict.snapshots
        self.lost, self.doubled, self.failed = (
            self.lost + verdict.lost,
            self.doubled + verdict.doubled,
            self.failed + (not verdict.holds),
        )
        if not verdict.holds:
            named = f"--engine {self.scenario.engine} --only {shlex.quote(self.scenario.name)}"
            print(f"FAILED: python -m tests.faults {named} --seed {seed}")
            print(f"  lost {verdict.lost}, doubled {verdict.doubled}", *verdict.wrong, sep="\n  ")
            for act in self.scenario.plan(Random(f"{self.scenario.name}/{seed}")):
                print(f"    {act}")
            sys.stdout.flush()

    def __str__(self) -> str:
        counts = f"{self.played:>6} {self.looks:>7} {self.lost:>5} {self.doubled:>8} {self.failed:>6}"
        return f"{self.scenario.name:<42} {self.scenario.engine:<7} {counts}"


def table(rows: list[Row], seeds: list[int]) -> list[str]:
    """The lines a run ends in: its seeds, a line for each scenario, and how many of these had no turn."""
    lines = [f"seeds from {seeds[0]} to {seeds[-1]}" if seeds else "no seeds", HEADER, *map(str, rows)]
    if left := sum(not row.played for row in rows):
        lines.append(f"{left} of {len(rows)} scenarios were not played: --minutes (of make: MINUTES) gives more time")
    return lines


def play_seeds(rows: list[Row], seeds: list[int], servers: Servers, *, over: Callable[[], bool]) -> None:
    """Each seed of all scenarios before the next one, so that whatever ends it, all were played about as often."""
    for seed in seeds:
        for row in rows:
            if over():
                return
            if sys.stderr.isatty():
                sys.stderr.write(f"\r\033[Kseed {seed}, {row.scenario.name}")
            row.play(seed, servers)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except FleetlakeError as error:
        sys.exit(f"error: {error}")
