"""The audit says what the service knows, and that it was not asked where it gave no answer."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from checks import advisories

Answer = Callable[[list[dict[str, Any]]], object]


class Service(HTTPServer):
    """Answers like OSV's querybatch. asked: the queries of each request."""

    answer: Answer = staticmethod(lambda queries: {"results": [{} for _ in queries]})

    def __init__(self) -> None:
        self.asked: list[list[dict[str, Any]]] = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/querybatch"


class Handler(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        queries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
        self.server.asked.append(queries)
        body = json.dumps(self.server.answer(queries)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[Service]:
    server = Service()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project that locks one package, for two purposes, and one jar."""
    (tmp_path / "requirements").mkdir()
    for name in ("run", "dev"):
        (tmp_path / "requirements" / f"{name}.lock").write_text("a==1 \\\n    --hash=sha256:" + "0" * 64 + "\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "x.lock").write_text("org.x:y:1.0 " + "0" * 64 + "\n")
    return tmp_path


def test_what_is_vulnerable_is_named_with_its_locks(service: Service, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    service.answer = lambda queries: {"results": [{"vulns": [{"id": f"BAD-{query['version']}"}]} for query in queries]}
    assert advisories.audit(root, service.address, {"BAD-1.0": "only on Windows"}, require=False) == 1
    assert capsys.readouterr().out.splitlines() == [
        "a 1: BAD-1 (in requirements/dev.lock, requirements/run.lock)",
        "advisories: 2 packages asked about, 1 advisories, 1 accepted",
    ]
    assert service.asked == [
        [
            {"package": {"ecosystem": "PyPI", "name": "a"}, "version": "1"},
            {"package": {"ecosystem": "Maven", "name": "org.x:y"}, "version": "1.0"},
        ]
    ]


def test_nothing_known_against_any(service: Service, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert advisories.audit(root, service.address, {}, require=True) == 0
    assert capsys.readouterr().out == "advisories: 2 packages asked about, 0 advisories, 0 accepted\n"


@pytest.mark.parametrize("answer", [{"results": []}, {"results": [{}, None]}, {}, [], {"results": [{}, {"vulns": 1}]}])
def test_half_an_answer_is_none(service: Service, root: Path, capsys: pytest.CaptureFixture[str], answer: object) -> None:
    service.answer = lambda queries: answer
    assert advisories.audit(root, service.address, {}, require=False) == 0
    assert "NOT AUDITED" in capsys.readouterr().out


def test_without_an_answer_it_says_so(service: Service, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    address = service.address
    service.socket.close()
    assert advisories.audit(root, address, {}, require=False) == 0
    assert advisories.audit(root, address, {}, require=True) == 2
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all("NOT AUDITED" in line and "nothing is known about 2 packages" in line for line in lines)


def test_more_packages_than_fit_in_one_request(service: Service, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advisories, "AT_ONCE", 1)
    assert advisories.audit(root, service.address, {}, require=True) == 0
    assert [len(queries) for queries in service.asked] == [1, 1]


def test_an_accepted_advisory_needs_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "accepted.txt"
    path.write_text("# none\nBAD-1 only on Windows\n")
    assert advisories.read_accepted(path) == {"BAD-1": "only on Windows"}
    path.write_text("BAD-1\n")
    with pytest.raises(ValueError, match="why it is accepted"):
        advisories.read_accepted(path)
