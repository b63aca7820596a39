"""Many byte strings in one piece of memory are a sequence like any other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis.strategies import binary, integers, lists

from fleetlake.runtime.texts import Texts


@given(lists(binary(max_size=9), max_size=6), integers(-8, 8), integers(-8, 8))
def test_it_holds_what_it_was_made_of_and_so_do_its_slices(strings: list[bytes], start: int, stop: int) -> None:
    texts = Texts.of(strings)
    assert [*texts] == strings
    assert [texts[i] for i in range(len(texts))] == strings
    part = texts[start:stop]
    assert [*part] == strings[start:stop]
    assert [*part[1:]] == strings[start:stop][1:]
    assert [*Texts.of(part)] == strings[start:stop]
    assert texts == strings
    assert texts != [*strings, b"one more"]


def test_a_slice_shares_the_memory() -> None:
    texts = Texts.of([b"ab", b"", b"cde"])
    assert Texts.of(texts) is texts
    assert texts[1:].content is texts.content


def test_places_are_counted_as_in_a_list() -> None:
    texts = Texts.of([b"ab", b"", b"cde"])
    assert (texts[-1], texts[-3]) == (b"cde", b"ab")
    for beyond in (3, -4):
        with pytest.raises(IndexError):
            texts[beyond]
    with pytest.raises(ValueError, match="step 2"):
        texts[::2]
