"""Ports of servers that are started and killed."""

import socket
import threading

import pytest

from fleetlake.foundation.errors import Missing
from fleetlake.runtime.daemon import HOST, require_free


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
