"""A spill is its user's alone, below the home, and does not outlive its process for longer than to the next command."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleetlake.config.settings import Settings
from fleetlake.config.wiring import open_unchecked_lake
from fleetlake.runtime.spill import ROOT, clean_spills, live_spills, spill_folder, spill_root, spill_roots, temporary_root

OWNER = """
import sys, pathlib
from fleetlake.runtime.spill import ROOT, spill_folder
ROOT.set(pathlib.Path(sys.argv[1]))
with spill_folder("transform") as folder:
    (folder / "rows.tmp").write_text("veh-0001")
    print(folder, flush=True)
    sys.stdin.read()
"""


HOMELESS = OWNER.replace("ROOT.set(pathlib.Path(sys.argv[1]))", "")
STRANGER = 54_321
TREE = ("Documents/a", ".ssh/id", "projects/thesis/t.tex", "query-1-abcdefgh/owner")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return spill_root(tmp_path / "home")


def test_a_folder_is_private_and_goes_with_its_context(root: Path) -> None:
    token = ROOT.set(root)
    with spill_folder("compaction") as folder:
        assert folder.parent == root
        assert folder.name.startswith(f"compaction-{os.getpid()}-")
        assert [path.stat().st_mode & 0o777 for path in (root, folder)] == [0o700, 0o700]
        assert [(spill.command, spill.pid) for spill in live_spills(root)] == [("compaction", os.getpid())]
        assert clean_spills(root) == []
        assert folder.exists()
    assert not folder.exists()
    ROOT.reset(token)


def test_what_a_killed_process_left_is_cleaned_and_what_a_live_one_has_is_not(root: Path) -> None:
    command = [sys.executable, "-c", OWNER, str(root)]
    owners = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    folders = [Path(str(owner.stdout and owner.stdout.readline()).strip()) for owner in owners]
    killed, alive = owners
    assert clean_spills(root) == []
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert (folders[0] / "rows.tmp").exists()
    assert clean_spills(root) == [folders[0]]
    assert [spill.pid for spill in live_spills(root)] == [alive.pid]
    assert (folders[1] / "rows.tmp").exists()
    alive.communicate("")
    killed.communicate()
    assert [path.name for path in root.iterdir()] == [".lock"]


def test_without_a_home_or_with_one_that_is_none_the_users_own_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    (tmp_path / "file").touch()
    for wanted in (None, tmp_path / "file" / "spill", tmp_path / "absent" / "spill"):
        token = ROOT.set(wanted)
        with spill_folder("query") as folder:
            assert folder.parent == temporary_root()
            assert folder.parent.stat().st_mode & 0o777 == 0o700
        ROOT.reset(token)
    (temporary_root() / ".lock").unlink()
    temporary_root().rmdir()
    (tmp_path / "elsewhere").mkdir()
    temporary_root().symlink_to(tmp_path / "elsewhere")  # somebody else's trap
    token = ROOT.set(None)
    with spill_folder("query") as folder:
        assert folder.parent != temporary_root()
        assert list((tmp_path / "elsewhere").iterdir()) == []
    ROOT.reset(token)


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """A folder of the user's that others want emptied; one in it looks like a spill."""
    folder = tmp_path / "precious"
    for name in TREE:
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("kept")
    return folder


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary folder that others can write to, and no home."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    folder.chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    token = ROOT.set(None)
    yield folder
    ROOT.reset(token)


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def give_away(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes a folder another user's. Only root can: elsewhere os.stat and os.fstat say so of it."""
    if os.geteuid() == 0:
        os.chown(place, STRANGER, STRANGER, follow_symlinks=False)
        return
    mine = place.lstat().st_ino
    for name in ("stat", "fstat"):
        monkeypatch.setattr(os, name, said_to_be_strange(getattr(os, name), mine))


def said_to_be_strange(look: Callable[..., os.stat_result], inode: int) -> Callable[..., os.stat_result]:
    def looked(*arguments: object, **options: object) -> os.stat_result:
        found = look(*arguments, **options)
        return os.stat_result((*found[:4], STRANGER, *found[5:])) if found.st_ino == inode else found

    return looked


def test_a_root_that_is_a_link_is_not_followed(root: Path, precious: Path, temporary: Path) -> None:
    """The trap of another user in the temporary folder, and that of a home that was copied."""
    temporary_root().symlink_to(precious)
    root.symlink_to(precious)
    for found in (root, temporary_root()):
        assert clean_spills(found) == []
        assert live_spills(found) == []
    token = ROOT.set(root)
    with spill_folder("query") as folder:
        assert folder.parent in spill_roots(root.parent)[2:]
    ROOT.reset(token)
    assert everything(precious) == sorted(TREE)


def test_opening_a_lake_leaves_what_a_link_leads_to(tmp_path: Path, precious: Path, temporary: Path) -> None:
    (tmp_path / "home").mkdir()
    temporary_root().symlink_to(precious)
    (tmp_path / "home" / "spill").symlink_to("../precious")
    open_unchecked_lake(Settings(home=tmp_path / "home")).close()
    assert everything(precious) == sorted(TREE)


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o777, 0o1777])
def test_a_root_that_others_can_write_or_read_is_left_alone(temporary: Path, mode: int) -> None:
    left = temporary_root() / "query-1-abcdefgh"
    left.mkdir(parents=True)
    (left / "owner").touch()
    left.chmod(0o700)
    temporary_root().chmod(mode)
    assert clean_spills(temporary_root()) == []
    with spill_folder("query") as folder:
        assert folder.parent != temporary_root()
    assert everything(temporary_root()) == ["query-1-abcdefgh/owner"]  # and no .lock
    temporary_root().chmod(0o700)
    assert clean_spills(temporary_root()) == [left]


def test_a_root_of_another_user_is_not_touched(temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (temporary_root() / "query-1-abcdefgh").mkdir(parents=True)
    temporary_root().chmod(0o700)
    (temporary_root() / ".lock").symlink_to(tmp_path / "made by the victim")
    give_away(temporary_root(), monkeypatch)
    assert clean_spills(temporary_root()) == []
    assert live_spills(temporary_root()) == []
    with spill_folder("query") as folder:
        assert folder.parent != temporary_root()
    assert not (tmp_path / "made by the victim").exists()
    assert (temporary_root() / "query-1-abcdefgh").exists()


def test_a_lock_that_is_a_link_or_held_ends_the_cleaning_not_the_command(root: Path, tmp_path: Path) -> None:
    left = root / "query-1-abcdefgh"
    left.mkdir(parents=True)
    for folder in (root, left):
        folder.chmod(0o700)
    (root / ".lock").symlink_to(tmp_path / "made by the victim")
    assert clean_spills(root) == []
    assert not (tmp_path / "made by the victim").exists()
    (root / ".lock").unlink()
    with (root / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert clean_spills(root) == []
    assert clean_spills(root) == [left]


def test_only_what_spill_folder_makes_is_removed(root: Path, precious: Path) -> None:
    for name in (
        "mine",
        "query-1",
        "query-x-abcdefgh",
        "query-1-abcdefgh",
        "query-2-abcdefgh",
        "query-3-abcdefgh",
        "query-4-abcdefgh",
    ):
        (root / name).mkdir(parents=True, mode=0o700)
        (root / name / "rows").touch()
    root.chmod(0o700)
    (root / "query-2-abcdefgh" / "owner").touch()
    (root / "query-2-abcdefgh" / "link").symlink_to(precious)
    (root / "query-3-abcdefgh" / "owner").symlink_to(precious / "Documents" / "a")
    (root / "query-4-abcdefgh" / "rows").unlink()
    (root / "query-5-abcdefgh").symlink_to(precious)
    (root / "query-6-abcdefgh").touch()
    assert [folder.name for folder in clean_spills(root)] == ["query-2-abcdefgh", "query-4-abcdefgh"]
    assert everything(precious) == sorted(TREE)
    assert sorted(path.name for path in root.iterdir()) == [
        ".lock", "mine", "query-1", "query-1-abcdefgh", "query-3-abcdefgh", "query-5-abcdefgh", "query-6-abcdefgh",
        "query-x-abcdefgh",
    ]  # fmt: skip


def test_a_cleaning_that_is_killed_is_gone_on_with(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = root / "query-1-abcdefgh"
    left.mkdir(parents=True)
    for folder in (root, left):
        folder.chmod(0o700)
    for name in ("owner", "a", "z"):
        (left / name).touch()
    unlink = os.unlink

    def killed(name: str, **options: int) -> None:
        if name == "z":
            raise KeyboardInterrupt
        unlink(name, **options)

    monkeypatch.setattr(os, "unlink", killed)
    with pytest.raises(KeyboardInterrupt):
        clean_spills(root)
    assert (left / "owner").exists()
    monkeypatch.undo()
    assert clean_spills(root) == [left]


def test_a_home_that_is_a_link_is_the_users_own(tmp_path: Path, root: Path) -> None:
    (tmp_path / "link").symlink_to(root.parent)
    token = ROOT.set(spill_root(tmp_path / "link"))
    with spill_folder("query") as folder:
        assert folder.parent == root
        assert [spill.folder for spill in live_spills(spill_root(tmp_path / "link"))] == [folder]
    ROOT.reset(token)


def test_what_was_killed_where_another_user_took_the_name_is_found(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary_root().symlink_to(temporary)
    environment = os.environ | {"TMPDIR": str(temporary)}
    owner = subprocess.Popen(
        [sys.executable, "-c", HOMELESS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    folder = Path(str(owner.stdout and owner.stdout.readline()).strip())
    roots = spill_roots(temporary / "home")
    assert folder.parent in roots
    assert [spill.folder for root in roots for spill in live_spills(root)] == [folder]
    owner.kill()
    owner.communicate()
    assert [cleaned for root in roots for cleaned in clean_spills(root)] == [folder]
    with spill_folder("query") as next_one:
        assert next_one.parent == folder.parent
    stranger = temporary / f"{temporary_root().name}-abcdefgh"
    stranger.mkdir()
    stranger.chmod(0o755)
    assert stranger not in spill_roots(temporary / "home")
