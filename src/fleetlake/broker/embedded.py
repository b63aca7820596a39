"""The embedded broker: Apache Kafka in KRaft mode as a process of its own, with its data under `<home>/kafka`.

It outlives the command that started it, and its crash; our properties file on its command line is what it is recognised by.
Without an Access anybody on this machine may use it; with one it asks for TLS and a login.
"""

from __future__ import annotations

import base64
import os
import re
import socket
import subprocess
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from fleetlake.broker.access import PROTOCOL, Access
from fleetlake.broker.settings import DEFAULT_PORT, KafkaSettings
from fleetlake.broker.topics import cluster_id
from fleetlake.foundation.errors import BadInput, FleetlakeError, Missing
from fleetlake.runtime.daemon import HOST, Daemon, only_one_starts, require_free
from fleetlake.runtime.jars import KAFKA
from fleetlake.runtime.java import java_for_kafka

START_TIMEOUT_S, POLL_S = 60.0, 0.05
HEAP = ("-Xms128m", "-Xmx512m")
SHORT_LIVED = "-XX:TieredStopAtLevel=1"  # it is done before compiling itself well would pay


LISTENER = re.compile(rf"^listeners=\w+://{re.escape(HOST)}:(\d+),", re.MULTILINE)


class NotOurs(BadInput):
    """The broker that answers is not the home's."""


@dataclass(frozen=True, slots=True)
class EmbeddedBroker:
    """The broker of one home folder, running or not. It listens on the loopback interface only, on `port` and `port + 1`."""

    home: Path
    port: int = DEFAULT_PORT
    access: Access | None = None

    @property
    def folder(self) -> Path:
        return self.home / "kafka"

    @property
    def settings(self) -> KafkaSettings:
        """How to reach it, as the first of its users if it asks for a login."""
        properties = self.access.client_properties() if self.access else {}
        return KafkaSettings(f"{HOST}:{self.port}", properties, embedded=True)

    def pid(self) -> int | None:
        """The running broker's process id, None if it does not run. Without its pid file it is known by the port it listens on."""
        pid = self._daemon.pid()
        return self._listening_pid() if pid is None else pid

    def require_own(self) -> None:
        """NotOurs if what listens on the port is not this home's broker, or this home's broker listens on another; nothing if
        nobody listens.
        """
        if self.pid() is not None:
            if (port := self._port_it_has()) not in (None, self.port):
                raise NotOurs(
                    f"this home's broker listens on port {port}",
                    where=f"kafka.port={self.port}",
                    hint=f"--set kafka.port={port}, or fleetlake down and up with the other port",
                )
            return
        if not _answers(self.port):
            return
        command = command_line_of_listener(self.port)
        homes = [str(Path(part).parent.parent) for part in command if part.endswith("/kafka/server.properties")]
        whose = f"the one of {homes[0]}" if homes else "another program's"
        raise NotOurs(
            f"what answers on port {self.port} is not the broker of this home, but {whose}",
            where=str(self.home),
            hint=f"fleetlake --set kafka.port={self.port + 1000} up, and the same port for what follows; or, to use it on purpose,"
            f" --set kafka.bootstrap_servers={HOST}:{self.port}",
        )

    def start(self) -> bool:
        """Starts it and waits until it answers; False if it ran already, or another process has started it meanwhile.

        Missing if a port is taken or it does not come up; NotOurs if it runs already, on another port; BadInput for a home with a
        comma in its name, which Kafka takes for a list.
        """
        if "," in str(self.home):
            raise BadInput(
                "the embedded broker can't use a folder with a comma in its name", where=str(self.home), hint="rename it"
            )
        if self.pid() is None:
            self._require_free_ports()  # before anything is made
        with only_one_starts(self.folder):
            if (pid := self.pid()) is None:
                self._start()
                return True
            self.require_own()
            self._daemon.remember(pid)
            self._wait_until_ready()
            return False

    def _require_free_ports(self) -> None:
        """Missing if another program than this home's broker, which may have been started a moment ago, has one of them."""
        try:
            for port in (self.port, self.port + 1):
                require_free(port, command="fleetlake --set kafka.port={port} up")
        except Missing:
            if self.pid() is None:
                raise

    def _start(self) -> None:
        self._require_free_ports()
        classpath = ":".join(map(str, KAFKA.ensure()))
        _write_private(self._properties, properties_text(self._configuration()))
        java = [
            java_for_kafka(),
            *HEAP,
            "-XX:+UseSerialGC",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-cp",
            classpath,
        ]
        with self._daemon.log.open("w") as log:
            if not (self.folder / "data" / "meta.properties").exists():
                self._format(java, log.fileno())
        process = self._daemon.start([*java, "kafka.Kafka", str(self._properties)])
        try:
            self._wait_until_ready(process)
        except BaseException:
            self._daemon.stop_started(process)
            raise
        self._daemon.release(process)

    def stop(self) -> bool:
        """Stops it, cleanly if it lets itself be; False if it did not run."""
        return self._daemon.stop(self.pid())

    @property
    def _daemon(self) -> Daemon:
        return Daemon(self.folder, "broker", mark=str(self._properties))

    @property
    def _properties(self) -> Path:
        return self.folder / "server.properties"

    def _listening_pid(self) -> int | None:
        for port in {self.port, self._port_it_has() or self.port}:
            if _answers(port) and (process := _listener(port)) and str(self._properties) in _command_line(process):
                return int(process.pid)
        return None

    def _port_it_has(self) -> int | None:
        """What the running broker was started with; None if that can't be read."""
        with suppress(OSError):
            if found := LISTENER.search(self._properties.read_text()):
                return int(found[1])
        return None

    def _configuration(self) -> dict[str, object]:
        protocol = PROTOCOL if self.access else "PLAINTEXT"
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@{HOST}:{self.port + 1}",
            "listeners": f"{protocol}://{HOST}:{self.port},CONTROLLER://{HOST}:{self.port + 1}",
            "advertised.listeners": f"{protocol}://{HOST}:{self.port}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": protocol,
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
            **(self.access.server_properties() if self.access else {}),
        }

    def _format(self, java: list[str], log: int) -> None:
        command = [*java, SHORT_LIVED, "kafka.tools.StorageTool", "format", "-t", new_cluster_id(), "-c", str(self._properties)]
        if subprocess.run(command, stdout=log, stderr=log, check=False).returncode:  # noqa: S603  # our own command line
            raise Missing(f"the broker's storage could not be made: {self._daemon.last_words()}", where=str(self.folder))

    def _wait_until_ready(self, process: subprocess.Popen[bytes] | None = None) -> None:
        give_up_at = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < give_up_at:
            if process is not None and process.poll() is not None:
                break
            if _answers(self.port):
                try:
                    cluster_id(self.settings, timeout_s=2)
                    return
                except FleetlakeError as error:
                    if process is None and isinstance(error, BadInput):  # it has run for a while, and has other passwords
                        raise  # otherwise it listens, but does not know its cluster yet
            time.sleep(POLL_S)
        raise Missing(f"the broker did not come up: {self._daemon.last_words()}", where=str(self._daemon.log))


def command_line_of_listener(port: int) -> list[str]:
    """Of the process that listens on the port; nothing if that is another user's, who can't be asked."""
    process = _listener(port)
    return _command_line(process) if process else []


def _listener(port: int) -> psutil.Process | None:
    with suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid is not None:
                return psutil.Process(connection.pid)
    return None


def _command_line(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error, OSError):
        return [str(part) for part in process.cmdline()]
    return []


def properties_text(properties: Mapping[str, object]) -> str:
    """As Java reads it: a backslash escapes, and what is not ASCII is \\uXXXX in UTF-16."""
    return "".join(f"{name}={_escaped(str(value))}\n" for name, value in properties.items())


def _escaped(text: str) -> str:
    units = text.replace("\\", "\\\\").encode("utf-16-be", "surrogatepass")
    codes = (int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2))
    return "".join(chr(code) if 32 <= code < 127 else f"\\u{code:04x}" for code in codes)


def _write_private(path: Path, text: str) -> None:
    """For the eyes of whoever runs us only: it may hold passwords."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def new_cluster_id() -> str:
    """A random id as Kafka makes them: a UUID in URL-safe base64 that no command line takes for an option."""
    while (made := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return made


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0
