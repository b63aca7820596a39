"""The fault matrix as a command: python -m tests.faults [--seeds 20] [--seed N] [--only NAME] [--minutes M]."""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from fleetlake.broker.embedded import EmbeddedBroker
from fleetlake.foundation.errors import FleetlakeError
from tests.conftest import free_ports
from tests.faults.oracle import Verdict
from tests.faults.scenarios import GOLD_SEEDS, NATIVE, Scenario, play
from tests.faults.servers import Servers

HEADER = f"{'scenario':<38} {'engine':<7} {'seeds':>6} {'looks':>7} {'lost':>5} {'doubled':>8} {'wrong':>6}"


def main(arguments: list[str] | None = None) -> int:
    """Prints the table; 1 if anything was lost, doubled or otherwise wrong, or nothing was played."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, help="just this one")
    parser.add_argument("--seeds", type=int, default=20, help="so many of each scenario, from 0 on")
    parser.add_argument("--only", metavar="NAME", default="", help="scenarios whose name contains this")
    parser.add_argument("--minutes", type=float, default=120.0, help="begin no seed after this time")
    parser.add_argument("--list", action="store_true", help="print the names")
    given = parser.parse_args(arguments)
    chosen = [scenario for scenario in NATIVE if given.only in scenario.name]
    if given.list:
        print("\n".join(scenario.name for scenario in chosen))
        return 0
    seeds = [given.seed] if given.seed is not None else list(range(given.seeds))
    end_at = time.monotonic() + 60 * given.minutes
    failed = not chosen
    with tempfile.TemporaryDirectory(prefix="faults-broker-") as folder:
        broker = EmbeddedBroker(Path(folder), free_ports())
        broker.start()
        lines = [HEADER]
        try:
            with Servers(broker) as servers:
                for scenario in chosen:
                    line, holds = play_seeds(scenario, seeds, servers, end_at)
                    lines.append(line)
                    failed = failed or not holds
        finally:
            broker.stop()
    print("\n".join(lines))
    return int(failed)


def play_seeds(scenario: Scenario, seeds: list[int], servers: Servers, end_at: float) -> tuple[str, bool]:
    """A line of the table, and whether all seeds held. Failures are printed as they come, with what replays them."""
    total, played, failed, lost, doubled = Verdict(), 0, 0, 0, 0
    for seed in seeds:
        if time.monotonic() > end_at:
            break
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\033[K{scenario.name}, seed {seed}")
        if scenario.own_broker and servers.broker.pid() is None:
            servers.broker.start()
        verdict = play(scenario, seed, servers, gold=seed % GOLD_SEEDS == 0)
        played, lost, doubled = played + 1, lost + verdict.lost, doubled + verdict.doubled
        total.snapshots += verdict.snapshots
        if not verdict.holds:
            failed += 1
            print(f"FAILED: python -m tests.faults --only {shlex.quote(scenario.name)} --seed {seed}")
            print(f"  lost {verdict.lost}, doubled {verdict.doubled}", *verdict.wrong, sep="\n  ")
            for act in scenario.plan(Random(f"{scenario.name}/{seed}")):
                print(f"    {act}")
            sys.stdout.flush()
    line = f"{scenario.name:<38} {'native':<7} {played:>6} {total.snapshots:>7} {lost:>5} {doubled:>8} {failed:>6}"
    return line, not failed and played > 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except FleetlakeError as error:
        sys.exit(f"error: {error}")
