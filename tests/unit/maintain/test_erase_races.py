"""An erasure beside another, beside compaction and an ingest: who finds files expired looks at the table again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.table import Table as IcebergTable
from test_erase import GONE, STAYS, contents, holders, ingest, opened, row, without

from fleetlake.contracts.events import GPS
from fleetlake.contracts.tables import bronze_of
from fleetlake.lake.catalog import Lake
from fleetlake.lake.commits import Conflict, commit
from fleetlake.lake.scan import Damaged
from fleetlake.maintain import erase_attempts
from fleetlake.maintain.compaction import CompactionPolicy, compact
from fleetlake.maintain.erase import count_device, erase_device
from fleetlake.maintain.erase_attempts import Wiring
from fleetlake.maintain.erase_table import live_files
from fleetlake.workflows.erase import erase_wiring

OTHER, BRONZE = "okapi-3", bronze_of(GPS).name
WIRING = Wiring(erase_wiring().topics, lambda lake: None, lambda attempt: None)


def fill(folder: Path) -> Lake:
    lake = opened(folder)
    lake.ensure([bronze_of(GPS)])
    for start in (0, 9, 18):
        ingest(lake, [row(start + i, (GONE, OTHER, STAYS)[i % 3]) for i in range(9)])
    return lake


def meanwhile(monkeypatch: pytest.MonkeyPatch, lake: Lake, load: int, action: Callable[[], object]) -> list[int]:
    """Has `action` done right after `lake` has loaded a table for the time `load`: what it loaded is of before then."""
    real, loads = lake.table, [0]

    def table(name: str, **more: Any) -> IcebergTable:
        loaded = real(name, **more)
        loads[0] += 1
        if loads[0] == load:
            action()
        return loaded

    monkeypatch.setattr(lake, "table", table)
    return loads


def others(found: list[str]) -> list[str]:
    return [one for one in found if OTHER not in one]


@pytest.mark.parametrize("load", [2, 4, 7, 9, 16, 19, 23])
def test_two_erasures_at_once_both_end_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: int) -> None:
    lake, second = fill(tmp_path), opened(tmp_path)
    before = contents(lake)
    loads = meanwhile(monkeypatch, lake, load, lambda: erase_device(second, OTHER, WIRING))
    erased = erase_device(lake, GONE, WIRING)
    assert loads[0] >= load
    assert erased.remaining == ()
    assert [table.rows for table in erased.tables if table.table == BRONZE] == [9]
    assert contents(lake)[BRONZE] == others(without(before)[BRONZE])
    assert holders(tmp_path) == set()
    lake.close()
    second.close()


def test_another_that_comes_before_the_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake, second = fill(tmp_path), opened(tmp_path)
    before, real, done = contents(lake), erase_attempts.commit_rewritten, list[object]()

    def late(*given: Any, **more: Any) -> None:
        if not done:
            done.append(None)
            erase_device(second, OTHER, WIRING)
        real(*given, **more)

    monkeypatch.setattr(erase_attempts, "commit_rewritten", late)
    erase_device(lake, GONE, WIRING)
    assert contents(lake)[BRONZE] == others(without(before)[BRONZE])
    lake.close()
    second.close()


@pytest.mark.parametrize("load", [1, 2, 3, 4])
def test_a_compaction_beside_an_erasure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: int) -> None:
    lake, second = fill(tmp_path), opened(tmp_path)
    before = contents(lake)
    meanwhile(monkeypatch, lake, load, lambda: erase_device(second, GONE, WIRING))
    compact(lake, BRONZE, CompactionPolicy(), wait=lambda attempt: None)
    erase_device(lake, OTHER, WIRING)
    assert contents(lake)[BRONZE] == others(without(before)[BRONZE])
    lake.close()
    second.close()


def test_a_count_beside_an_erasure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake, second = fill(tmp_path), opened(tmp_path)
    meanwhile(monkeypatch, lake, 1, lambda: erase_device(second, OTHER, WIRING))
    assert [table.rows for table in count_device(lake, GONE).tables] == [9]
    lake.close()
    second.close()


def test_a_commit_on_what_is_expired_is_a_conflict_and_one_on_what_is_missing_is_not(tmp_path: Path) -> None:
    lake, second = fill(tmp_path), opened(tmp_path)
    stale = lake.table(BRONZE)
    erase_device(second, GONE, WIRING)
    with pytest.raises(Conflict, match="another writer expired them"):
        commit(stale, properties={})
    with pytest.raises(Conflict, match="another writer expired them"):
        commit(stale, removed=live_files(lake.table(BRONZE))[:1], properties={})
    table = lake.table(BRONZE)
    snapshot = table.current_snapshot()
    assert snapshot is not None
    Path(snapshot.manifest_list.removeprefix("file://")).unlink()
    with pytest.raises(FileNotFoundError):
        commit(table, properties={})
    with pytest.raises(Damaged, match=r"metadata file .*snap-.* is missing"):
        erase_device(lake, OTHER, WIRING)
    lake.close()
    second.close()
