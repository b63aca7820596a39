"""MovingPandas beside ours: trips and stops of the same fixes, in the same run.

Its speed splitter has our rule for trips: one ends where no speed reaches trip_start_speed_ms for trip_end_s. Its stop detector
looks at places only, within a diameter for long enough; ours at speeds too. MovingPandas gets the fixes that silver.positions found
good, in memory; our time is that of gold.trips and gold.stops, from reading Parquet to committed Iceberg.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.drives import Drives, fill, lake_of
from fleetlake.lake.catalog import Lake
from fleetlake.lake.scan import expose
from fleetlake.runtime.jars import cache_folder
from fleetlake.transform.settings import Thresholds

HERE = Path(__file__).parent
LOCK = HERE.parent / "requirements" / "movingpandas.lock"
VEHICLES, DAYS, RUNS = 10, 7, 3
DEGREES, METRES = 4326, 32630  # WGS 84, and UTM zone 30 north, which England lies in
Found = dict[str, Any]
Episodes = Sequence[tuple[Any, ...]]  # device, start and end in ms, more


class NoPeer(Exception):
    """There is no MovingPandas here, and none could be installed."""


def peer_python() -> Path:
    """A Python with the locked MovingPandas, made in the cache folder if it is not there. NoPeer if that fails."""
    folder = cache_folder() / f"movingpandas-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]}"
    python, ready = folder / "bin" / "python", folder / "ready"
    if not ready.exists():
        for command in (
            [sys.executable, "-m", "venv", "--clear", str(folder)],
            [str(python), "-m", "pip", "install", "-q", "--require-hashes", "--only-binary", ":all:", "-r", str(LOCK)],
        ):
            made = subprocess.run(command, capture_output=True, text=True)
            if made.returncode:
                said = (made.stderr or made.stdout).strip().splitlines() or ["no reason given"]
                raise NoPeer(f"MovingPandas could not be installed: {said[-1]}")
        ready.touch()
    return python


def compare(folder: Path, drives: Drives, python: Path) -> Found:
    """Both on some vehicle-days, RUNS times. NoPeer if MovingPandas does not run."""
    ours, theirs = [], defaultdict(list)
    for run in range(RUNS):
        home = folder / f"slice-{run}"
        lake = lake_of(home)
        fill(lake, drives, range(DAYS), VEHICLES)
        command = [sys.executable, "-m", "benchmarks.transform_worker", "transform", str(home)]
        out = subprocess.run(command, cwd=HERE.parent, check=True, capture_output=True, text=True).stdout
        ours.append(json.loads(out.splitlines()[-1])["tables"])
        rows = _export(lake, home / "fixes.csv")
        for crs in (METRES, DEGREES):
            theirs[crs].append(_movingpandas(python, home / "fixes.csv", crs))
    trips, stops = _gold(lake)
    peer = theirs[METRES][0]
    return {
        "version": peer["version"],
        "fixes": rows,
        "ours_s": statistics.median(tables["gold.trips"] + tables["gold.stops"] for tables in ours),
        "metres_s": statistics.median(sum(run["seconds"].values()) for run in theirs[METRES]),
        "degrees_s": statistics.median(sum(run["seconds"].values()) for run in theirs[DEGREES]),
        "trips": matched(trips, peer["trips"]),
        "stops": matched(stops, peer["stops"]),
        "distance_km": [sum(trip[3] for trip in trips), *(sum(trip[3] for trip in theirs[crs][0]["trips"]) for crs in theirs)],
    }


def _movingpandas(python: Path, fixes: Path, crs: int) -> Found:
    known = Thresholds()
    settings = (known.trip_start_speed_ms, known.trip_end_s, 2 * known.stop_radius_m, known.stop_min_s)
    command = [str(python), str(HERE / "movingpandas_run.py"), str(fixes), str(crs), *map(str, settings)]
    ran = subprocess.run(command, capture_output=True, text=True)
    if ran.returncode:
        raise NoPeer(f"MovingPandas did not run in {python}: {(ran.stderr.strip().splitlines() or ['no reason given'])[-1]}")
    found: Found = json.loads(ran.stdout.splitlines()[-1])
    return found


def _export(lake: Lake, file: Path) -> int:
    """The good fixes as CSV; how many they are."""
    with duckdb.connect() as con:
        expose(con, lake.table("silver.positions"), "silver.positions")
        ((rows,),) = con.execute(f"""
            COPY (
                SELECT device_id, epoch_ms(event_time) AS time_ms, latitude, longitude FROM silver.positions
                WHERE quality IS NULL ORDER BY device_id, event_time
            ) TO '{file}'
        """).fetchall()
        return int(rows)


def _gold(lake: Lake) -> tuple[Episodes, Episodes]:
    with duckdb.connect() as con:
        for name in ("gold.trips", "gold.stops"):
            expose(con, lake.table(name), name)
        episode = "device_id, epoch_ms(start_time), epoch_ms(end_time)"
        trips = con.execute(f"SELECT {episode}, distance_km FROM gold.trips ORDER BY ALL").fetchall()
        return trips, con.execute(f"SELECT {episode} FROM gold.stops ORDER BY ALL").fetchall()


def matched(ours: Episodes, theirs: Episodes) -> Found:
    """Episodes of one vehicle that overlap in time are the same. By how much (s, mean) theirs begin and end later than ours."""
    by_device = defaultdict(list)
    for episode in theirs:
        by_device[episode[0]].append(episode)
    pairs, taken = [], set()
    for device, start, end, *_ in ours:
        for number, (_, other_start, other_end, *_) in enumerate(by_device[device]):
            if other_start <= end and start <= other_end and (device, number) not in taken:
                taken.add((device, number))
                pairs.append((other_start - start, other_end - end))
                break
    begin, end = zip(*pairs, strict=True) if pairs else ((0,), (0,))
    return {
        "ours": len(ours), "theirs": len(theirs), "matched": len(pairs),
        "begin_later_s": statistics.mean(begin) / 1000, "end_later_s": statistics.mean(end) / 1000,
    }  # fmt: skip
