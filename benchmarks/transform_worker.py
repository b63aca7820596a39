"""One phase of `benchmarks.transform` in a process of its own, on the lake in a folder. Prints one JSON line.

`transform` and `rebuild`: seconds per table, CPU and peak memory. With `--checksums` then, untimed, rows and a checksum per table.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.drives import lake_of
from benchmarks.rig import tree_peak_mb
from fleetlake.contracts.gold import GOLD
from fleetlake.contracts.positions import POSITIONS
from fleetlake.contracts.tables import SILVER
from fleetlake.lake.catalog import Lake
from fleetlake.lake.scan import expose
from fleetlake.transform.references import read_references
from fleetlake.transform.runner import run_transform
from fleetlake.transform.settings import TransformSettings

FENCES = Path(__file__).parents[1] / "docs" / "examples" / "geofences.geojson"  # on the way and beside it


def transform(lake: Lake, *, full: bool) -> dict[str, Any]:
    """With the settings of `fleetlake transform`, and fences."""
    began, cpu = time.perf_counter(), time.process_time()
    settings, beginnings = TransformSettings(references=read_references(geofences=FENCES)), list[tuple[str, float]]()
    run_transform(lake, settings, full=full, on_progress=lambda table: beginnings.append((table, time.perf_counter())))
    ended = time.perf_counter()
    ends = [time for _, time in beginnings[1:]] + [ended]
    return {
        "seconds": ended - began,
        "cpu_s": time.process_time() - cpu,
        "peak_mb": tree_peak_mb(),
        "tables": {table: end - begin for (table, begin), end in zip(beginnings, ends, strict=True)},
    }


def checksums(lake: Lake) -> dict[str, list[str]]:
    """Rows, and the sum of the rows' hashes, of all of silver and gold: the same in whatever order the rows are."""
    found = {}
    with duckdb.connect() as con:
        for table in (*SILVER, POSITIONS, *GOLD):
            expose(con, lake.table(table.name), table.name)
            columns = ", ".join(column.name for column in table.columns)
            row = con.execute(f"SELECT count(*), sum(CAST(hash({columns}) AS HUGEINT)) FROM {table.name}").fetchone() or ()
            found[table.name] = [str(value) for value in row]
    return found


def main() -> None:
    what, home, *more = sys.argv[1:]
    lake = lake_of(Path(home))
    found = transform(lake, full=what == "rebuild")
    if more == ["--checksums"]:
        found["checksums"] = checksums(lake)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
