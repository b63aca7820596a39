"""Folders and files for their owner only, whatever the umask."""

import os
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetlake.config.settings import Settings
from fleetlake.config.wiring import open_lake_from
from fleetlake.contracts.events import VEHICLE
from fleetlake.contracts.tables import bronze_of
from fleetlake.foundation.private import is_open_to_others, make_private_file, make_private_folder
from fleetlake.runtime.daemon import Daemon


@pytest.fixture(params=[0o022, 0o000, 0o277])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_made_is_its_owners_and_what_is_there_stays(tmp_path: Path, umask: int) -> None:
    (there := tmp_path / "there").mkdir()
    there.chmod(0o750)
    make_private_folder(there / "a" / "b")
    make_private_file(there / "a" / "b" / "c")
    assert [mode(there), mode(there / "a"), mode(there / "a" / "b"), mode(there / "a" / "b" / "c")] == [0o750, 0o700, 0o700, 0o600]
    (there / "a" / "b" / "c").write_text("kept")
    (there / "a").chmod(0o755)
    make_private_folder(there / "a" / "b")
    make_private_file(there / "a" / "b" / "c")
    assert (mode(there / "a"), (there / "a" / "b" / "c").read_text()) == (0o755, "kept")


def test_many_at_once_make_a_folder(tmp_path: Path) -> None:
    threads = [threading.Thread(target=make_private_folder, args=(tmp_path / "a" / "b" / "c",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert mode(tmp_path / "a" / "b" / "c") == 0o700


def test_a_file_in_the_way_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        make_private_folder(tmp_path / "file")
    with pytest.raises(NotADirectoryError):
        make_private_folder(tmp_path / "file" / "below")


def test_a_lake_and_its_processes_are_their_owners(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        lake = open_lake_from(Settings(home=tmp_path / "home"))
        lake.ensure([bronze_of(VEHICLE)])
        lake.close()
        Daemon(tmp_path / "home" / "kafka", "none", mark="none").start(["true"]).wait()
    finally:
        os.umask(before)
    home = tmp_path / "home"
    assert {path.name: mode(path) for path in (home, *home.iterdir()) if path.suffix != ".db-journal"} == {
        "home": 0o700, "catalog.db": 0o600, "warehouse": 0o700, "kafka": 0o700,
    }  # fmt: skip


def test_who_can_read_a_place_depends_on_the_folders_above_it() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # which everybody may pass through
        (place := Path(name, "a", "b")).mkdir(parents=True)
        for folder, bits in ((place, 0o755), (place.parent, 0o711), (Path(name), 0o711)):
            folder.chmod(bits)
        assert is_open_to_others(place)
        assert not is_open_to_others(place.parent)  # names in it can't be listed
        Path(name).chmod(0o700)
        assert not is_open_to_others(place)
        assert not is_open_to_others(place / "absent")
