"""Commands on a full disk say so: which, how much is free, what to do. It is a small tmpfs, which only root can mount."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.conftest import free_ports

Run = Callable[..., subprocess.CompletedProcess[str]]
MEGABYTES = 48


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    made = tmp_path / "disk"
    made.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "none", str(made)], check=True)
    try:
        yield made
    finally:
        subprocess.run(["umount", "-l", str(made)], check=True)


@pytest.fixture
def run(disk: Path, tmp_path: Path) -> Iterator[Run]:
    """Runs commands whose home is on the disk; ends their broker."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FLEETLAKE")}
    words = [sys.executable, "-m", "fleetlake.cli.main", "--home", str(disk / "home"), "--set", f"kafka.port={free_ports()}"]

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*words, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
        )

    yield command
    (disk / "filling").unlink(missing_ok=True)
    command("down")


def fill(disk: Path) -> None:
    with suppress(OSError), (disk / "filling").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(65_536))


def require_said(done: subprocess.CompletedProcess[str], disk: Path) -> None:
    said = done.stderr + done.stdout
    assert done.returncode in (1, 2)
    assert "the disk is full: 0." in said, said
    assert f" of {MEGABYTES * 1.048576:,.0f} MB free at {disk}" in said
    assert "; make room there" in said
    assert "Traceback" not in said


def test_a_home_without_room(run: Run, disk: Path) -> None:
    fill(disk)
    for arguments in (["up"], ["ingest", "--once"], ["simulate", "--vehicles", "1", "--to", "ndjson"], ["status"]):
        require_said(run(*arguments), disk)


def test_a_broker_without_room(run: Run, disk: Path) -> None:
    assert run("up").returncode == 0
    fill(disk)
    require_said(run("simulate", "--vehicles", "20"), disk)
    require_said(run("status"), disk)
