"""A warehouse above or below another lake's, and one that holds the home, are refused before anything is written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest

from fleetlake.config.settings import LakeSection, Settings
from fleetlake.config.wiring import adopt_lake, open_lake_from
from fleetlake.contracts.events import VEHICLE
from fleetlake.contracts.tables import bronze_of
from fleetlake.foundation.errors import BadInput
from fleetlake.lake import nesting
from fleetlake.lake.catalog import Lake
from fleetlake.lake.nesting import require_apart
from fleetlake.lake.ownership import OBJECT, Owner, owner_of
from fleetlake.lake.unlisted import Claimed


def settings_of(home: Path, warehouse: Path) -> Settings:
    home.mkdir(parents=True, exist_ok=True)
    return Settings(home=home, lake=LakeSection(properties={"warehouse": str(warehouse)}))


def made(home: Path, warehouse: Path) -> Settings:
    settings = settings_of(home, warehouse)
    with closing(open_lake_from(settings)) as lake:
        lake.ensure([bronze_of(VEHICLE)])
    return settings


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("is_second_above", [True, False])
def test_a_lake_above_or_below_another_is_refused_and_the_first_goes_on(tmp_path: Path, depth: int, is_second_above: bool) -> None:
    above, below = tmp_path / "w", (tmp_path / "w").joinpath(*"abc"[:depth])
    first, second = (below, above) if is_second_above else (above, below)
    settings = made(tmp_path / "one", first)
    side = "below" if is_second_above else "above"
    with pytest.raises(Claimed, match=f"another lake lies {side} this lake's: .*{first}; .*; try: move one"):
        made(tmp_path / "two", second)
    assert not (second / OBJECT).exists()
    with closing(open_lake_from(settings)) as lake:
        assert lake.names() == ["bronze.vehicle"]


def test_names_that_begin_alike_are_no_nesting(tmp_path: Path) -> None:
    made(tmp_path / "one", tmp_path / "team")
    made(tmp_path / "two", tmp_path / "team2")
    made(tmp_path / "three", tmp_path / "team" / ".." / "team3")


def test_the_way_through_a_link_does_not_hide_a_lake_above(tmp_path: Path) -> None:
    made(tmp_path / "one", tmp_path / "w")
    (tmp_path / "link").symlink_to(tmp_path / "w")
    with pytest.raises(Claimed, match="above"):
        made(tmp_path / "two", tmp_path / "link" / "sub")
    (tmp_path / "apart").mkdir()
    (tmp_path / "apart" / "link").symlink_to(tmp_path / "w")
    made(tmp_path / "three", tmp_path / "apart")  # what a link leads to is not below; what deletes does not follow it


@pytest.mark.parametrize("warehouse", ["home", "home/..", "link"])
def test_a_warehouse_that_holds_the_home_is_refused(tmp_path: Path, warehouse: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "home")
    with pytest.raises(BadInput, match="the warehouse holds the home"):
        made(tmp_path / "home", tmp_path / warehouse)


def test_a_lake_in_its_home_is_moved_out_as_the_message_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    with monkeypatch.context() as earlier:
        earlier.setattr(nesting, "_require_not_home", lambda warehouse, home: None)
        made(home, home)
    with pytest.raises(BadInput, match=f"to {home}/warehouse, and set it"):
        open_lake_from(settings_of(home, home))
    (home / "warehouse").mkdir()
    for name in ("bronze", OBJECT):
        shutil.move(home / name, home / "warehouse" / name)
    with closing(open_lake_from(settings_of(home, home / "warehouse"))) as lake:
        assert lake.table("bronze.vehicle").location() == f"file://{home}/warehouse/bronze/vehicle"


def test_a_warehouse_of_before_of_the_same_lake_is_no_other(tmp_path: Path) -> None:
    made(tmp_path / "home", tmp_path / "w")
    made(tmp_path / "home", tmp_path / "w" / "new")
    made(tmp_path / "home", tmp_path / "w" / "new")


def test_a_claim_that_can_not_be_read_is_anothers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one of another user, who lets nobody read it."""
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / OBJECT).write_text("{}")

    def closed(lake: Lake, root: str) -> Owner | None:
        if root.rstrip("/").endswith("/w"):
            raise PermissionError(root)
        return owner_of(lake, root)

    monkeypatch.setattr(nesting, "owner_of", closed)
    with pytest.raises(Claimed):
        made(tmp_path / "home", tmp_path / "w" / "mine")


def test_a_copy_is_not_adopted_within_its_original(tmp_path: Path) -> None:
    made(tmp_path / "home", tmp_path / "w")
    shutil.copytree(tmp_path / "home", tmp_path / "copy")
    shutil.copytree(tmp_path / "w", tmp_path / "w" / "backup")
    with pytest.raises(Claimed, match="above"):
        adopt_lake(settings_of(tmp_path / "copy", tmp_path / "w" / "backup"))
    with closing(open_lake_from(settings_of(tmp_path / "home", tmp_path / "w"))) as lake:
        assert lake.names() == ["bronze.vehicle"]


def test_few_folders_are_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, looked = made(tmp_path / "home", tmp_path / "w"), list[str]()
    for place in (f"x{i}/y{j}/z/deep/deeper" for i in range(60) for j in range(60)):
        (tmp_path / "w" / place).mkdir(parents=True)
    real = os.scandir

    def counted(path: Path) -> Iterable[os.DirEntry[str]]:
        looked.append(str(path))
        return real(path)

    with closing(open_lake_from(settings)) as lake:
        monkeypatch.setattr(os, "scandir", counted)
        require_apart(lake, tmp_path / "home")
    assert len(looked) == nesting.MOST_LOCAL
    assert all(path.count("/") <= str(tmp_path / "w").count("/") + 2 for path in looked)
