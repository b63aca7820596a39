"""Numbers of few decimals as text, by looking them up: a tenth of what spelling out a float costs."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

SIZE = 1 << 17  # of a table
LOWER_DIGITS = {0: 0, 1: 0, 2: 0, 3: 3, 7: 4}  # digits to how many of them come from a table of their own
EXPONENT_BELOW = 10  # 0.0000009 is written 9e-7


def fixed(values: npt.NDArray[np.number], digits: int) -> tuple[pa.Array, ...]:
    """n finite numbers, rounded to `digits` (0, 1, 2, 3 or 7) decimals, as texts: n of each part, to be joined in order.

    Joined they are exactly what Arrow's cast of np.round(values, digits) to strings gives, the shortest form: 12, 0.5, -0.
    """
    scaled = np.rint(np.abs(values) * 10.0**digits)
    lower_digits = LOWER_DIGITS[digits]
    most = SIZE * 10**lower_digits
    if len(values) and (scaled.max() >= most or (digits > 6 and scaled.min() < EXPONENT_BELOW)):
        return (pa.array(np.round(values.astype(np.float64), digits)).cast(pa.string()),)
    whole = scaled.astype(np.int64)
    upper = whole
    lower = np.zeros(0, np.int64)
    if lower_digits:
        upper = whole // 10**lower_digits
        lower = whole - upper * 10**lower_digits
        upper = upper + np.where(lower > 0, SIZE, 0)
    negative = np.signbit(values)
    if negative.any():
        upper = upper + np.where(negative, 2 * SIZE, 0)
    first = _upper(digits - lower_digits).take(pa.array(upper.astype(np.int32)))
    return (first, _lower(lower_digits).take(pa.array(lower.astype(np.int32)))) if lower_digits else (first,)


@cache
def _upper(decimals: int) -> pa.Array:
    """4 x SIZE texts: in shortest form, with all decimals for more to follow, and both again with a minus."""
    scaled = np.arange(SIZE)
    shortest = pa.array(scaled / 10**decimals).cast(pa.string())
    whole, rest = np.divmod(scaled, 10**decimals)
    padded = pa.array([f"{i:0{decimals}d}" if decimals else "" for i in range(10**decimals)])
    continued = pc.binary_join_element_wise(pa.array(whole).cast(pa.string()), padded.take(pa.array(rest)), ".")
    positive = pa.concat_arrays([shortest, continued])
    return pa.concat_arrays([positive, pc.binary_join_element_wise("-", positive, "")])


@cache
def _lower(digits: int) -> pa.Array:
    """The last digits of a number, without zeros at the end."""
    return pa.array([f"{i:0{digits}d}".rstrip("0") for i in range(10**digits)])
