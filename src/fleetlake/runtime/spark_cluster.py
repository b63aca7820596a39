"""A Spark standalone cluster of local processes: a master and workers from pip's pyspark, with their state under `<home>/spark`.

They outlive the command that started them, and its crash; a properties file on each command line is what they are recognised by.
"""

from __future__ import annotations

import http.client
import importlib.util
import json
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from fleetlake.foundation.errors import BadInput, Missing
from fleetlake.runtime.daemon import HOST, Daemon, only_one_starts, require_free
from fleetlake.runtime.java import java_for_spark
from fleetlake.runtime.spark_cluster_state import (
    ClusterState,
    WorkerSize,
    in_order,
    read_ports,
    read_properties,
    read_state,
    write_properties,
)

DEFAULT_PORT, DEFAULT_WEB_PORT = 17077, 17080
START_TIMEOUT_S, POLL_S, ANSWER_TIMEOUT_S = 60.0, 0.05, 2.0
SPILLED = "spilled"  # what workers' executors do not hold in memory; cleaned when the first worker of a cluster starts
ID_PATTERN = "spark.worker.idPattern"
MASTER_PROPERTIES = {
    "spark.master.rest.enabled": "false",  # another port, that nothing here submits to
    "spark.port.maxRetries": "0",  # the port that was asked for, or none
    "spark.deploy.recoveryMode": "FILESYSTEM",  # a master brought back finds workers and applications that went on without it
    "spark.deploy.recoveryTimeout": "10",  # s it waits for those that did not
}
WORKER_PROPERTIES = {
    "spark.worker.cleanup.enabled": "true",  # each application leaves a copy of its jars behind
    "spark.worker.cleanup.interval": "600",  # s
    "spark.worker.cleanup.appDataTtl": "3600",  # s
}


@dataclass(frozen=True, slots=True)
class SparkCluster:
    """The cluster of one home folder, running or not. It listens on the loopback interface only.

    port, web_port: the master's, if it has to be started; a running one keeps its own.
    """

    home: Path
    port: int = DEFAULT_PORT
    web_port: int = DEFAULT_WEB_PORT

    @property
    def folder(self) -> Path:
        return self.home / "spark"

    def start(self, workers: int, size: WorkerSize) -> tuple[list[str], ClusterState]:
        """Starts the master and as many workers as are absent, and waits until all have registered: then the URL takes jobs.

        Returned are the names of what had to be started, and the state; what runs is left as it is, workers beyond `workers` too.
        Missing if a port is taken or a process does not come up: what this call had started is stopped again then, and only that.
        """
        if self._daemon("master").pid() is None:
            self._require_free_ports()  # before anything is made
        with only_one_starts(self.folder):
            return self._start_absent(workers, size)

    def _start_absent(self, workers: int, size: WorkerSize) -> tuple[list[str], ClusterState]:
        started: list[tuple[Daemon, subprocess.Popen[bytes]]] = []
        try:
            master = self._daemon("master")
            if master.pid() is None:
                started.append((master, self._start_master(anew=not self._running_workers())))
            self._wait(lambda state: state.answers, started)
            names = {f"worker-{number}" for number in range(1, workers + 1)}
            for worker in map(self._daemon, sorted(names - self._running_workers(), key=in_order)):
                started.append((worker, self._start_worker(worker, size)))  # noqa: PERF401  # known even if the next one fails
            state = self._wait(lambda state: names <= state.at_work, started)
        except BaseException:
            for daemon, process in reversed(started):
                daemon.stop_started(process)
            raise
        finally:
            for daemon, process in started:
                daemon.release(process)
        return [daemon.name for daemon, _ in started], state

    def stop(self) -> bool:
        """Stops all of it; False if nothing ran."""
        daemons = [*self._workers(), self._daemon("master")]
        with ThreadPoolExecutor(len(daemons)) as pool:  # each takes a second or two to end
            return any(list(pool.map(Daemon.stop, daemons)))

    def state(self) -> ClusterState:
        """What runs, and what the master says of it. Never raises for a cluster that is not well."""
        pid = self._daemon("master").pid()
        port, web_port = self._ports(pid)
        told = ask_master(web_port) if pid is not None else None
        processes = {daemon.name: (daemon.pid(), self._id(daemon.name)) for daemon in self._workers()}
        return read_state(told, url=f"spark://{HOST}:{port}", web_url=f"http://{HOST}:{web_port}", pid=pid, processes=processes)

    def logs(self, name: str | None = None) -> dict[str, Path]:
        """The log files of one process or of all that ever ran here, by name. BadInput for a name that is none of them."""
        known = {path.stem: path for path in sorted(self.folder.glob("*.log"), key=lambda path: in_order(path.stem))}
        if name is None:
            return known
        if name not in known:
            raise BadInput(f"no process of the cluster is called {name}", allowed=", ".join(known) or "there is no log yet")
        return {name: known[name]}

    def _daemon(self, name: str) -> Daemon:
        return Daemon(self.folder, name, mark=str(self._properties(name)))

    def _properties(self, name: str) -> Path:
        return self.folder / f"{name}.properties"

    def _workers(self) -> list[Daemon]:
        """Every worker that was started and not stopped, running or not."""
        names = sorted((path.stem for path in self.folder.glob("worker-*.pid")), key=in_order)
        return [self._daemon(name) for name in names]

    def _running_workers(self) -> set[str]:
        return {daemon.name for daemon in self._workers() if daemon.pid() is not None}

    def _ports(self, master_pid: int | None) -> tuple[int, int]:
        """The running master's ports, else those it would be started with."""
        try:
            command = psutil.Process(master_pid).cmdline() if master_pid is not None else []
        except psutil.Error:
            command = []
        return read_ports(command) or (self.port, self.web_port)

    def _id(self, name: str) -> str:
        """What the worker calls itself; empty if it was never started."""
        path = self._properties(name)
        return read_properties(path.read_text()).get(ID_PATTERN, "") if path.is_file() else ""

    def _require_free_ports(self) -> None:
        """Missing if another program than this home's master, which may have been started a moment ago, has one of them."""
        try:
            for setting, port in (("cluster_port", self.port), ("cluster_web_port", self.web_port)):
                require_free(port, command=f"fleetlake --set spark.{setting}={{port}} cluster up")
        except Missing:
            if self._daemon("master").pid() is None:
                raise

    def _start_master(self, *, anew: bool) -> subprocess.Popen[bytes]:
        """anew: no worker runs, so that there is nothing to be recovered of an earlier cluster."""
        self._require_free_ports()
        recovery = self.folder / "recovery"
        if recovery.is_symlink():  # in a home that was copied; what it leads to is not ours to empty
            recovery.unlink()
        recovery.mkdir(parents=True, exist_ok=True)
        if anew:
            for path in recovery.iterdir():
                path.unlink()
            shutil.rmtree(self.folder / SPILLED, ignore_errors=True)
        (self.folder / SPILLED).mkdir(mode=0o700, exist_ok=True)
        daemon = self._daemon("master")
        properties = MASTER_PROPERTIES | {"spark.deploy.recoveryDirectory": str(recovery)}
        return self._start(daemon, properties, "master.Master", "--port", str(self.port), "--webui-port", str(self.web_port))

    def _start_worker(self, daemon: Daemon, size: WorkerSize) -> subprocess.Popen[bytes]:
        url = f"spark://{HOST}:{self._ports(self._daemon('master').pid())[0]}"
        properties = WORKER_PROPERTIES | {ID_PATTERN: f"{daemon.name}-{uuid.uuid4().hex[:8]}"}
        offer = ("--cores", str(size.cores), "--memory", f"{size.memory_mb}M", "--port", "0", "--webui-port", "0")
        return self._start(daemon, properties, "worker.Worker", *offer, "--work-dir", str(self.folder / "work" / daemon.name), url)

    def _start(self, daemon: Daemon, properties: Mapping[str, str], what: str, *options: str) -> subprocess.Popen[bytes]:
        path = self._properties(daemon.name)
        path.write_text(write_properties(properties))
        if daemon.log.exists():
            daemon.log.replace(daemon.log.with_suffix(".log.old"))
        spark = _pyspark_folder()
        environment = {
            "JAVA_HOME": str(java_for_spark().home),
            "SPARK_HOME": str(spark),
            "SPARK_LOCAL_IP": HOST,  # which web UIs bind to as well
            "SPARK_PUBLIC_DNS": HOST,
            "SPARK_LOCAL_DIRS": str(self.folder / SPILLED),
            "SPARK_DAEMON_MEMORY": "512m",
            "SPARK_DAEMON_JAVA_OPTS": "-XX:+UseSerialGC",
        }
        command = [
            str(spark / "bin" / "spark-class"),
            f"org.apache.spark.deploy.{what}",
            "--host",
            HOST,
            "--properties-file",
            str(path),
        ]
        return daemon.start([*command, *options], environment=environment)

    def _wait(
        self, until: Callable[[ClusterState], bool], started: Sequence[tuple[Daemon, subprocess.Popen[bytes]]]
    ) -> ClusterState:
        """The state, once it is as it should be. Missing if a process of ours ends before, or it takes too long."""
        give_up_at = time.monotonic() + START_TIMEOUT_S
        while not until(state := self.state()):
            for daemon, process in started:
                if process.poll() is not None:
                    raise Missing(f"the cluster's {daemon.name} ended: {daemon.last_words()}", where=str(daemon.log))
            if time.monotonic() > give_up_at:
                late = (
                    [worker.name for worker in state.workers if worker.name not in state.at_work] if state.answers else ["master"]
                )
                log = self._daemon(late[0]).log
                raise Missing(
                    f"the cluster did not come up, without {', '.join(late)}", where=str(log), hint="fleetlake cluster logs"
                )
            time.sleep(POLL_S)
        return state


def ask_master(web_port: int) -> dict[str, Any] | None:
    """What the master's web UI says of the cluster; None if it does not answer."""
    connection = http.client.HTTPConnection(HOST, web_port, timeout=ANSWER_TIMEOUT_S)
    try:
        connection.request("GET", "/json/")
        told = json.loads(connection.getresponse().read())
        return told if isinstance(told, dict) else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


def _pyspark_folder() -> Path:
    """Where pip put Spark. Found, not imported: only modules named after Spark import it."""
    spec = importlib.util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise Missing("pyspark is not installed", hint="pip install 'fleetlake[spark]'")
    return Path(spec.origin).parent
