"""Numbers looked up in lists of words read exactly as Arrow would have spelled them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetlake.simulate.numbers import BLOCK, MOST_WORDS, Numbers, Thousands
from fleetlake.simulate.words import Part, write_events

EDGES = [
    0.0,
    -0.0,
    12.0,
    -5.0,
    0.1,
    0.25,
    51.5,
    51.5070001,
    0.5004,
    1e-3,
    1e-7,
    -9e-7,
    1e-6,
    -1e-9,
    131_071,
    131_072,
    1e9,
    1e12,
    1e17,
]
KINDS = [(0, 0), (1, 0), (2, 0), (3, 3), (7, 4)]  # decimals, and how many of them are a word of their own


def texts(parts: Sequence[Part], rows: int) -> list[str]:
    return [text.decode() for text in write_events(parts, rows)]


def spelled(values: npt.NDArray[np.number], digits: int, before: str = "", after: str = "") -> list[str]:
    cast: list[str] = pa.array(np.round(values.astype(np.float64), digits)).cast(pa.string()).to_pylist()
    return [before + text + after for text in cast]


@pytest.mark.parametrize(("digits", "lower"), KINDS)
def test_every_number_of_a_range_and_each_edge(digits: int, lower: int) -> None:
    numbers, shift = Numbers("<", digits, ">", lower=lower), 10**lower
    every = np.concatenate([np.arange(3 * BLOCK), np.arange(3 * BLOCK) * shift + 7 * shift // 10]) / 10**digits
    assert texts(numbers.parts(every), len(every)) == spelled(every, digits, "<", ">")
    for value in EDGES:
        one = np.array([value])
        assert texts(numbers.parts(one), 1) == spelled(one, digits, "<", ">")
    assert texts(numbers.parts(np.zeros(0)), 0) == []


@given(st.lists(st.lists(st.floats(-200, 200), min_size=1), min_size=1, max_size=4), st.sampled_from(KINDS))
def test_any_numbers_one_batch_after_the_other(batches: list[list[float]], kind: tuple[int, int]) -> None:
    numbers = Numbers("", kind[0], lower=kind[1])
    for values in map(np.array, batches):
        assert texts(numbers.parts(values), len(values)) == spelled(values, kind[0])


def test_integers_too() -> None:
    values = np.array([0, 9, 2025, MOST_WORDS])
    assert texts(Numbers("", 0).parts(values), 4) == ["0", "9", "2025", str(MOST_WORDS)]


@given(st.lists(st.floats(-10, 3e6) | st.floats(1000, 2e5), min_size=1))
def test_thousands(values: list[float]) -> None:
    numbers = np.array(values)
    assert texts(Thousands("k").parts(numbers), len(values)) == spelled(numbers, 3, "k")


def test_a_number_never_takes_more_than_its_share_of_words() -> None:
    """Whatever a long run asks for: what is beyond is spelled."""
    numbers, rng = Numbers("", 2), np.random.default_rng(1)
    known = []
    for size in (10.0, 1e3, 1e6, 1e3):
        values = rng.uniform(0, size, 1000)
        parts = numbers.parts(values)
        assert texts(parts, 1000) == spelled(values, 2)
        known.append(len(parts[0][0].texts))
    spelled_words = known.pop(2)  # of the million
    assert spelled_words == 1000
    assert known == sorted(known)
    assert max(known) <= MOST_WORDS
