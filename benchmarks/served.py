"""How much a broker has sent, by the kernel's count: one measure of "the first record was read" for every system. Linux only."""

from __future__ import annotations

import socket
import struct

SOCK_DIAG, DUMP, BY_FAMILY, INFO = 4, 0x301, 20, 2
HEADER, MESSAGE, ATTRIBUTE = struct.Struct("=IHHII"), 72, struct.Struct("=HH")
BYTES_ACKED = 120  # offset in tcp_info (linux/tcp.h)
ESTABLISHED = 1 << 1


class Served:
    """Bytes that connections to `port` have been sent since the first look, those that were closed meanwhile included."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._seen: dict[bytes, int] = {}
        self._total = 0

    def total(self) -> int:
        now = {who: sent for family in (socket.AF_INET, socket.AF_INET6) for who, sent in _sent(family, self._port)}
        self._total += sum(max(0, sent - self._seen.get(who, 0)) for who, sent in now.items())
        self._seen = now
        return self._total


def _sent(family: int, port: int) -> list[tuple[bytes, int]]:
    """Each established connection of the local port with its peer's address, and the bytes the peer has acknowledged."""
    found: list[tuple[bytes, int]] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, SOCK_DIAG) as asked:
        request = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 1 << (INFO - 1), 0, ESTABLISHED) + bytes(48)
        asked.send(HEADER.pack(HEADER.size + len(request), BY_FAMILY, DUMP, 1, 0) + request)
        while True:
            answer = asked.recv(1 << 20)
            while answer:
                length, kind, *_ = HEADER.unpack_from(answer)
                if kind != BY_FAMILY:
                    return found
                body, answer = answer[HEADER.size : length], answer[(length + 3) & ~3 :]
                if int.from_bytes(body[4:6], "big") == port:
                    found.append((body[4:52], _acknowledged(body[MESSAGE:])))


def _acknowledged(attributes: bytes) -> int:
    while len(attributes) >= ATTRIBUTE.size:
        length, kind = ATTRIBUTE.unpack_from(attributes)
        if kind == INFO:
            return int(struct.unpack_from("=Q", attributes, ATTRIBUTE.size + BYTES_ACKED)[0])
        attributes = attributes[(length + 3) & ~3 :]
    return 0
