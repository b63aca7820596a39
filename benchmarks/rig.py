"""A system under measurement: its process with all it starts, watched from outside until it is stopped by process id."""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.served import Served

SAMPLE_S, LOOK_FOR_CHILDREN_EVERY, STOP_S = 0.1, 5, 20.0
FIRST_BYTES = 65_536  # less than that is metadata, not records


@dataclass(frozen=True, slots=True)
class Sample:
    """at: time of day, s. cpu_s: of the whole tree so far. peak_mb: each process's peak, added up. served: bytes by the broker."""

    at: float
    cpu_s: float
    peak_mb: float
    served: int


@dataclass(frozen=True, slots=True)
class Used:
    """What happened between two moments. first_at: when the first records were read, None if none were."""

    cpu_s: float
    active_cpu_s: float
    peak_mb: float
    first_at: float | None


def used(samples: Sequence[Sample], start: float, end: float) -> Used:
    """CPU from start to end and from the first record to end, up to a sample's distance; the peak of the tree so far."""
    before = [sample for sample in samples if sample.at <= start]
    inside = [sample for sample in samples if start < sample.at <= end + SAMPLE_S]
    if not inside:
        return Used(0.0, 0.0, max((sample.peak_mb for sample in before), default=0.0), None)
    base = before[-1] if before else Sample(start, 0.0, 0.0, inside[0].served if len(inside) == 1 else 0)
    reading = next((i for i, sample in enumerate(inside) if sample.served - base.served > FIRST_BYTES), None)
    at_first = base if not reading else inside[reading - 1]
    last = inside[-1]
    first_at = None if reading is None else inside[reading].at
    return Used(last.cpu_s - base.cpu_s, last.cpu_s - at_first.cpu_s, max(sample.peak_mb for sample in inside), first_at)


class Watched:
    """A running command. What it prints as JSON objects is kept in `reports`, each with the time it came; all else is in `log`."""

    def __init__(self, command: Sequence[str], home: Path, broker_port: int) -> None:
        self.started, self.log = time.time(), home / "log"
        self.reports: list[dict[str, Any]] = []
        self.samples: list[Sample] = []
        self._cpu: dict[int, float] = {}
        self._served = Served(broker_port)
        self._served.total()
        self._base = self._served.total()
        self._log = self.log.open("w")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._log, text=True, env=_environment())
        self._threads = [threading.Thread(target=body, daemon=True) for body in (self._read, self._sample)]
        for thread in self._threads:
            thread.start()

    def reported(self, name: str) -> Any:
        """The newest value the process gave that name; None if it never did."""
        return next((report[name] for report in reversed(self.reports) if name in report), None)

    def wait(self, timeout_s: float) -> bool:
        """Whether it ended by itself within `timeout_s` of its start."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.1, self.started + timeout_s - time.time()))
        return self.process.poll() is not None

    def stop(self) -> None:
        """Ends it and all it started, gently first."""
        stop_tree(self.process)
        for thread in self._threads:
            thread.join(STOP_S)
        self._log.close()

    def last_words(self) -> str:
        lines = [line.strip() for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        errors = [line for line in lines if "Error" in line or "Exception" in line or "ERROR" in line]
        return (errors or lines or ["it said nothing"])[-1][:300]

    def _read(self) -> None:
        assert self.process.stdout is not None  # noqa: S101
        for line in self.process.stdout:
            try:
                self.reports.append({"at": time.time(), **json.loads(line)})
            except (ValueError, TypeError):
                self._log.write(line)

    def _sample(self) -> None:
        tree: list[psutil.Process] = []
        peaks: dict[int, float] = {}
        looks = 0
        while self.process.poll() is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                if looks % LOOK_FOR_CHILDREN_EVERY == 0:
                    root = psutil.Process(self.process.pid)
                    tree = [root, *root.children(recursive=True)]
            for process in tree:
                with contextlib.suppress(psutil.NoSuchProcess, OSError, IndexError):
                    self._cpu[process.pid] = sum(process.cpu_times()[:2])
                    peaks[process.pid] = _peak_mb(process.pid)
            served = self._served.total() - self._base
            self.samples.append(Sample(time.time(), sum(self._cpu.values()), sum(peaks.values()), served))
            looks += 1
            time.sleep(SAMPLE_S)


def free_port() -> int:
    """One that is free, of those that no outgoing connection is given while a server starts."""
    for port in random.Random().sample(range(20_000, 32_000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no free port found")


def stop_tree(process: subprocess.Popen[str]) -> None:
    """Ends a process and its descendants by their ids."""
    tree: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        tree = psutil.Process(process.pid).children(recursive=True)
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
    for left in [child for child in tree if child.is_running()]:
        with contextlib.suppress(psutil.NoSuchProcess):
            left.terminate()
    for left in psutil.wait_procs(tree, STOP_S)[1]:
        with contextlib.suppress(psutil.NoSuchProcess):
            left.kill()
    process.kill()
    process.wait()


def tree_peak_mb() -> float:
    """Peak memory of this process and all it started, added up as if all had it at once."""
    ours = psutil.Process()
    return sum(_peak_mb(process.pid) for process in (ours, *ours.children(recursive=True)))


def _peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1000


def _environment() -> dict[str, str]:
    """Ours, but a module is compiled at its first import and not at each, as wherever this is installed."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
