"""What a local Spark cluster is made of, as values: what a worker offers, what can be seen of it, what its files say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from fleetlake.foundation.errors import BadInput

LEAST_MEMORY_MB = 512


@dataclass(frozen=True, slots=True)
class WorkerSize:
    """What one worker offers: cores, and memory in MB for executors' heaps."""

    cores: int = 1
    memory_mb: int = 1024


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker. pid: None if its process does not run. state: the master's word for it (ALIVE, DEAD, ...), or not registered."""

    name: str
    pid: int | None
    state: str
    cores: int = 0
    cores_used: int = 0
    memory_mb: int = 0

    @property
    def takes_jobs(self) -> bool:
        return self.pid is not None and self.state == "ALIVE"


@dataclass(frozen=True, slots=True)
class Application:
    id: str
    name: str
    cores: int
    state: str


@dataclass(frozen=True, slots=True)
class ClusterState:
    """What can be seen of a cluster. answers: whether its master does; what only the master knows is empty if it does not."""

    url: str
    web_url: str
    pid: int | None
    answers: bool
    workers: tuple[Worker, ...]
    applications: tuple[Application, ...] = ()

    @property
    def at_work(self) -> frozenset[str]:
        """The workers that run and that the master gives work to."""
        return frozenset(worker.name for worker in self.workers if worker.takes_jobs)

    @property
    def cores(self) -> int:
        return sum(worker.cores for worker in self.workers if worker.takes_jobs)

    @property
    def cores_used(self) -> int:
        return sum(worker.cores_used for worker in self.workers if worker.takes_jobs)


def last_lines(text: str, lines: int) -> list[str]:
    """The last lines of a text; none for 0."""
    return text.splitlines()[-lines:] if lines else []


def parse_memory(text: str) -> int:
    """MB of `1g`, `1536m`. BadInput for another form, or less than an executor needs."""
    match = re.fullmatch(r"(\d+)([mg])b?", text.strip().lower())
    megabytes = int(match[1]) * (1024 if match[2] == "g" else 1) if match else 0
    if megabytes < LEAST_MEMORY_MB:
        raise BadInput(
            f"{text} is no memory of a worker", where="--memory", allowed=f"for example 1g or 1536m; {LEAST_MEMORY_MB}m at least"
        )
    return megabytes


def write_properties(properties: Mapping[str, str]) -> str:
    """As java.util.Properties reads them."""
    return "".join(f"{name}={value.replace(chr(92), chr(92) * 2)}\n" for name, value in properties.items())


def read_properties(text: str) -> dict[str, str]:
    """What `write_properties` wrote."""
    lines = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name: value.replace(chr(92) * 2, chr(92)) for name, _, value in lines}


def read_ports(command: Sequence[str]) -> tuple[int, int] | None:
    """Port and web port on a master's command line; None if it is not one."""
    options = dict(pairwise(command))
    port, web_port = options.get("--port", ""), options.get("--webui-port", "")
    return (int(port), int(web_port)) if port.isdecimal() and web_port.isdecimal() else None


def read_state(
    told: Mapping[str, Any] | None, *, url: str, web_url: str, pid: int | None, processes: Mapping[str, tuple[int | None, str]]
) -> ClusterState:
    """The cluster's state from its processes (worker's name to pid and id) and what the master told, None if it did not answer.

    A registration counts for the process that made it only: an id is made anew at each start, so that a worker that was killed and
    is still on the master's books is not taken for the one that came after it.
    """
    registered = {entry["id"]: entry for entry in told["workers"]} if told else {}
    workers = []
    for name, (worker_pid, worker_id) in processes.items():
        entry = registered.get(worker_id)
        if entry is None:
            workers.append(Worker(name, worker_pid, "not registered"))
        else:
            workers.append(Worker(name, worker_pid, entry["state"], entry["cores"], entry["coresused"], entry["memory"]))
    active = told["activeapps"] if told else ()
    applications = tuple(Application(each["id"], each["name"], each["cores"], each["state"]) for each in active)
    answers = told is not None and told["status"] == "ALIVE"
    return ClusterState(url, web_url, pid, answers, tuple(workers), applications)


def in_order(name: str) -> tuple[str, int]:
    """Sorts worker-10 behind worker-9."""
    kind, _, number = name.partition("-")
    return kind, int(number) if number.isdecimal() else 0
