"""Encoding ahead changes when batches are made, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice

import pytest

from fleetlake.simulate.ahead import EncodeAhead
from fleetlake.simulate.events import GENERATORS
from fleetlake.simulate.run import Journey, SimulationSettings

JOURNEY = Journey(SimulationSettings(3, datetime(2026, 1, 5, 6, tzinfo=UTC)))
REPORTS = [tick.report for tick in islice(JOURNEY.ticks(), 4)]


def test_each_round_comes_back_once_one_exchange_later_and_in_order() -> None:
    rounds = [[REPORTS[0]], REPORTS[1:3], [], [REPORTS[3]], []]
    with EncodeAhead(JOURNEY.reporter) as encoders:
        given = [encoders.exchange(reports) for reports in rounds]
    made = [[batch.values for batch in batches] for batches in given]
    alone = [[generate(JOURNEY.reporter, reports).values for generate in GENERATORS if reports] for reports in rounds]
    assert made == [[], *alone[:-1]]


def test_what_goes_wrong_on_a_thread_is_raised_to_the_caller() -> None:
    with EncodeAhead(JOURNEY.reporter) as encoders:
        encoders.exchange([None])  # type: ignore[list-item]
        with pytest.raises(AttributeError):
            encoders.exchange([])
