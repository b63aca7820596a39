"""Encoding ahead and sending behind change when batches are made and sent, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice

import pytest

from fleetlake.foundation.errors import Retryable
from fleetlake.simulate.ahead import EncodeAhead, SendBehind
from fleetlake.simulate.events import GENERATORS, EventBatch
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


def batches(first: int) -> list[EventBatch]:
    return [generate(JOURNEY.reporter, [REPORTS[first]]) for generate in GENERATORS]


def test_rounds_are_sent_whole_and_in_order_also_the_last() -> None:
    rounds, sent = [batches(0), [], batches(1), batches(2)], list[EventBatch]()
    with SendBehind(sent.append) as sender:
        for each in rounds:
            sender.send(each)
        sender.wait()
        assert len(sent) == 15
        sender.send(batches(3))
    assert sent[:15] == [batch for each in rounds for batch in each]
    assert len(sent) == 20


def test_what_goes_wrong_while_sending_is_raised_and_nothing_is_sent_after_it() -> None:
    sent: list[EventBatch] = []

    def refuse(batch: EventBatch) -> None:
        sent.append(batch)
        raise Retryable("the broker is gone")

    with SendBehind(refuse) as sender:
        sender.send(batches(0))
        with pytest.raises(Retryable, match="the broker is gone"):
            sender.send(batches(1))
        assert len(sent) == 1
        sender.send([])
    with pytest.raises(Retryable), SendBehind(refuse) as sender:  # at the end of the context, if no other round comes
        sender.send(batches(0))


def test_the_callers_own_error_is_the_one_that_is_raised() -> None:
    def fail() -> None:
        with SendBehind(refuse) as sender:
            sender.send(batches(0))
            raise ValueError("the caller's own")

    def refuse(batch: EventBatch) -> None:
        raise Retryable("the broker is gone")

    with pytest.raises(ValueError, match="the caller's own"):
        fail()
