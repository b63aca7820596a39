"""A server process that outlives the command that started it, and its crash."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from fleetlake.foundation.errors import Missing
from fleetlake.foundation.private import make_private_folder

HOST = "127.0.0.1"
STOP_TIMEOUT_S = 30.0
LOG_LINES = 5
LET_GO_S, LOOK_S = 2.0, 0.02
START_LOCK = "start.lock"


@dataclass(frozen=True, slots=True)
class Daemon:
    """One server, running or not. Who it is, is in `<folder>/<name>.pid`, what it says in `<folder>/<name>.log`.

    mark: a word that only its command line has, so that a process that took over the number of a dead one is not taken for it.
    """

    folder: Path
    name: str
    mark: str

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def pid_file(self) -> Path:
        return self.folder / f"{self.name}.pid"

    def pid(self) -> int | None:
        """The running server's process id, None if it does not run."""
        try:
            process = psutil.Process(int(self.pid_file.read_text()))
            if self.mark in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                return int(process.pid)
        except (OSError, ValueError, psutil.Error):
            pass
        return None

    def start(self, command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Starts it in a session of its own, its output appended to the log. Whoever starts it waits until it is ready."""
        make_private_folder(self.folder)
        with self.log.open("a") as log:
            process = subprocess.Popen(  # noqa: S603  # our own command line, no shell
                list(command), stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                env={**os.environ, **(environment or {})},
            )  # fmt: skip
        try:
            self.remember(process.pid)
        except BaseException:  # nobody would know it again
            process.kill()
            process.wait()
            raise
        return process

    def remember(self, pid: int) -> None:
        """Writes the pid file. Whoever reads it at that moment sees the one of before or this one, whole."""
        part = self.pid_file.with_suffix(".pid.part")
        part.write_text(str(pid))
        part.replace(self.pid_file)

    def release(self, process: subprocess.Popen[bytes]) -> None:
        """Lets go of what `start` returned: it is on its own from here, neither waited for nor warned about."""
        process.returncode = 0

    def stop(self, pid: int | None = None) -> bool:
        """Stops it, cleanly if it lets itself be; False if it did not run. pid: its process, where the pid file may be lost."""
        pid = self.pid() if pid is None else pid
        if pid is not None:
            with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
                _end(psutil.Process(pid))
        self._forget()
        return pid is not None

    def stop_started(self, process: subprocess.Popen[bytes]) -> None:
        """Stops what `start` returned, and no other: one that somebody else started stays, and stays known."""
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(STOP_TIMEOUT_S)
        self._forget()

    def _forget(self) -> None:
        """Removes the pid file, unless it names a server that runs."""
        if self.pid() is None:
            self.pid_file.unlink(missing_ok=True)

    def last_words(self) -> str:
        """The log's last lines about errors, or just its last lines, on one line."""
        lines = [line.strip() for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        errors = [line for line in lines if "ERROR" in line or "Exception" in line]
        return " | ".join((errors or lines)[-LOG_LINES:]) or "it said nothing"


@contextmanager
def only_one_starts(folder: Path) -> Iterator[None]:
    """Holds the lock of the servers whose state is in the folder, once no other process does; it goes with the process that has it.

    Between the look whether one runs and its start no other is started. What is started does not inherit the lock.
    """
    make_private_folder(folder)
    with (folder / START_LOCK).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _end(process: psutil.Process) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_TIMEOUT_S)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(STOP_TIMEOUT_S)


def require_free(port: int, *, command: str) -> None:
    """Missing if another program listens on the port of the loopback interface. command: how to take the port 1000 above it.

    A process that was just killed lets go of its port a moment after it is gone: so long this waits.
    """
    give_up_at = time.monotonic() + LET_GO_S
    while (error := _taken(port)) and time.monotonic() < give_up_at:
        time.sleep(LOOK_S)
    if error:
        raise Missing(
            f"port {port} is in use by another program",
            where=HOST,
            hint=f"stop it, or take another port: {command.format(port=port + 1000)}",
        ) from error


def _taken(port: int) -> OSError | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return error
    return None
