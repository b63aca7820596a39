"""An erasure on a catalog whose answers get lost, and beside other writers: no row of another device, no file in use is lost."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table as IcebergTable
from pyiceberg.table.update import AssertTableUUID, SetSnapshotRefUpdate
from test_erase import GONE, SETTINGS, check, contents, fill, holders, opened, without
from tests.catalog_faults import Faults

from fleetlake.contracts.events import GPS, TRAFFIC
from fleetlake.contracts.tables import ERASED, all_tables, bronze_of
from fleetlake.foundation.errors import Permanent, Retryable
from fleetlake.ingest.verify import CheckState
from fleetlake.lake.catalog import Lake
from fleetlake.lake.commits import Conflict, commit
from fleetlake.lake.write import write_files
from fleetlake.maintain import erase_attempts
from fleetlake.maintain.erase import Erasure, erase_device
from fleetlake.maintain.erase_attempts import TableEraser, Wiring
from fleetlake.maintain.erase_history import expire_all_but_current
from fleetlake.maintain.erase_name import DeviceName
from fleetlake.maintain.erase_table import Rewritten, live_files
from fleetlake.transform import derived, silver, writing
from fleetlake.transform.runner import run_transform
from fleetlake.workflows.erase import erase_wiring

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
    assert [check(lake, event) for event in (GPS, TRAFFIC)] == [(CheckState.OK, 40, 40, ())] * 2
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


def test_who_slept_before_its_commit_does_not_bring_the_device_back_nor_name_files_that_are_gone(tmp_path: Path) -> None:
    lake, other = fill(tmp_path, transformed=False), opened(tmp_path)
    before, rows = contents(lake), lake.table(BRONZE).scan().to_arrow()
    erase_device(lake, GONE, wiring())
    sleeper = other.table(BRONZE)
    written = write_files(sleeper, rows, folder="asleep")  # so that the table itself has nothing of the device
    for path in tmp_path.rglob("asleep/*.parquet"):
        os.utime(path, (time.time() - 7200,) * 2)
    erase_device(lake, GONE, wiring())
    assert not list(tmp_path.rglob("asleep/*.parquet"))
    with pytest.raises(Conflict):
        commit(sleeper, added=written, properties={})
    assert contents(lake) == without(before)
    lake.close()
    other.close()


@pytest.mark.parametrize("table", ["silver.gps", "silver.positions", "gold.trips"])
def test_a_transform_that_has_read_the_device_does_not_bring_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    lake, other = fill(tmp_path, transformed=False), opened(tmp_path)
    real, erased = writing.write_and_commit, list[Erasure]()

    def erase_before(engine: object, rows: object, target: IcebergTable, *args: object, **kwargs: object) -> None:
        if ".".join(target.name()) == table and not erased:
            erased.append(erase_device(other, GONE, wiring()))
        real(engine, rows, target, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(silver, "write_and_commit", erase_before)
    monkeypatch.setattr(derived, "write_and_commit", erase_before)
    run_transform(lake, SETTINGS, wait=lambda attempt: None, on_repeat=lambda line: None)
    assert erased
    for name in lake.names():
        if name != ERASED.name:
            assert repr(GONE) not in "".join(contents(lake)[name]), name
    lake.close()
    other.close()


def test_what_a_transform_put_back_is_gone_from_a_table_before_those_made_of_it_are_moved_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, other = fill(tmp_path), opened(tmp_path)
    stale, real, moved = other.table("silver.gps").scan().to_arrow(), TableEraser.move_on, list[str]()

    def put_back(self: TableEraser, unused: Iterable[str]) -> None:
        if not moved:
            table = other.table("silver.gps")
            commit(table, added=write_files(table, stale, folder="stale"), properties={})
        moved.append(self.name)
        if self.name == "silver.positions":
            assert repr(GONE) not in "".join(contents(other)["silver.gps"])
        real(self, unused)

    monkeypatch.setattr(TableEraser, "move_on", put_back)
    erase_device(lake, GONE, wiring())
    computed = [table.name for table in all_tables() if table.layer in ("silver", "gold") and lake.has(table.name)]
    assert [name for name in moved if name in computed] == computed
    lake.close()
    other.close()


def test_a_table_that_was_set_back_is_not_erased_from_as_its_newer_rows_would_be_lost(tmp_path: Path) -> None:
    lake = fill(tmp_path, transformed=False)
    table = lake.table(BRONZE)
    newest, older = table.snapshots()[-1].snapshot_id, table.snapshots()[0].snapshot_id
    for to in (older, newest):
        main = SetSnapshotRefUpdate.model_validate({"ref-name": "main", "type": "branch", "snapshot-id": to})
        lake.catalog.commit_table(lake.table(BRONZE), (AssertTableUUID(uuid=table.metadata.table_uuid),), (main,))
        if to == older:
            with pytest.raises(Permanent, match=f"set back to an older snapshot.*set it to snapshot {newest} again"):
                erase_device(lake, GONE, wiring())
    before = contents(lake)
    erase_device(lake, GONE, wiring())
    require_whole(lake, tmp_path, before)
    lake.close()


def test_a_file_that_was_replaced_while_it_was_copied_leaves_nothing_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compaction and an expiry come in between, and a quarter of an hour goes by."""
    lake, other, slept = fill(tmp_path, transformed=False), opened(tmp_path), [timedelta(0)]
    real = erase_attempts.rewrite_file

    def replaced(table: IcebergTable, file: DataFile, device: DeviceName) -> Rewritten:
        if not slept[0] and table.name()[1] == "gps":
            slept[0] = timedelta(minutes=16)
            replace_all(other, BRONZE)
            expire_all_but_current(other.table(BRONZE), lambda path: None)
        return real(table, file, device)

    monkeypatch.setattr(erase_attempts, "rewrite_file", replaced)
    clock = replace(wiring(), now=lambda: datetime.now(UTC) + slept[0])
    eraser = TableEraser(lake, BRONZE, DeviceName(GONE), clock)
    eraser.erase(masks=False)
    assert eraser.counts.rows == 40
    assert repr(GONE) not in "".join(contents(lake)[BRONZE])
    lake.close()
    other.close()


@pytest.mark.parametrize(("minutes", "parts"), [(1, 1), (16, 4), (61, 4)])
def test_what_takes_long_is_committed_in_parts(tmp_path: Path, minutes: int, parts: int) -> None:
    """Each look at the clock is so many minutes after the one before."""
    lake = fill(tmp_path, transformed=False)
    before, looks, start = contents(lake), itertools.count(), datetime.now(UTC)
    faults = Faults(lake, BRONZE)
    clock = replace(wiring(), now=lambda: start + next(looks) * timedelta(minutes=minutes))
    erased = erase_device(lake, GONE, clock)
    assert faults.tried == parts + 1  # and one that expires
    require_whole(lake, tmp_path, before)
    assert rows_of(erased)[BRONZE] == 40
    lake.close()


def test_copies_that_waited_too_long_are_made_anew(tmp_path: Path) -> None:
    lake, slept = fill(tmp_path, transformed=False), [timedelta(0)]
    before = contents(lake)
    faults = Faults(lake, BRONZE)
    faults.plan = ["conflict"]

    def sleep(attempt: int) -> None:
        """And another erasure, or `orphans`, takes the copies for unused ones."""
        if not slept[0]:
            slept[0] = timedelta(hours=2)
            for path in tmp_path.rglob("bronze/gps/data/**/erased-*"):
                path.unlink()

    erase_device(lake, GONE, replace(wiring(sleep), now=lambda: datetime.now(UTC) + slept[0]))
    require_whole(lake, tmp_path, before, may_repeat_places=True)
    lake.close()


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
