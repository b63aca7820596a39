"""The demo on two vehicles, twice: the counts add up whatever waits in Kafka before, and the second run adds a day."""

import fcntl
import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.conftest import free_ports


def wait_for(lock: Path, running: subprocess.Popen[str]) -> None:
    """Waits until a running demo holds the lock."""
    while running.poll() is None:
        with suppress(FileNotFoundError), lock.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
        time.sleep(0.01)
    raise AssertionError(running.communicate())


def test_the_demo_twice(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fleetlake.cli.main", "--home", str(tmp_path / "home"), "--set", f"kafka.port={free_ports()}"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FLEETLAKE")}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [*command, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200, check=False
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    try:
        run("up")
        run("simulate", "--vehicles", "1", "--tick", "30", "--faults", "duplicates=0.05,poison=0.05")
        running = subprocess.Popen(
            [*command, "demo", "--vehicles", "2"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
        )
        wait_for(tmp_path / "home" / "demo.lock", running)
        other = subprocess.run(
            [*command, "demo"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200, check=False
        )
        assert other.returncode == 2
        assert other.stderr.startswith("error: another demo is running in this home")
        try:
            first, _ = running.communicate(timeout=200)
        finally:
            running.kill()
        assert running.returncode == 0, first
        second = run("demo", "--vehicles", "2")
        for out in (first, second):
            assert out.count("adds up") == 5
            assert "Every record of Kafka is in bronze once" in out
            assert "Time travel" in out
        assert len(set(re.findall(r"Trips of this run|^veh-0000\d +(\d{4}-\d\d-\d\d)", first + second, re.MULTILINE)) - {""}) == 2
        days = run("query", "--csv", "SELECT count(DISTINCT start_time::DATE) AS days, count(*) AS trips FROM gold.trips")
        assert days.splitlines() == ["days,trips", "3,5"]
        page = (tmp_path / "home" / "drives.html").read_text()
        assert "veh-00001" in page
        assert not re.search(r"(src|href)=|https?://(?!www\.w3\.org)", page)
        run("verify")
    finally:
        run("down")
