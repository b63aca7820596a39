"""The transform's benchmark: the lake it makes is worth measuring on, and its phases run."""

from __future__ import annotations

from pathlib import Path

import duckdb
from benchmarks.drives import Drives, lake_of
from benchmarks.peer import matched
from benchmarks.transform import Fleet, measure

from fleetlake.contracts.tables import BRONZE
from fleetlake.lake.scan import expose


def test_a_fleets_days_become_gold_and_one_day_more_is_what_a_rebuild_makes(tmp_path: Path) -> None:
    drives = Drives(8)
    found = measure(drives, Fleet(round(drives.fixes * 24), vehicles=8, days=3), tmp_path)  # ends unless the rows are the same

    assert found["rows_more"] > 500
    assert found["checksums"]["gold.trips"][0] == "25"  # a drive each of 8 vehicles on 3 days, and one on the day more
    assert found["one day more"]["tables"].keys() == found["rebuild"]["tables"].keys() == found["checksums"].keys()
    with duckdb.connect() as con:
        for table in BRONZE:
            expose(con, lake_of(tmp_path).table(table.name), table.name)
            ((places, rows, good, ids),) = con.execute(f"""
                SELECT count(DISTINCT (kafka_partition, kafka_offset)), count(*), count(event_id), count(DISTINCT event_id)
                FROM {table.name}
            """).fetchall()
            assert places == rows
            assert ids <= good <= rows
            silver_rows = int(found["checksums"][table.name.replace("bronze", "silver")][0])
            assert silver_rows == ids > 0


def test_episodes_match_if_they_overlap() -> None:
    ours = [("a", 0, 60_000), ("a", 100_000, 160_000), ("b", 0, 60_000)]
    theirs = [("a", 10_000, 50_000), ("b", 70_000, 90_000)]

    found = matched(ours, theirs)

    assert found == {"ours": 3, "theirs": 2, "matched": 1, "begin_later_s": 10, "end_later_s": -10}
