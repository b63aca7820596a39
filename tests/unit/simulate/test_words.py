"""Events put together from words are what a JSON library would have written, in the contract's order."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import islice

import numpy as np
import pytest
from simulate_drives import START

from fleetlake.contracts.events import EVENTS, Event
from fleetlake.simulate.events import GENERATORS, KINDS
from fleetlake.simulate.ids import GROUP_WORDS, RandomGroups
from fleetlake.simulate.moments import AT_MOST, Moments
from fleetlake.simulate.run import Journey, SimulationSettings
from fleetlake.simulate.words import Words, Writer, members

FIRST_MS = round(START.timestamp() * 1000)
WRITE = dict(zip(KINDS, GENERATORS, strict=True))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_fields_come_in_the_contracts_order_without_spaces(event: Event) -> None:
    journey = Journey(SimulationSettings(20, START, seed=3, tick_s=30))
    reports = [tick.report for tick in islice(journey.ticks(), 200) if len(tick.report.who)]
    places = {field.name: place for place, field in enumerate(event.fields)}
    seen: set[str] = set()
    for value in WRITE[event](journey.reporter, reports).values:
        document = json.loads(value)
        seen |= document.keys()
        assert [*document] == sorted(document, key=places.__getitem__)
        assert json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode() == value
    assert seen == places.keys() - {"derived"}


def test_the_same_words_are_put_together_once() -> None:
    writer, words, places = Writer(), Words(["a", "b"]), np.array([0, 1, 1])
    assert writer.write([(words, places), (words, places[::-1])], 3) == [b"ab", b"bb", b"ba"]
    passing = Words(["x", "y", "z"], passing=True)
    assert writer.write([(words, places), (passing, np.arange(3))], 3) == [b"ax", b"by", b"bz"]
    assert writer.write([(words, places), (words, np.zeros(1, np.int64))], 3) == [b"aa", b"ba", b"ba"]


def test_what_has_to_be_escaped_is() -> None:
    assert json.loads("{" + members({'a"b': 'c\n"d"', "e": "Öl", "f": False})[1:] + "}") == {'a"b': 'c\n"d"', "e": "Öl", "f": False}


def test_any_time_is_told_and_a_long_run_keeps_a_day_of_them_at_most() -> None:
    moments = Moments()
    for seconds in (0, 3, 200, 300, 5_000, AT_MOST - 1, AT_MOST, 3 * AT_MOST, 10, 10.007):
        times = [FIRST_MS + round((seconds + i) * 1000) for i in range(3)]
        heads, stamps, which = moments.parts(times)
        assert len(heads.texts) == len(stamps.texts) <= AT_MOST
        for time_ms, head, stamp in zip(times, heads.texts.take(which), stamps.texts.take(which), strict=True):
            digits = f"{time_ms:012x}"
            assert head.as_py() == f'{{"id":"{digits[:8]}-{digits[8:]}-'
            told = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time_ms)
            assert stamp.as_py() == f',"timestamp":"{told.isoformat(timespec="milliseconds")[:-6]}Z"'


def test_a_row_of_a_counters_draws_does_not_depend_on_what_else_is_drawn() -> None:
    one, other = RandomGroups(7), RandomGroups(7)
    drawn = {counter: one.draw(counter, 0, 6) for counter in ((0, 1), (4, 9), (0, 0), (2, 2))}
    for counter, groups in reversed(drawn.items()):
        for first, last in ((0, 6), (0, 2), (1, 3), (4, 6), (5, 5)):
            assert (other.draw(counter, first, last) == groups[first : last + 1]).all()
    assert len({groups.tobytes() for groups in drawn.values()}) == 4
    assert all((groups < [len(words.texts) for words in GROUP_WORDS]).all() for groups in drawn.values())
