"""The proxy does what it is told, and only that."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random

import pytest

from tests.faults.s3_proxy import S3Proxy, Upset

BODY = b"what was asked for" * 100


class _Handler(BaseHTTPRequestHandler):
    """Keeps what was put, and answers with the same."""

    protocol_version = "HTTP/1.1"
    put: list[bytes]

    def do_PUT(self) -> None:
        self.put.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def put() -> list[bytes]:
    return []


@pytest.fixture
def proxy(put: list[bytes]) -> Iterator[S3Proxy]:
    handler = type("Handler", (_Handler,), {"put": put})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with S3Proxy(server.server_port, Random(1)) as made:
            yield made
        server.shutdown()
        thread.join()


def ask(proxy: S3Proxy, *, patience_s: float = 30.0) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(proxy.endpoint.removeprefix("http://"), timeout=patience_s)
    try:
        connection.request("PUT", "/fleet/file", b"a file")
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("upset", [None, Upset.SLOW])
def test_what_passes_is_not_changed(proxy: S3Proxy, put: list[bytes], upset: Upset | None) -> None:
    proxy.set_weather({upset: 1.0} if upset else {})
    assert ask(proxy) == (200, BODY)
    assert put == [b"a file"]


@pytest.mark.parametrize(
    ("upset", "status", "done"), [(Upset.ERROR, 500, 0), (Upset.SLOW_DOWN, 503, 0), (Upset.ERROR_THOUGH_DONE, 500, 1)]
)
def test_an_error_is_told_instead(proxy: S3Proxy, put: list[bytes], upset: Upset, status: int, done: int) -> None:
    proxy.set_weather({upset: 1.0})
    told, body = ask(proxy)
    assert (told, len(put)) == (status, done)
    assert b"<Code>" in body


@pytest.mark.parametrize(("upset", "done"), [(Upset.RESET, 0), (Upset.HANG, 0), (Upset.RESET_AFTER, 1), (Upset.CUT, 1)])
def test_no_whole_answer_comes(proxy: S3Proxy, put: list[bytes], upset: Upset, done: int) -> None:
    proxy.set_weather({upset: 1.0})
    with pytest.raises((OSError, http.client.HTTPException)):
        ask(proxy, patience_s=0.5 if upset is Upset.HANG else 30.0)
    assert len(put) == done
    proxy.set_weather({})
    assert ask(proxy)[0] == 200


def test_shares_are_drawn(proxy: S3Proxy) -> None:
    proxy.set_weather({Upset.ERROR: 0.3, Upset.SLOW_DOWN: 0.2})
    told = [ask(proxy)[0] for _ in range(100)]
    assert 15 < told.count(500) < 45
    assert 8 < told.count(503) < 32
