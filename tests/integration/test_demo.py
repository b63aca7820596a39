"""The demo on two vehicles, twice: the counts add up whatever waits in Kafka before, and the second run adds a day."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import free_ports


def test_the_demo_twice(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fleetlake.app.main", "--home", str(tmp_path / "home"), "--set", f"kafka.port={free_ports()}"]
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
        first = run("demo", "--vehicles", "2")
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
