"""Commands of launchers and daemons that close standard input, output or error."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.filled_lakes import fill

CLOSINGS = ["2>&-", ">&-", "<&- >&- 2>&-"]
DRIVE = "deviceId,timestamp,latitude,longitude\ncar,2026-01-01T10:00:00Z,51.5,-0.1\n"


def shell(closing: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs fleetlake as a shell does that was told to close some of its streams."""
    command = ["sh", "-c", f'exec "$@" {closing}', "sh", sys.executable, "-m", "fleetlake.cli.main", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("closing", CLOSINGS)
@pytest.mark.parametrize(
    "arguments",
    [
        ["simulate", "--to", "ndjson", "--vehicles", "1", "--tick", "60"],
        ["replay", "drive.csv", "--to", "ndjson"],
        ["--home", "home", "query", "SELECT 1 AS one"],
        ["--home", "home", "transform"],
    ],
)
def test_a_command_ends_well_without_its_streams(tmp_path: Path, arguments: list[str], closing: str) -> None:
    (tmp_path / "drive.csv").write_text(DRIVE)
    if "home" in arguments:
        fill(tmp_path / "home")
    done = shell(closing, *arguments, cwd=tmp_path)
    assert (done.returncode, "unexpected" in done.stderr) == (0, False), done.stderr
    assert not list((tmp_path / ".fleetlake").glob("logs/crash-*"))


@pytest.mark.parametrize("closing", CLOSINGS)
def test_no_file_of_ours_gets_the_number_of_a_closed_stream(tmp_path: Path, closing: str) -> None:
    """What is printed goes to nowhere, never into the file that was opened last; and a child has the streams too."""
    program = (
        "import os, subprocess, sys\nfrom fleetlake.cli import command_line\nfrom fleetlake.cli.main import main\n"
        "def run():\n"
        " file = os.open('lake', os.O_CREAT | os.O_WRONLY)\n"
        " print('printed', flush=True); print('an error', file=sys.stderr, flush=True); sys.stdin.read()\n"
        " subprocess.run(['sh', '-c', 'echo of a child; echo of a child >&2'], check=True)\n"
        " os.write(file, f'{file > 2} {None in (sys.stdin, sys.stdout, sys.stderr, sys.__stdout__)}'.encode())\n"
        "command_line.run = run\nmain()\n"
    )
    command = ["sh", "-c", f'exec "$@" {closing}', "sh", sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "lake").read_text() == "True False"
    assert done.stdout == ("" if closing.replace("2>&-", "").count(">&-") else "printed\nof a child\n")
    assert done.stderr == ("" if "2>&-" in closing else "an error\nof a child\n")


def test_an_open_stream_is_left_alone(tmp_path: Path) -> None:
    program = (
        "import sys\nbefore = [sys.stdin, sys.stdout, sys.stderr]\nfrom fleetlake.cli.main import open_standard_streams\n"
        "open_standard_streams()\nprint([sys.stdin, sys.stdout, sys.stderr] == before)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout == "True\n"
