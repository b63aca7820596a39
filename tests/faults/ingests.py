"""What was started: its process, and how it ended."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import psutil

PATIENCE_S = 240.0  # a JVM on a busy machine takes its time


def wait_for(holds: Callable[[], bool], what: str) -> None:
    give_up_at = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < give_up_at, f"waited {PATIENCE_S:.0f} s for {what}"
        time.sleep(0.005)


@dataclass(slots=True)
class Ingest:
    """An ingest that was started, or maintenance. hosted: the process goes on when the ingest has ended."""

    process: ForkServerProcess
    out: Path
    hosted: bool = False

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    @property
    def is_over(self) -> bool:
        return not self.process.is_alive() or (self.hosted and (self.out / "outcome.json").exists())

    def await_end(self, seconds: float) -> None:
        """Returns when it is over, or after so long."""
        if not self.hosted:
            return self.process.join(seconds)
        give_up_at = time.monotonic() + seconds
        while not self.is_over and (left_s := give_up_at - time.monotonic()) > 0:
            time.sleep(min(0.01, left_s))
        return None

    def is_paused(self) -> bool:
        with suppress(psutil.NoSuchProcess):
            return bool(psutil.Process(self.pid).status() == psutil.STATUS_STOPPED)
        return False

    def signal(self, number: int) -> None:
        if not self.is_over:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def ended(self) -> tuple[str, str]:
        """How it ended (clean, killed, or an error's name) and what it said. Waits for it."""
        self.await_end(PATIENCE_S)
        if not self.is_over:
            self.kill()
            return "hung", f"it did not end within {PATIENCE_S:.0f} s"
        if self.process.exitcode == -signal.SIGKILL:
            return "killed", ""
        outcome = self.out / "outcome.json"
        if self.process.exitcode == -signal.SIGTERM and not (self.out / "stderr.log").exists():
            return "clean", "it had not begun"
        if not outcome.exists():
            return f"exit {self.process.exitcode}", (self.out / "stderr.log").read_text()
        told = json.loads(outcome.read_text())
        return str(told["ended"]), str(told["said"])

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        if not self.is_over or not self.hosted:
            self.process.join()
