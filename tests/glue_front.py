"""A door in front of moto's server: does of Glue what moto leaves out, and lets tests have answers fail on the wire.

As AWS does, and moto does not, it refuses an UpdateTable that names another version of the table than the current one.
"""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FORWARDED = ("content-type", "x-amz-target", "authorization", "x-amz-date", "x-amz-security-token")


@dataclass
class GlueFront:
    """endpoint: of the door. faults: what happens to the next calls of an operation, by its name, first one first:

    `lose` does it and drops the answer; `CODE` or `STATUS CODE` refuses it with that code; an empty word does it.
    calls: the operations asked for, in order.
    """

    endpoint: str
    behind: str
    faults: dict[str, list[str]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def handle(self, body: bytes, headers: dict[str, str]) -> tuple[int, bytes] | None:
        """Status and body of the answer; None: there is none."""
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        with self.lock:  # so that a version is compared and moved in one step
            self.calls.append(operation)
            planned = self.faults.get(operation) or self.faults.get("*") or [""]
            fault = planned.pop(0)
            if fault not in ("", "lose"):
                status, _, code = fault.rpartition(" ")
                return int(status or 400), _error(code, "said on purpose")
            if operation == "UpdateTable" and (refusal := self._outdated(json.loads(body), headers)):
                return 400, refusal
            answer = self._forward(body, headers)
            return None if fault == "lose" else answer

    def _outdated(self, asked: dict[str, Any], headers: dict[str, str]) -> bytes | None:
        if "VersionId" not in asked:
            return None
        look = json.dumps({"DatabaseName": asked["DatabaseName"], "Name": asked["TableInput"]["Name"]}).encode()
        status, found = self._forward(look, {**headers, "x-amz-target": "AWSGlue.GetTable"})
        if status == 200 and json.loads(found)["Table"].get("VersionId") != asked["VersionId"]:
            return _error("ConcurrentModificationException", "Update table failed due to concurrent modifications.")
        return None

    def _forward(self, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        request = urllib.request.Request(self.behind, body, {k: v for k, v in headers.items() if k in FORWARDED})  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()


def _error(code: str, message: str) -> bytes:
    return json.dumps({"__type": code, "message": message}).encode()


@contextmanager
def glue_front(behind: str) -> Iterator[GlueFront]:
    """Opens the door in front of the server at `behind`, on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            answer = front.handle(body, {name.lower(): value for name, value in self.headers.items()})
            if answer is None:
                self.close_connection = True
                return
            status, content = answer
            self.send_response(status)
            self.send_header("content-type", "application/x-amz-json-1.1")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        front = GlueFront(f"http://127.0.0.1:{server.server_port}", behind)
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        try:
            yield front
        finally:
            server.shutdown()
            serving.join()
