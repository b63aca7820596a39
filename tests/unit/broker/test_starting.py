"""Several commands that start and stop one home's broker; Kafka is a program that listens where Kafka would."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from tests.conftest import free_ports

from fleetlake.broker import embedded
from fleetlake.broker.embedded import EmbeddedBroker
from fleetlake.foundation.errors import Missing

KAFKA = """#!{python}
import re, socket, sys, time
from pathlib import Path
properties = Path(sys.argv[-1])
text = properties.read_text()
if "kafka.tools.StorageTool" in sys.argv:
    data = properties.parent / "data"
    data.mkdir(exist_ok=True)
    (data / "meta.properties").touch()
    sys.exit()
time.sleep(0.5)
if (properties.parent / "broken").exists():
    sys.exit("ERROR it is broken")
listeners = text.split("listeners=")[1].split("\\n")[0]
servers = [socket.create_server(("127.0.0.1", int(port))) for port in re.findall(r":(\\d+)", listeners)]
time.sleep(60)
"""


@pytest.fixture
def broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedBroker]:
    java = tmp_path / "java"
    java.write_text(KAFKA.format(python=sys.executable))
    java.chmod(0o700)

    def ensure() -> list[Path]:
        time.sleep(0.5)  # as where the jars are on a cold disk: time for another to look whether a broker runs
        return []

    monkeypatch.setattr(embedded, "java_for_kafka", lambda: str(java))
    monkeypatch.setattr(embedded, "KAFKA", SimpleNamespace(ensure=ensure))
    monkeypatch.setattr(embedded, "cluster_id", lambda settings, timeout_s: "a cluster")
    made = EmbeddedBroker(tmp_path / "home", free_ports())
    yield made
    for process in servers(made):
        process.kill()


def servers(broker: EmbeddedBroker) -> list[psutil.Process]:
    mark = str(broker.folder / "server.properties")
    return [one for one in psutil.process_iter(["cmdline"]) if mark in (one.info["cmdline"] or []) and one.status() != "zombie"]


def at_once(*calls: Callable[[], object]) -> list[object]:
    """What each call returns, or its error, called at the same time."""
    found: list[object] = []

    def run(call: Callable[[], object]) -> None:
        try:
            found.append(call())
        except Exception as error:
            found.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_of_two_that_start_it_one_does_and_the_other_finds_it_running(broker: EmbeddedBroker) -> None:
    assert sorted(map(str, at_once(broker.start, broker.start))) == ["False", "True"]
    (server,) = servers(broker)
    assert broker.pid() == server.pid
    assert broker.stop()
    assert not servers(broker)
    assert not broker.stop()


def test_after_a_start_in_vain_nothing_is_left_and_the_next_one_tries(broker: EmbeddedBroker) -> None:
    broker.folder.mkdir(parents=True)
    (broker.folder / "broken").touch()
    assert [type(found) for found in at_once(broker.start, broker.start)] == [Missing, Missing]
    assert (servers(broker), broker.pid()) == ([], None)
    (broker.folder / "broken").unlink()
    assert broker.start()


def test_a_broker_whose_pid_file_is_lost_is_known_by_its_port(broker: EmbeddedBroker) -> None:
    broker.start()
    pid, file = broker.pid(), broker.folder / "broker.pid"
    file.unlink()
    assert broker.pid() == pid
    assert EmbeddedBroker(broker.home, free_ports()).pid() == pid  # it says itself on which port it listens
    assert EmbeddedBroker(broker.home.parent / "other", broker.port).pid() is None
    assert not broker.start()
    assert file.read_text() == str(pid)
    file.unlink()
    assert broker.stop()
    assert not servers(broker)
