"""Numbers looked up in tables read exactly as Arrow would have spelled them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetlake.simulate.numbers import LOWER_DIGITS, SIZE, fixed

EDGES = [0.0, -0.0, 12.0, -5.0, 0.1, 0.25, 51.5, 51.5070001, 0.5004, 1e-3, 1e-7, -9e-7, 1e-6, -1e-9, SIZE - 1, SIZE, 1e9]


def texts(values: npt.NDArray[np.number], digits: int) -> list[str]:
    joined: list[str] = pc.binary_join_element_wise(*fixed(values, digits), "").to_pylist()
    return joined


def spelled(values: npt.NDArray[np.number], digits: int) -> list[str]:
    cast: list[str] = pa.array(np.round(values.astype(np.float64), digits)).cast(pa.string()).to_pylist()
    return cast


@pytest.mark.parametrize("digits", LOWER_DIGITS)
def test_every_number_of_the_tables_and_each_edge(digits: int) -> None:
    every = np.arange(SIZE) / 10**digits
    assert texts(every, digits) == spelled(every, digits)
    assert [texts(np.array([value]), digits) for value in EDGES] == [spelled(np.array([value]), digits) for value in EDGES]
    assert texts(np.zeros(0), digits) == []


@given(st.lists(st.floats(-200, 200), min_size=1), st.sampled_from(sorted(LOWER_DIGITS)))
def test_any_number(values: list[float], digits: int) -> None:
    assert texts(np.array(values), digits) == spelled(np.array(values), digits)


def test_integers_too() -> None:
    assert texts(np.array([0, 9, 2025, SIZE]), 0) == ["0", "9", "2025", str(SIZE)]
