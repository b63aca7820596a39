"""A spill is its user's alone, below the home, and does not outlive its process for longer than to the next command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from fleetlake.runtime.spill import ROOT, clean_spills, live_spills, spill_folder, spill_root, temporary_root

OWNER = """
import sys, pathlib
from fleetlake.runtime.spill import ROOT, spill_folder
ROOT.set(pathlib.Path(sys.argv[1]))
with spill_folder("transform") as folder:
    (folder / "rows.tmp").write_text("veh-0001")
    print(folder, flush=True)
    sys.stdin.read()
"""


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
