"""What a long run of many vehicles keeps grows neither with them nor with time: rounds, and the truth."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np
import pytest
from simulate_drives import START, Kept

from fleetlake.contracts.events import Event
from fleetlake.simulate import run
from fleetlake.simulate.events import GENERATORS
from fleetlake.simulate.run import Journey, SimulationSettings, run_simulation
from fleetlake.simulate.truth import Episodes

AT_ONCE = 100


class Measured(Kept):
    """Keeps everything, and how much came at once."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def send(self, event: Event, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        self.sizes.append(len(values))
        super().send(event, keys, values)


def drive(vehicles: int, ticks: int, noise_m: float = 0.0, speedup: float | None = None) -> Measured:
    measured, numbers = Measured(), iter(range(1, ticks + 1))
    settings = SimulationSettings(vehicles, START, seed=2, tick_s=30, gps_noise_m=noise_m, speedup=speedup)
    run_simulation(settings, measured, stopped=lambda: next(numbers) == ticks, sleep=lambda seconds: None)
    return measured


@pytest.mark.parametrize(("noise_m", "speedup"), [(0.0, None), (5.0, None), (5.0, 1e9)])
def test_a_tick_of_many_vehicles_is_sent_in_parts_and_the_same(
    monkeypatch: pytest.MonkeyPatch, noise_m: float, speedup: float | None
) -> None:
    whole = drive(333, 14, noise_m)
    monkeypatch.setattr(run, "ROWS_AT_ONCE", AT_ONCE)
    parts = drive(333, 14, noise_m, speedup)
    assert max(whole.sizes) > 1000
    assert max(parts.sizes) < 2 * AT_ONCE
    assert parts.records == whole.records


def test_a_report_in_parts_is_the_whole_one() -> None:
    journey = Journey(SimulationSettings(50, START, seed=2, tick_s=60, gps_noise_m=3.0))
    report = [tick.report for tick in islice(journey.ticks(), 8)][-1]
    assert [(part.before, len(part.who)) for part in report.parts(21)] == [(0, 21), (21, 21), (42, 8)]
    for generate in GENERATORS:
        whole = generate(journey.reporter, [report])
        parts = [generate(journey.reporter, [part]) for part in report.parts(21)]
        assert [value for part in parts for value in part.values] == whole.values
        assert np.concatenate([part.who for part in parts]).tolist() == whole.who.tolist()


def test_spans_that_are_too_short_are_not_kept() -> None:
    """Standing still for a moment in traffic, say, by every vehicle time and again."""
    episodes, everyone, zero = Episodes(3, shortest_s=10.0), np.ones(3, bool), np.zeros(3)
    for second in range(1000):
        episodes.note(float(second), everyone & (second % 5 < 3), zero, zero)
    assert len(episodes._ended) == 1  # of no spans
    assert episodes.seen().shape == (5, 0)
    for second in range(1000, 1012):
        episodes.note(float(second), everyone, zero, zero)
    assert episodes.seen().shape == (5, 3)
