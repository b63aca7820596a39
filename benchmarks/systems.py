"""The systems that are compared: how each is started, where it writes, what it promises."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.outputs import Output, make_peer_tables, ours, peers

ONCE = "exactly once: "


@dataclass(frozen=True, slots=True)
class Job:
    """What a system is asked to do. port: the broker's. rows: how many the topic has. live: new events only, a commit a second."""

    port: int
    home: Path
    rows: int
    live: bool = False

    @property
    def servers(self) -> str:
        return f"127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class System:
    """phases: one, or two in one process, cold and warm. endless: has to be stopped once all rows are there."""

    name: str
    command: Callable[[Job], list[str]]
    outputs: Callable[[Path], dict[str, Output]]
    note: str
    phases: tuple[str, ...] = ("run",)
    endless: bool = False
    live: bool = False


def _native(job: Job) -> list[str]:
    once = [] if job.live else ["--once"]
    kafka = f"kafka.bootstrap_servers={job.servers}"
    return [sys.executable, "-m", "fleetlake.cli.main", "--home", str(job.home), "--set", kafka, "ingest", *once]


def _script(name: str, **more: object) -> Callable[[Job], list[str]]:
    def command(job: Job) -> list[str]:
        asked = {"servers": job.servers, "home": str(job.home), "rows": job.rows, "live": job.live, **more}
        return [sys.executable, "-m", f"benchmarks.{name}", json.dumps(asked)]

    return command


def _peer_script(name: str, phases: tuple[str, ...] = ("run",)) -> Callable[[Job], list[str]]:
    def command(job: Job) -> list[str]:
        make_peer_tables(job.home, phases)
        return _script(name)(job)

    return command


def _peer_outputs(*phases: str) -> Callable[[Path], dict[str, Output]]:
    return lambda home: {phase: peers(home, phase) for phase in phases}


COLD_WARM = ("cold", "warm")


def _spark_outputs(home: Path) -> dict[str, Output]:
    return {phase: ours(home / f"{phase}.db", f"bench_{phase}") for phase in COLD_WARM}


SYSTEMS = {
    system.name: system
    for system in (
        System("raw-1", _script("run_raw", processes=1), lambda home: {}, "reads bytes, an object each: Python's client's limit"),
        System("raw-2", _script("run_raw", processes=2), lambda home: {}, "reads bytes only, two processes"),
        System(
            "native", _native, lambda home: {"run": ours(home / "catalog.db", "local")},
            ONCE + "offsets in the snapshot; all rules checked, rejects kept", live=True,
        ),
        System(
            "spark", _script("run_spark"), _spark_outputs,
            ONCE + "batch id in the snapshot; all rules checked, rejects kept", COLD_WARM, live=True,
        ),
        System(
            "bare-spark", _peer_script("run_bare_spark", COLD_WARM), _peer_outputs(*COLD_WARM),
            ONCE + "batch id in the snapshot; parses only", COLD_WARM, live=True,
        ),
        System(
            "connect", _peer_script("run_connect"), _peer_outputs("run"),
            ONCE + "offsets in the snapshot and the group; parses only", endless=True, live=True,
        ),
        System(
            "flink", _peer_script("run_flink"), _peer_outputs("run"),
            ONCE + "checkpoint id in the snapshot; parses only", endless=True, live=True,
        ),
    )
}  # fmt: skip
