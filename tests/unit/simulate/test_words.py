"""Events put together from words are what a JSON library would have written, in the contract's order."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import islice

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import DataObject, booleans, data, integers, lists, sampled_from, text
from simulate_drives import START

from fleetlake.contracts.events import EVENTS, Event
from fleetlake.simulate import words
from fleetlake.simulate.events import GENERATORS, KINDS
from fleetlake.simulate.ids import GROUP_WORDS, RandomGroups
from fleetlake.simulate.moments import AT_MOST, Moments
from fleetlake.simulate.run import Journey, SimulationSettings
from fleetlake.simulate.words import Words, members, write_events

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


@pytest.fixture(params=["in C", "by Arrow"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "by Arrow":
        monkeypatch.setattr(words, "is_possible", lambda: False)
    return str(request.param)


@pytest.mark.usefixtures("way")
@given(data())
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_events_are_their_words_one_after_the_other(draw: DataObject) -> None:
    """Words of any length, of slices too, and one for all events where a single number is given."""
    rows, parts, expected = draw.draw(integers(0, 5)), [], [""] * 5
    for _ in range(draw.draw(integers(1, 4))):
        known = draw.draw(lists(text(max_size=70), min_size=1, max_size=5))
        which = draw.draw(lists(integers(0, len(known) - 1), min_size=rows, max_size=rows))
        if draw.draw(booleans()):
            which = which[:1] or [0]
        made = pa.array(["left out", *known, "and this"]).slice(1, len(known)) if draw.draw(booleans()) else known
        parts.append((Words(made), np.array(which, draw.draw(sampled_from([np.uint16, np.int64])))))
        expected = [event + known[k] for event, k in zip(expected, which * (5 if len(which) == 1 else 1), strict=False)]
    assert [event.decode() for event in write_events(parts, rows)] == expected[:rows]


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("number", [-1, 2, 1 << 20])
def test_a_word_that_is_not_there_is_refused(number: int) -> None:
    with pytest.raises(IndexError, match="a word that is not there"):
        write_events([(Words(["a", "b"]), np.array([0, 1, number]))], 3)


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
