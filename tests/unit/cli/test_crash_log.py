"""The details of a failure go into a new file of the user's own, whatever others put where it might be."""

import os
import re
import stat
import tempfile
from pathlib import Path

import pytest

from fleetlake.cli.crash_log import write_crash_log

STRANGER = 54_321
DETAILS = "Traceback \udcff"


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (made := tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    return made


def log_of(said: str) -> Path:
    file = Path(said.removeprefix("the details are in "))
    assert file.read_text() == "Traceback \\udcff"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert re.fullmatch(rf"crash-\d{{8}}-\d{{6}}-{os.getpid()}-.{{8}}\.log", file.name)
    return file


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_a_log_is_private_below_the_home_or_in_the_temporary_folder(tmp_path: Path, temporary: Path, umask: int) -> None:
    (tmp_path / "file").touch()
    before = os.umask(umask)
    try:
        files = [log_of(write_crash_log(tmp_path / home, DETAILS)) for home in ("home", "home", "file")]
    finally:
        os.umask(before)
    assert [file.parent for file in files] == [tmp_path / "home" / "logs", tmp_path / "home" / "logs", temporary]
    assert len(set(files)) == 3


def test_a_file_that_was_put_where_the_log_will_be_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept")
    taken, free = "a" * 8, "b" * 8
    monkeypatch.setattr(tempfile, "_get_candidate_names", lambda: iter([taken, free]))
    monkeypatch.setattr("time.strftime", lambda form: "20261130-120000")
    logs = tmp_path / "home" / "logs"
    logs.mkdir(parents=True)
    for middle in ("", f"-{taken}"):
        (logs / f"crash-20261130-120000-{os.getpid()}{middle}.log").symlink_to(precious)
    assert log_of(write_crash_log(tmp_path / "home", DETAILS)).name.endswith(f"-{free}.log")
    assert precious.read_text() == "kept"


@pytest.mark.parametrize("is_there", [True, False])
def test_a_folder_of_logs_that_is_a_link_is_not_followed(tmp_path: Path, temporary: Path, is_there: bool) -> None:
    target = tmp_path / "target"
    if is_there:
        target.mkdir()
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "logs").symlink_to(target)
    assert log_of(write_crash_log(tmp_path / "home", DETAILS)).parent == temporary
    assert not is_there or list(target.iterdir()) == []
    assert target.exists() == is_there


@pytest.mark.parametrize("link", [True, False])
def test_no_log_goes_to_a_home_of_another_user(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch, link: bool
) -> None:
    (tmp_path / "real" / "logs").mkdir(parents=True)
    home = tmp_path / "home"
    home.symlink_to("real") if link else (tmp_path / "real").rename(home)
    assert log_of(write_crash_log(home, DETAILS)).parent == home / "logs"
    monkeypatch.setattr(os, "geteuid", lambda: STRANGER)
    assert log_of(write_crash_log(home, DETAILS)).parent == temporary
