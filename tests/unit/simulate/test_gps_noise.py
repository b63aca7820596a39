"""Noise is of the fixes alone, of the size that was asked for, and follows from the seed."""

from __future__ import annotations

import json
import re
from itertools import islice

import numpy as np
import pytest
from simulate_drives import START

from fleetlake.contracts.events import EVENTS, GPS
from fleetlake.foundation.errors import BadInput
from fleetlake.simulate import SimulationSettings, simulate_journey

NOISE_M = 8.0
ID = re.compile(rb"(?<=^{)\"id\":\"[^\"]*\",")


def values(noise_m: float) -> dict[str, list[bytes]]:
    """120 ticks of 60 vehicles: topic to values without their ids, in order."""
    settings = SimulationSettings(60, START, gps_noise_m=noise_m)
    sent: dict[str, list[bytes]] = {event.topic: [] for event in EVENTS}
    for batches in islice(simulate_journey(settings), 120):
        for batch in batches:
            sent[batch.event.topic] += [ID.sub(b"", value) for value in batch.values]
    return sent


def test_fixes_scatter_as_much_as_was_asked_for_and_nothing_else_does() -> None:
    true, noisy = values(0.0), values(NOISE_M)
    assert {topic for topic in true if true[topic] != noisy[topic]} == {GPS.topic}
    assert noisy == values(NOISE_M)
    a, b = (np.array([json.loads(value)["location"] for value in sent[GPS.topic]]) for sent in (true, noisy))
    off_m = (b - a) * 111_195 * np.array([np.ones(len(a)), np.cos(np.radians(a[:, 0]))]).T
    assert len(off_m) > 2_000
    assert off_m.std(axis=0) == pytest.approx([NOISE_M, NOISE_M], rel=0.06)
    assert np.abs(off_m.mean(axis=0)).max() < 0.6
    accuracy = np.array([json.loads(value)["accuracy"] for value in noisy[GPS.topic]])
    inside = np.hypot(*off_m.T) <= accuracy
    assert 0.6 < inside.mean() < 0.9  # 68 % by its definition


@pytest.mark.parametrize("noise_m", [-1.0, 1_001.0, float("nan")])
def test_noise_out_of_range(noise_m: float) -> None:
    with pytest.raises(BadInput, match="allowed: 0 to 1000 m"):
        SimulationSettings(1, START, gps_noise_m=noise_m)
