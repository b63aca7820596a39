"""Servers that are started and killed: their ports, and which process is one."""

import socket
import subprocess
import sys
import threading
from pathlib import Path

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
