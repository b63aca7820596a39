"""Errors that no module made its own: whether the machine, the user or we have something to mend."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from tests.filled_lakes import fill

from fleetlake.cli.causes import is_out_of_memory, unusable_place
from fleetlake.foundation.errors import BadInput
from fleetlake.lake.places import require_writable


def of_arrow(number: int, place: Path) -> OSError:
    return OSError(number, f"Failed to open local file '{place}'. Detail: [errno {number}] {os.strerror(number)}")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        pa.ArrowMemoryError("malloc of size 1 failed"),
        RuntimeError("can't start new thread"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        ImportError("/x/_duckdb.so: failed to map segment from shared object"),
        ImportError("/x/_duckdb.so: cannot allocate memory in static TLS block"),
        RuntimeError("std::bad_alloc"),
    ],
)
def test_too_little_memory_whoever_says_it(error: Exception) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", [RuntimeError("boom"), ImportError("no module x"), OSError(errno.ENOENT, "No such file")])
def test_another_error_is_no_want_of_memory(error: Exception) -> None:
    assert not is_out_of_memory(error)


def test_a_thread_that_can_not_be_started_is_one_sentence(tmp_path: Path) -> None:
    program = (
        "import fleetlake.config.wiring as w\n"
        'def boom(): raise RuntimeError("can\'t start new thread")\n'
        "w.load_all = boom\nfrom fleetlake.cli.main import main\nmain()\n"
    )
    command = [sys.executable, "-c", program, "config", "show"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("error: the memory of this machine is not enough for the command (can't start new thread)")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM])
def test_a_file_that_arrow_can_not_open_is_named(tmp_path: Path, number: int) -> None:
    """Its errors have no filename."""
    file = tmp_path / "warehouse" / "bronze" / "data" / "x.parquet"
    assert unusable_place(of_arrow(number, file), tmp_path) == (
        f"the home folder can't be used: {os.strerror(number)}; at {file}; try: another one, fleetlake --home DIR"
    )
    assert unusable_place(of_arrow(number, Path("/elsewhere/x.parquet")), tmp_path) == (
        f"a file can't be used: {os.strerror(number)}; at /elsewhere/x.parquet; try: another place, or the right to use this one"
    )


@pytest.mark.parametrize("error", [of_arrow(errno.ENOENT, Path("/x")), of_arrow(errno.EIO, Path("/x")), ValueError("'/x'")])
def test_other_failures_are_still_ours(tmp_path: Path, error: Exception) -> None:
    assert unusable_place(error, tmp_path) == ""


def test_a_place_that_can_not_be_written_is_refused_with_the_folder_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_writable(tmp_path / "home" / "warehouse")
    monkeypatch.setattr(os, "access", lambda place, mode: mode == os.F_OK and Path(place).exists())
    with pytest.raises(BadInput, match=f"the lake can't be written: Permission denied; at {tmp_path}; try: make it writable"):
        require_writable(tmp_path / "home" / "warehouse")


MOUNT = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'


def can_mount(folder: Path) -> bool:
    command = ["unshare", "-m", "sh", "-c", MOUNT, str(folder), "true"]
    return bool(shutil.which("unshare")) and subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("command", [["erase", "--device", "veh-1"], ["maintain", "compact"], ["transform"]])
def test_a_home_that_is_mounted_read_only_is_said_before_anything_begins(tmp_path: Path, command: list[str]) -> None:
    home = tmp_path / "home"
    fill(home)
    if not can_mount(home):
        pytest.skip("this user can't mount")
    fleetlake = [sys.executable, "-m", "fleetlake.cli.main", "--home", str(home), *command]
    arguments = ["unshare", "-m", "sh", "-c", MOUNT, str(home), *fleetlake]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"error: the lake can't be written: Read-only file system; at {home}/catalog.db")
