"""What `fleetlake simulate` and `fleetlake demo` share: defaults, progress, and the counts."""

from __future__ import annotations

import json
import math
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Self, TextIO

from fleetlake.foundation.errors import BadInput
from fleetlake.serve.output import plain
from fleetlake.simulate.run import SimulationReport, SimulationSettings, Tick

if TYPE_CHECKING:
    from fleetlake.config.settings import Settings

START_HOUR = 6
TYPICAL_TRIP_S = 9000


def default_start() -> datetime:
    """Yesterday at 06:00 UTC: the same for every run of a day, so that a run can be repeated to the byte.

    All of it is in the past: what is measured after it arrived has a wrong clock.
    """
    return datetime.now(UTC).replace(hour=START_HOUR, minute=0, second=0, microsecond=0) - timedelta(days=1)


def parse_speedup(text: str) -> float | None:
    """A number, or None for `max`."""
    if text == "max":
        return None
    try:
        speedup = float(text)
    except ValueError:
        speedup = math.nan
    if not math.isfinite(speedup):
        raise BadInput(f"--speedup {text}", allowed="a number, or max")
    return speedup


def truth_folder(settings: Settings, run: SimulationSettings) -> Path:
    """Its own for each run with other settings: the same run again writes the same truth again."""
    name = f"{run.start_time:%Y%m%dT%H%M%SZ}-{run.fleet_name}-seed{run.seed}-{run.fingerprint[:8]}"
    return settings.home / "truth" / name


class StopSignals:
    """SIGINT and SIGTERM while the context lasts: the first is only noted, a second one ends the process as it always would.

    Belongs to the main thread. received: the first one's number, 0 while there is none.
    """

    def __init__(self) -> None:
        self.received = 0
        self._wake = SimpleQueue[None]()  # whose put may be called from a signal handler

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def stopped(self) -> bool:
        return self.received != 0

    def sleep(self, seconds: float) -> None:
        """Sleeps, but no longer than until a signal arrives."""
        if seconds > 0 and not self.received:
            with suppress(Empty):
                self._wake.get(timeout=min(seconds, threading.TIMEOUT_MAX))

    def _note(self, number: int, _: object) -> None:
        self.received = number
        self.__exit__()
        self._wake.put(None)


@contextmanager
def simulation_progress(run: SimulationSettings) -> Iterator[Callable[[Tick], None]]:
    """A bar on stderr while the context lasts; nothing if stderr is not a terminal."""
    from rich.console import Console
    from rich.progress import Progress, TextColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda tick: None
        return
    with Progress(
        *Progress.get_default_columns()[:2], TextColumn("{task.fields[note]}"), console=console, transient=True
    ) as progress:
        task = progress.add_task("simulate", total=TYPICAL_TRIP_S, note="")

        def show(tick: Tick) -> None:
            if tick.number % 20 == 0:
                progress.update(task, completed=tick.time_s, note=f"{tick.arrived} of {run.vehicles} vehicles have arrived")

        yield show


def print_simulation(report: SimulationReport, truth: Path, *, as_json: bool, stream: TextIO) -> None:
    """What was sent, by topic."""
    if as_json:
        print(json.dumps(plain(asdict(report) | {"truth": str(truth)})), file=stream)
        return
    sent = sum(tally.sent for tally in report.tallies.values())
    print(f"{report.arrived} of {report.vehicles} vehicles have arrived in Birmingham, {report.route_km:.1f} km each,", file=stream)
    print(f"{report.first:%Y-%m-%d %H:%M} to {report.last:%H:%M} UTC in {report.ticks:,} ticks.", file=stream)
    print(f"{'topic':<16}{'sent':>10}{'good':>10}{'duplicates':>12}{'late':>8}{'poison':>8}{'dropped':>9}", file=stream)
    for topic, tally in report.tallies.items():
        counts = f"{tally.sent:>10,}{tally.good:>10,}{tally.duplicates:>12,}{tally.late:>8,}{tally.poison:>8,}{tally.dropped:>9,}"
        print(f"{topic:<16}{counts}", file=stream)
    print(f"{sent:,} records in {report.elapsed_s:.1f} s, {sent / max(report.elapsed_s, 1e-9):,.0f}/s. Truth: {truth}", file=stream)
