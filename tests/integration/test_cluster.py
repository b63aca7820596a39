"""A Spark cluster of local processes, for real: started, worked on, hurt, brought back, stopped."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.conftest import free_ports

from fleetlake import __version__
from fleetlake.runtime.spark_cluster import SparkCluster, ask_master

TASKS, TIMEOUT_S = 6, 60.0
# Two jobs; each task says that it began and waits for the file that lets its job go on.
DRIVER = f"""
import json, sys
from pathlib import Path
from fleetlake.lake.catalog import LakeSettings
from fleetlake.lake.spark import SparkSettings, spark_session

master, folder = sys.argv[1], Path(sys.argv[2])
lake = LakeSettings("local", {{"type": "sql", "uri": f"sqlite:///{{folder}}/catalog.db", "warehouse": f"file://{{folder}}/warehouse"}})

def run(session, job):
    def task(number):
        import time, uuid, fleetlake
        (folder / "began" / f"{{job}}-{{number}}-{{uuid.uuid4().hex}}").touch()
        give_up_at = time.monotonic() + {TIMEOUT_S}
        while not (folder / f"go-{{job}}").exists() and time.monotonic() < give_up_at:
            time.sleep(0.02)
        return number, fleetlake.__version__
    return session.sparkContext.parallelize(range({TASKS}), {TASKS}).map(task).collect()

with spark_session(SparkSettings(master, folder / "spark.log"), lake, app_name="a job") as session:
    print(json.dumps([run(session, job) for job in ("first", "second")]))
"""


class Command:
    """`fleetlake cluster` on a home and ports of its own."""

    def __init__(self, home: Path) -> None:
        self.home, self.port = home, free_ports()

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        settings = ["--set", f"spark.cluster_port={self.port}", "--set", f"spark.cluster_web_port={self.port + 1}"]
        command = [sys.executable, "-m", "fleetlake.cli.main", "--home", str(self.home), *settings, "cluster", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self("status", "--json").stdout)
        return found

    def pids(self) -> dict[str, int]:
        return {path.stem: int(path.read_text()) for path in (self.home / "spark").glob("*.pid")}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """A cluster of two workers; started by a command whose parent was killed as soon as it had done so."""
    made = Command(tmp_path_factory.mktemp("cluster"))
    program = f"""
import os, signal
from pathlib import Path
from fleetlake.runtime.spark_cluster import SparkCluster
from fleetlake.runtime.spark_cluster_state import WorkerSize
SparkCluster(Path({str(made.home)!r}), {made.port}, {made.port + 1}).start(2, WorkerSize())
os.kill(os.getpid(), signal.SIGKILL)
"""
    try:
        assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -signal.SIGKILL
        yield made
    finally:
        made("down")


def workers_alive(cluster: Command) -> list[str]:
    """Ids of those the master believes in."""
    told = ask_master(cluster.port + 1) or {"workers": []}
    return [each["id"] for each in told["workers"] if each["state"] == "ALIVE"]


def wait_until(reached: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + TIMEOUT_S
    while not reached():
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


def test_a_running_cluster_is_left_as_it_is_and_tells_its_master(cluster: Command) -> None:
    before = cluster.pids()
    up = cluster("up", "--workers", "2")
    assert (up.returncode, up.stderr) == (0, "")
    assert up.stdout.splitlines()[0] == "Spark was running already"
    assert f"--master spark://127.0.0.1:{cluster.port}" in up.stdout.splitlines()
    assert cluster.pids() == before
    assert set(before) == {"master", "worker-1", "worker-2"}


def test_it_listens_on_the_loopback_interface_only(cluster: Command) -> None:
    for pid in cluster.pids().values():
        listening = [each.laddr.ip for each in psutil.Process(pid).net_connections("tcp") if each.status == psutil.CONN_LISTEN]
        assert len(listening) == 2  # its own port and the web page's
        assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}


def test_status_and_logs_tell_of_each_process(cluster: Command) -> None:
    status = cluster.status()
    pids = cluster.pids()
    assert (status["answers"], status["pid"], status["cores"], status["applications"]) == (True, pids["master"], 2, [])
    assert [(each["name"], each["pid"], each["state"]) for each in status["workers"]] == [
        ("worker-1", pids["worker-1"], "ALIVE"),
        ("worker-2", pids["worker-2"], "ALIVE"),
    ]
    assert "2 workers, 0 of 2 cores used, 0 applications" in cluster("status").stdout
    assert "Successfully registered with master" in cluster("logs", "worker-2").stdout
    assert len(cluster("logs", "--lines", "1").stdout.splitlines()) == 2 * 3
    unknown = cluster("logs", "worker-9")
    assert unknown.returncode == 2
    assert "allowed: master, worker-1, worker-2" in unknown.stderr


def test_jobs_survive_a_killed_worker_and_a_killed_master_and_up_brings_them_back(cluster: Command, tmp_path: Path) -> None:
    began = tmp_path / "began"
    began.mkdir()
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, f"spark://127.0.0.1:{cluster.port}", tmp_path], stdout=subprocess.PIPE, text=True
    )
    with driver:
        wait_until(lambda: len(list(began.glob("first-*"))) >= 2)  # one task on each worker
        status = cluster.status()
        assert [(each["name"], each["cores"]) for each in status["applications"]] == [("a job", 2)]
        assert status["cores_used"] == 2
        before = cluster.pids()
        os.kill(before["worker-1"], signal.SIGKILL)
        wait_until(lambda: len(workers_alive(cluster)) == 1)
        hurt = cluster("status")
        assert hurt.returncode == 0
        assert "worker-1   not running: fleetlake cluster up brings it back" in hurt.stdout
        (tmp_path / "go-first").touch()
        wait_until(lambda: bool(list(began.glob("second-*"))))  # the first job is done
        assert len(list(began.glob("first-*"))) > TASKS  # what the killed worker had begun was begun again

        assert cluster("up", "--workers", "2").stdout.splitlines()[0] == "started worker-1"
        with_worker = cluster.pids()
        assert with_worker["worker-1"] != before["worker-1"]
        assert with_worker["worker-2"] == before["worker-2"]
        assert [each["state"] for each in cluster.status()["workers"]] == ["ALIVE", "ALIVE"]

        os.kill(before["master"], signal.SIGKILL)
        gone = cluster("status")
        assert gone.returncode == 1
        assert "not running (fleetlake cluster up)" in gone.stdout
        assert cluster("up", "--workers", "2").stdout.splitlines()[0] == "started master"
        assert {**cluster.pids(), "master": 0} == {**with_worker, "master": 0}
        assert [each["name"] for each in cluster.status()["applications"]] == ["a job"]
        (tmp_path / "go-second").touch()
        printed, _ = driver.communicate(timeout=TIMEOUT_S)
    assert json.loads(printed) == [[[number, __version__] for number in range(TASKS)]] * 2


def test_down_stops_all_of_it(cluster: Command) -> None:
    pids = cluster.pids().values()
    assert len(pids) == 3
    assert cluster("down").stdout == "Spark is down\n"
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    assert cluster("down").stdout == "Spark was not running\n"
    assert cluster("status").returncode == 1
    assert cluster.pids() == {}


def test_a_port_in_use_is_refused_by_name_and_nothing_is_left(tmp_path: Path) -> None:
    command = Command(tmp_path / "home")
    for taken in (command.port, command.port + 1):
        with socket.socket() as other:
            other.bind(("127.0.0.1", taken))
            other.listen()
            refused = command("up")
        assert refused.returncode == 2
        assert refused.stderr.startswith(f"error: port {taken} is in use by another program")
        assert len(refused.stderr.splitlines()) == 1
    assert not (tmp_path / "home").exists()


def test_memory_that_is_none_is_refused_before_anything_starts(tmp_path: Path) -> None:
    refused = Command(tmp_path / "home")("up", "--memory", "lots")
    assert refused.returncode == 2
    assert "for example 1g" in refused.stderr
    assert not (tmp_path / "home").exists()


def test_a_pid_that_now_belongs_to_another_program_is_left_alone(tmp_path: Path) -> None:
    cluster = SparkCluster(tmp_path)
    cluster.folder.mkdir()
    for name in ("master", "worker-1"):
        (cluster.folder / f"{name}.pid").write_text(str(os.getpid()))
    assert not cluster.state().answers
    assert not cluster.stop()
    assert psutil.pid_exists(os.getpid())
