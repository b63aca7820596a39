"""Servers that are started and killed: their ports, and which process is one."""

import socket
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from fleetlake.foundation.errors import Missing
from fleetlake.runtime.daemon import HOST, Daemon, require_free


def listening() -> tuple[socket.socket, int]:
    server = socket.create_server((HOST, 0))
    return server, server.getsockname()[1]


def test_a_port_that_is_taken_is_named_with_another_to_take() -> None:
    server, port = listening()
    with server, pytest.raises(Missing, match=f"port {port} is in use") as caught:
        require_free(port, command="up {port}")
    assert f"up {port + 1000}" in str(caught.value)


def test_a_port_that_is_let_go_of_a_moment_later_is_free() -> None:
    server, port = listening()
    letting_go = threading.Timer(0.2, server.close)
    letting_go.start()
    require_free(port, command="up {port}")
    letting_go.join()


def test_a_process_whose_command_line_ends_alike_is_another(tmp_path: Path) -> None:
    """As that of the home /data/lake, beside /lake."""
    ours = Daemon(tmp_path, "sleeper", mark="/lake/kafka/server.properties")
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()", "/data/lake/kafka/server.properties"], stdin=subprocess.PIPE
    ) as other:
        ours.pid_file.write_text(str(other.pid))
        assert ours.pid() is None


SLEEPER = [sys.executable, "-c", "import sys, time; time.sleep(60)"]


def test_what_was_started_in_vain_is_stopped_and_another_that_runs_stays_known(tmp_path: Path) -> None:
    server = Daemon(tmp_path, "sleeper", mark="ours")
    winner = server.start([*SLEEPER, "ours"])
    loser = subprocess.Popen([*SLEEPER, "ours"])
    try:
        server.stop_started(loser)
        assert loser.poll() is not None
        assert (winner.poll(), server.pid()) == (None, winner.pid)
        server.stop_started(winner)
        assert (winner.poll() is None, server.pid(), server.pid_file.exists()) == (False, None, False)
    finally:
        for process in (winner, loser):
            process.kill()
            process.wait()


def test_a_server_that_was_started_while_another_was_stopped_stays_known(tmp_path: Path) -> None:
    server = Daemon(tmp_path, "sleeper", mark="ours")
    ending, following = server.start([*SLEEPER, "ours"]), server.start([*SLEEPER, "ours"])
    try:
        reaping = threading.Thread(target=ending.wait)
        reaping.start()
        assert server.stop(ending.pid)
        reaping.join()
        assert server.pid() == following.pid
    finally:
        for process in (ending, following):
            process.kill()
            process.wait()


def test_a_server_whose_pid_can_not_be_written_does_not_run_on(tmp_path: Path) -> None:
    server = Daemon(tmp_path, "sleeper", mark=str(tmp_path))
    server.pid_file.with_suffix(".pid.part").mkdir()
    server.pid_file.mkdir()
    with pytest.raises(OSError, match="directory"):
        server.start([*SLEEPER, str(tmp_path)])
    assert not [one for one in psutil.process_iter(["cmdline"]) if str(tmp_path) in (one.info["cmdline"] or [])]
