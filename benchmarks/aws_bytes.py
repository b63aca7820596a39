"""Bytes of a lake's rows and metadata, as src/fleetlake/cloud/aws/measured.toml has them for `fleetlake deploy aws cost`.

fleetlake --home DIR up && fleetlake --home DIR simulate --vehicles 20 --tick 3
fleetlake --home DIR ingest --once && fleetlake --home DIR transform && fleetlake --home DIR down
python -m benchmarks.aws_bytes DIR
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from fleetlake.contracts.events import EVENTS
from fleetlake.contracts.tables import all_tables, bronze_of
from fleetlake.lake.append import stage_append
from fleetlake.lake.catalog import Lake, LakeSettings, open_lake
from fleetlake.lake.write import write_files

SIZES = (10, 100, 1_000, 10_000)  # rows of a file
COMMITS = 100
MARKER = {"fleetlake.ingest.marker": "x" * 300}  # about as long as the ingest's own of four partitions


def main(home: Path) -> None:
    lake = open_lake(settings(home))
    print("[bytes_a_row]  # of live files")
    for table in all_tables():
        if lake.has(table.name):
            files = [task.file for task in lake.table(table.name).scan().plan_files()]
            rows = sum(file.record_count for file in files)
            if rows:
                print(f'"{table.name}" = {sum(file.file_size_in_bytes for file in files) / rows:.1f}  # {rows:,} rows')
    with tempfile.TemporaryDirectory() as folder:
        scratch = open_lake(settings(Path(folder)))
        scratch.ensure([bronze_of(event) for event in EVENTS])
        small_files(lake, scratch)
        scratch.close()
    lake.close()


def small_files(lake: Lake, scratch: Lake) -> None:
    """A file has a footer, a commit has metadata: what both cost when there are few rows."""
    print("[file_bytes]  # fixed bytes of a bronze file, by a line through files of " + ", ".join(map(str, SIZES)) + " rows")
    for event in EVENTS:
        name = bronze_of(event).name
        rows, table = lake.table(name).scan().to_arrow(), scratch.table(name)
        sizes = [sum(f.file_size_in_bytes for f in write_files(table, rows.slice(0, n), folder=f"of-{n}")) for n in SIZES]
        slope, fixed = np.polyfit(SIZES, sizes, 1)
        print(f'"{name}" = {fixed:.0f}  # {sizes}, {slope:.1f} a row')
    name = bronze_of(EVENTS[0]).name
    rows = lake.table(name).scan().to_arrow().slice(0, 100)
    seen = []
    for number in range(COMMITS):
        table = scratch.table(name)
        requirements, updates = stage_append(table, write_files(table, rows, folder=f"commit-{number}"), MARKER)
        scratch.catalog.commit_table(table, requirements, updates)
        table = scratch.table(name)
        snapshot = table.metadata.snapshots[-1]
        manifests = snapshot.manifests(table.io)
        listed = len(table.io.new_input(snapshot.manifest_list))
        newest = max(manifests, key=lambda one: one.sequence_number or 0)
        seen.append((len(table.io.new_input(table.metadata_location)), listed, newest.manifest_length))
    metadata = [one[0] for one in seen]
    print(f"[metadata]\nbytes = {metadata[0]}  # of metadata.json with one snapshot")
    print(
        f"bytes_a_snapshot = {(metadata[-1] - metadata[COMMITS // 2]) / (COMMITS - 1 - COMMITS // 2):.0f}  # more for each kept one"
    )
    print(
        f"manifest_list_bytes = {np.mean([one[1] for one in seen]):.0f}\nmanifest_bytes = {np.mean([one[2] for one in seen]):.0f}"
    )


def settings(home: Path) -> LakeSettings:
    home = home.resolve()
    return LakeSettings("local", {"type": "sql", "uri": f"sqlite:///{home}/catalog.db", "warehouse": f"file://{home}/warehouse"})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
