"""An erasure on a catalog whose answers get lost, and beside other writers: no row of another device, no file in use is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from test_erase import GONE, check, contents, fill, holders, opened, without
from tests.catalog_faults import Faults

from fleetlake.app.erasing import erase_wiring
from fleetlake.contracts.events import GPS, TRAFFIC
from fleetlake.contracts.tables import ERASED, bronze_of
from fleetlake.foundation.errors import Retryable
from fleetlake.ingest.verify import State
from fleetlake.lake.catalog import Lake
from fleetlake.lake.commits import commit
from fleetlake.lake.write import write_files
from fleetlake.maintain.erase import Erasure, Wiring, erase_device
from fleetlake.maintain.erase_table import live_files

BRONZE = bronze_of(GPS).name
PLANS = [
    *(
        (BRONZE, plan)
        for plan in ("conflict", "lost", "landed", "late", "late landed", "late conflict", "conflict late lost landed")
    ),
    *((ERASED.name, plan) for plan in ("landed", "late")),
]


def wiring(wait: Callable[[int], object] = lambda attempt: None) -> Wiring:
    return replace(erase_wiring(), wait=wait)


def rows_of(erased: Erasure) -> dict[str, int]:
    return {table.table: table.rows for table in erased.tables if table.rows}


def require_whole(lake: Lake, folder: Path, before: dict[str, list[str]], *, may_repeat_places: bool = False) -> None:
    """The oracle: every file is there, all rows of other devices are in their tables, the device is in no byte, books are right."""
    assert contents(lake) == without(before)
    assert holders(folder) == set()
    assert [check(lake, event) for event in (GPS, TRAFFIC)] == [(State.OK, 40, 40, ())] * 2
    for name in lake.names():
        paths = [file.file_path for file in live_files(lake.table(name))]
        assert len(paths) == len(set(paths)), name
    places = lake.table(ERASED.name).scan().to_arrow().select(["topic", "kafka_partition", "kafka_offset"]).to_pylist()
    assert len({tuple(place.items()) for place in places}) == 80
    assert len(places) == 80 or may_repeat_places


@pytest.mark.parametrize("arrives", ["in between", "at the end"])
@pytest.mark.parametrize(("table", "plan"), PLANS)
def test_no_answer_that_is_lost_takes_a_file_in_use(tmp_path: Path, table: str, plan: str, arrives: str) -> None:
    lake = fill(tmp_path, transformed=False)
    before = contents(lake)
    faults = Faults(lake, table)
    faults.plan = plan.split()
    erased = erase_device(lake, GONE, wiring(lambda attempt: arrives == "in between" and faults.deliver_late()))
    faults.deliver_late()
    require_whole(lake, tmp_path, before)
    assert rows_of(erased) == {BRONZE: 40, bronze_of(TRAFFIC).name: 40}
    assert erased.remaining == ()
    lake.close()


def replace_all(lake: Lake, name: str) -> None:
    """What a compaction does: the rows of all files in one new file."""
    table = lake.table(name)
    new = write_files(table, table.scan().to_arrow(), folder="replaced")
    commit(table, removed=live_files(table), added=new, properties={})


@pytest.mark.parametrize(("fault", "stays"), [("late", True), ("conflict", False)])
def test_a_copy_that_is_of_no_use_stays_if_a_commit_may_still_refer_to_it(tmp_path: Path, fault: str, stays: bool) -> None:
    lake, other = fill(tmp_path, transformed=False), opened(tmp_path)
    before = contents(lake)
    faults = Faults(lake, BRONZE)
    faults.plan = [fault]
    made: list[set[Path]] = []

    def overtake(attempt: int) -> None:
        if not made:
            made.append({path for path in tmp_path.rglob("erased-*") if "/gps/" in str(path)})
            replace_all(other, BRONZE)

    erased = erase_device(lake, GONE, wiring(overtake))
    assert len(made[0]) == 4
    assert all(path.exists() is stays for path in made[0])
    assert faults.deliver_late() == 0
    require_whole(lake, tmp_path, before, may_repeat_places=True)  # the rows were taken out of two files
    assert rows_of(erased)[BRONZE] == 40
    lake.close()
    other.close()


def test_who_gives_up_leaves_all_files_that_a_late_commit_needs(tmp_path: Path) -> None:
    lake = fill(tmp_path, transformed=False)
    before = contents(lake)
    faults = Faults(lake, BRONZE)
    faults.plan = ["late"] * 30
    with pytest.raises(Retryable, match="came first 30 times"):
        erase_device(lake, GONE, wiring())
    assert faults.deliver_late() == 1
    assert contents(lake)[BRONZE] == without(before)[BRONZE]
    erase_device(lake, GONE, wiring())
    require_whole(lake, tmp_path, before)
    lake.close()
