"""Stands before an S3 server and does to its clients what a bad day at S3 does: errors, silence, slowness, lost answers."""

from __future__ import annotations

import socket
import struct
import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import BinaryIO

SLOW_S = 0.3
HANG_S = 10.0  # Arrow's client gives up after 3
CHUNK = b"chunked"
NO_BODY = (204, 304)
ABORT = struct.pack("ii", 1, 0)  # SO_LINGER of no seconds: closing sends a reset


class Upset(StrEnum):
    """What becomes of a request."""

    ERROR = "500 InternalError"
    ERROR_THOUGH_DONE = "500, though it was done"
    SLOW_DOWN = "503 SlowDown"
    RESET = "connection reset"
    RESET_AFTER = "done, then reset"  # the request went through, its answer did not
    CUT = "reset within the answer"
    HANG = "no answer"
    SLOW = "slow"


Weather = Mapping[Upset, float]  # the share of requests that meet it; the rest pass
CODES = {Upset.ERROR: (500, "InternalError"), Upset.ERROR_THOUGH_DONE: (500, "InternalError"), Upset.SLOW_DOWN: (503, "SlowDown")}
PAUSES = {Upset.HANG: HANG_S, Upset.SLOW: SLOW_S}
UNDONE = (Upset.ERROR, Upset.SLOW_DOWN, Upset.RESET, Upset.HANG)  # the server never hears of it


@dataclass(frozen=True, slots=True)
class _Message:
    """A request or an answer. first: the words of its first line. head: as sent, up to the empty line; body: the rest."""

    first: list[bytes]
    headers: Mapping[bytes, bytes]
    head: bytes
    body: bytes

    @property
    def is_last(self) -> bool:
        return self.headers.get(b"connection", b"").lower() == b"close"


class S3Proxy:
    """A server on the loopback interface; the context ends with its threads.

    port: of the S3 server behind. Clients sign for the address they see, and it is passed on as it came, so signatures hold.
    """

    def __init__(self, port: int, random: Random) -> None:
        self._port, self._random = port, random
        self._weather: Weather = {}
        self._lock, self._done = threading.Lock(), threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.met: Counter[Upset | None] = Counter()  # requests by what became of them; None: passed

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def set_weather(self, weather: Weather) -> None:
        """From the next request on."""
        with self._lock:
            self._weather = weather

    def __enter__(self) -> S3Proxy:
        self._run(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        with self._lock:
            for one in list(self._open):  # which their threads leave meanwhile
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
            threads = list(self._threads)
        for thread in threads:
            thread.join()

    def _run(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, name="s3 proxy")  # type: ignore[arg-type]
        with self._lock:
            self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._done.is_set():
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            self._run(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        """One connection's requests, in turn, over one connection to the server."""
        with ExitStack() as stack, suppress(OSError, EOFError):
            self._enter(stack, client)
            server = stack.enter_context(socket.create_connection(("127.0.0.1", self._port)))
            self._enter(stack, server)
            asking, answering = stack.enter_context(client.makefile("rb")), stack.enter_context(server.makefile("rb"))
            while (request := _read(asking, client)) and self._answer(request, client, server, answering):
                pass

    def _answer(self, request: _Message, client: socket.socket, server: socket.socket, answering: BinaryIO) -> bool:
        """Whether the connection can be used again."""
        upset, bodiless = self._draw(), request.first[0] == b"HEAD"
        if upset in PAUSES:
            self._done.wait(PAUSES[upset])
        answer: _Message | None = None
        if upset not in UNDONE:
            server.sendall(request.head + request.body)
            answer = _read(answering, bodiless=bodiless)
        if upset in CODES:
            client.sendall(_error(*CODES[upset], bodiless=bodiless))
            return True
        if answer is None or upset is Upset.RESET_AFTER:
            return _reset(client)
        whole = answer.head + answer.body
        client.sendall(whole[: len(whole) // 2])
        if upset is Upset.CUT:
            return _reset(client)
        if upset is Upset.SLOW:
            self._done.wait(SLOW_S)
        client.sendall(whole[len(whole) // 2 :])
        return not (request.is_last or answer.is_last)

    def _enter(self, stack: ExitStack, one: socket.socket) -> None:
        stack.enter_context(one)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._open.add(one)
        stack.callback(self._open.discard, one)
        if self._done.is_set():
            raise EOFError

    def _draw(self) -> Upset | None:
        with self._lock:
            at, drawn = self._random.random(), None
            for upset, share in self._weather.items():
                if 0 <= at < share:
                    drawn = upset
                at -= share
            self.met[drawn] += 1
            return drawn


def _read(stream: BinaryIO, invited: socket.socket | None = None, *, bodiless: bool = False) -> _Message | None:
    """The next message, without interim answers; None at the end of the stream.

    invited: who is told to go on with its body if it waits to be told. bodiless: an answer to HEAD, whatever its length says.
    """
    head, first, headers = b"", list[bytes](), dict[bytes, bytes]()
    while (line := stream.readline()) not in (b"\r\n", b""):
        head += line
        if not first:
            first = line.split()
            continue
        name, _, value = line.partition(b":")
        headers[name.strip().lower()] = value.strip()
    if not line:
        return None
    head += line
    status = int(first[1]) if first[0].startswith(b"HTTP/") else 0
    if status == 100:
        return _read(stream, bodiless=bodiless)
    if headers.get(b"expect", b"").lower() == b"100-continue" and invited:
        invited.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    if bodiless or status in NO_BODY:
        return _Message(first, headers, head, b"")
    if headers.get(b"transfer-encoding", b"").lower() == CHUNK:
        return _Message(first, headers, head, _chunks(stream))
    return _Message(first, headers, head, _exactly(stream, int(headers.get(b"content-length", 0))))


def _chunks(stream: BinaryIO) -> bytes:
    body = b""
    while True:
        line = stream.readline()
        size = int(line.split(b";")[0], 16)
        body += line
        if not size:
            break
        body += _exactly(stream, size + 2)
    while (line := stream.readline()) != b"\r\n":  # trailers
        body += line
    return body + line


def _exactly(stream: BinaryIO, size: int) -> bytes:
    body = stream.read(size)
    if len(body) < size:
        raise EOFError
    return body


def _reset(client: socket.socket) -> bool:
    """Not closed but broken off: what of the answer was not read yet is lost."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
    return False


def _error(status: int, code: str, *, bodiless: bool) -> bytes:
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>Please try again.</Message></Error>'.encode()
    head = f"HTTP/1.1 {status} {code}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + (b"" if bodiless else body)
