"""From bronze to all of gold by the native engine: `python -m benchmarks.transform`, with an incremental run and MovingPandas.

A fleet drives for some days (drives.py); making its bronze tables is not timed. Then, each in a process of its own: all of silver
and gold from bronze; one day more for 1 % of the vehicles; a rebuild of everything, which has to give the same rows. Last, trips
and stops of a slice beside MovingPandas (peer.py).
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.drives import Drives, fill, lake_of
from benchmarks.peer import NoPeer, compare, peer_python

ROOT = Path(__file__).parents[1]
PHASES = {"transform": "bronze to all of gold", "one day more": "1 % of vehicles, one day more", "rebuild": "rebuild of all"}
Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fleet:
    """rows: about how many GPS rows, spread over the vehicles' days; a vehicle drives once on a day or has it off."""

    rows: int
    vehicles: int
    days: int

    @property
    def one_percent(self) -> int:
        return max(1, self.vehicles // 100)


def measure(drives: Drives, fleet: Fleet, home: Path) -> Figures:
    """The three phases. SystemExit if one fails, or if the incremental run and the rebuild differ."""
    share = fleet.rows / (drives.fixes * fleet.vehicles * fleet.days)
    if share > 1:
        raise SystemExit(
            f"{fleet.vehicles} vehicles report {fleet.rows / share:,.0f} fixes in {fleet.days} days at most: --vehicles"
        )
    rows = fill(lake_of(home), drives, range(fleet.days), fleet.vehicles, share)
    found: Figures = {"rows": rows, "vehicles": fleet.vehicles, "days": fleet.days, "devices": fleet.one_percent}
    found["transform"] = _phase("transform", home)
    found["rows_more"] = fill(lake_of(home), drives, range(fleet.days, fleet.days + 1), fleet.one_percent) - rows
    found["one day more"] = _phase("transform", home, "--checksums")
    found["rebuild"] = _phase("rebuild", home, "--checksums")
    incremental, rebuilt = found["one day more"].pop("checksums"), found["rebuild"].pop("checksums")
    if incremental != rebuilt:
        differ = {name: (incremental[name], rebuilt[name]) for name in rebuilt if incremental[name] != rebuilt[name]}
        raise SystemExit(f"the incremental run and the rebuild differ (rows, checksum): {differ}")
    found["checksums"] = rebuilt
    found["incremental_ratio"] = found["one day more"]["seconds"] / found["rebuild"]["seconds"]
    return found


def _phase(what: str, home: Path, *more: str) -> Figures:
    command = [sys.executable, "-m", "benchmarks.transform_worker", what, str(home), *more]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if ran.returncode:
        raise SystemExit(f"{what} failed:\n{ran.stderr}")
    found: Figures = json.loads(ran.stdout.splitlines()[-1])
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=10_000_000, help="GPS rows, about; as many of the vehicles themselves")
    arguments.add_argument("--vehicles", type=int, default=500)
    arguments.add_argument("--days", type=int, default=30)
    arguments.add_argument("--peer", type=Path, help="a Python that has MovingPandas; by default one is made in the cache folder")
    arguments.add_argument("--json", action="store_true", help="all figures as JSON")
    chosen = arguments.parse_args()
    drives = Drives()
    with tempfile.TemporaryDirectory(prefix="fleetlake-bench-") as name:
        folder = Path(name)
        found = measure(drives, Fleet(chosen.rows, chosen.vehicles, chosen.days), folder / "lake")
        shutil.rmtree(folder / "lake")
        try:
            found["movingpandas"] = compare(folder, drives, chosen.peer or peer_python())
        except NoPeer as why:
            found["no_movingpandas"] = str(why)
    if chosen.json:
        print(json.dumps(found))
    else:
        report(found)


def report(found: Figures) -> None:
    machine = f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {platform.machine()}"
    lake = f"{found['rows']:,} GPS rows of {found['vehicles']} vehicles in {found['days']} days"
    print(f"{machine}, {lake}, as many vehicle rows, the rest once a minute\n")
    ratio, same = f"{found['incremental_ratio']:.1%}", f"the same rows in all {len(found['checksums'])} tables"
    print(f"incremental / rebuild: {ratio} (one day of {found['devices']} vehicles, {found['rows_more']:,} GPS rows); {same}")
    if peer := found.get("movingpandas"):
        metres, degrees = peer["metres_s"] / peer["ours_s"], peer["degrees_s"] / peer["ours_s"]
        print(
            f"MovingPandas / native, trips and stops of {peer['fixes']:,} fixes: {metres:.1f} in metres, {degrees:.1f} in degrees"
        )
    print(f"\n{'':<34}{'GPS rows/s':>12}{'seconds':>10}{'CPU s':>10}{'peak MB':>10}")
    for phase, title in PHASES.items():
        run = found[phase]
        rows = {"transform": found["rows"], "rebuild": found["rows"] + found["rows_more"]}.get(phase)
        rate = f"{rows / run['seconds']:,.0f}" if rows else ""
        print(f"{title:<34}{rate:>12}{run['seconds']:>10.1f}{run['cpu_s']:>10.1f}{run['peak_mb']:>10,.0f}")
    print(f"\n{'seconds of it':<34}{'rows':>12}{'all':>10}{'one day':>10}{'rebuild':>10}")
    for table, (rows, _) in found["checksums"].items():
        seconds = "".join(f"{found[phase]['tables'][table]:>10.1f}" for phase in PHASES)
        print(f"{table:<34}{int(rows):>12,}{seconds}")
    print()
    if peer:
        report_peer(peer)
    else:
        print(f"not compared with MovingPandas: {found['no_movingpandas']}")


def report_peer(peer: Figures) -> None:
    """What it took, what was found, and why it differs where it does."""
    print(f"{format(peer['fixes'], ',') + ' fixes':<34}{'us/fix':>12}{'trips':>10}{'stops':>10}{'km':>12}")
    ours, metres, degrees = peer["distance_km"]
    for name, took_s, which, km in (
        ("fleetlake", peer["ours_s"], "ours", ours),
        (f"MovingPandas {peer['version']}, metres", peer["metres_s"], "theirs", metres),
        (f"MovingPandas {peer['version']}, degrees", peer["degrees_s"], "theirs", degrees),
    ):
        counts = f"{peer['trips'][which]:>10}{peer['stops'][which]:>10}"
        print(f"{name:<34}{took_s / peer['fixes'] * 1e6:>12.1f}{counts}{km:>12,.1f}")
    print(f"distance, degrees / ours: {degrees / ours:.4f}; MovingPandas measures on WGS 84's ellipsoid, we on a sphere")
    for kind, why in (("trips", "ours take in the ignition's fixes"), ("stops", "it goes by place alone, ours by speed too")):
        pairs = peer[kind]
        ends = f"begin {_later(pairs['begin_later_s'])} and end {_later(pairs['end_later_s'])} (mean)"
        print(f"{kind}: {pairs['matched']} are the same, in MovingPandas they {ends}: {why}")


def _later(seconds: float) -> str:
    return f"{abs(seconds):.0f} s {'later' if seconds > 0 else 'earlier'}"


if __name__ == "__main__":
    main()
