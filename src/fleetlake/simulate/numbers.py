"""Numbers of few decimals as words: they are looked up instead of spelled, which costs ten times as much."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fleetlake.simulate.geodesy import Floats
from fleetlake.simulate.words import Part, Words, framed

MOST_WORDS = 1 << 17  # of one number's first word; one that would need more is spelled
BLOCK = 1 << 10  # the range grows by so many
EXPONENT_BELOW, EXPONENT_DIGITS = 10, 6  # 0.0000009 is written 9e-7


@dataclass(frozen=True, slots=True)
class _Range:
    """First words of low to high, in units of their last decimal: as they end there, and as they go on; then with a minus."""

    low: int
    high: int
    negative: bool
    words: Words

    def covers(self, low: int, high: int, negative: bool) -> bool:
        return self.low <= low and high < self.high and self.negative >= negative


class Numbers:
    """Where a number stands in an event. Knows the words of the range it has met so far, which ends at MOST_WORDS.

    before, after: texts around it. digits: decimals it is rounded to; the last `lower` of them are a word of their own.
    What is written is what Arrow's cast of np.round(values, digits) to strings gives, the shortest form: 12, 0.5, -0.
    """

    def __init__(self, before: str, digits: int, after: str = "", *, lower: int = 0) -> None:
        self._before, self._digits, self._after, self._lower = before, digits, after, lower
        self._range = _Range(0, 0, False, Words([]))
        self._last = Words(f"{i:0{lower}d}".rstrip("0") + after for i in range(10**lower)) if lower else None

    def parts(self, values: npt.NDArray[np.number]) -> tuple[Part, ...]:
        """Of n finite numbers."""
        scaled = np.rint(np.abs(values) * 10.0**self._digits)
        if not len(values):
            return self._spelled(values)
        least, most = scaled.min(), scaled.max()
        if (self._digits > EXPONENT_DIGITS and least < EXPONENT_BELOW) or most >= 2.0**53:
            return self._spelled(values)
        shift = 10**self._lower
        first = whole = scaled.astype(np.int64)
        if self._last:
            first = whole // shift
        minus = np.signbit(values)
        any_minus = bool(minus.any())
        known = self._covering(int(least) // shift, int(most) // shift, any_minus)
        if known is None:
            return self._spelled(values)
        size = known.high - known.low
        which = first - known.low
        parts: tuple[Part, ...] = ()
        if self._last:
            last = whole - first * shift
            which += size * (last > 0)
            parts = ((self._last, last),)
        if any_minus:
            which += minus * (2 * size if self._last else size)
        return (known.words, which), *parts

    def _spelled(self, values: npt.NDArray[np.number]) -> tuple[Part, ...]:
        texts = pa.array(np.round(values.astype(np.float64), self._digits)).cast(pa.string())
        return ((Words(framed(self._before, texts, self._after)), np.arange(len(values))),)

    def _covering(self, low: int, high: int, negative: bool) -> _Range | None:
        known = self._range
        if known.covers(low, high, negative):
            return known
        first, end = low // BLOCK * BLOCK, (high // BLOCK + 1) * BLOCK
        if known.high:
            first, end = min(first, known.low), max(end, known.high)
        if end - first > MOST_WORDS:
            return None
        self._range = self._make(first, end, negative or known.negative)
        return self._range

    def _make(self, low: int, high: int, negative: bool) -> _Range:
        decimals = self._digits - self._lower
        scaled = np.arange(low, high)
        forms = pa.array(scaled / 10**decimals).cast(pa.string())
        if self._last:
            whole, rest = np.divmod(scaled, 10**decimals)
            padded = pa.array([f"{i:0{decimals}d}" if decimals else "" for i in range(10**decimals)])
            continued = pc.binary_join_element_wise(pa.array(whole).cast(pa.string()), padded.take(pa.array(rest)), ".")
            forms = pa.concat_arrays([forms, continued])
        after = "" if self._last else self._after
        signed = [framed(self._before + sign, forms, after) for sign in ("", "-")[: 1 + negative]]
        return _Range(low, high, negative, Words(pa.concat_arrays(signed)))


class Thousands:
    """A number with three decimals and three words: thousands, the rest before the point, and what is after it."""

    def __init__(self, before: str) -> None:
        self._spelled = Numbers(before, 3)
        self._first = Numbers(before, 0)
        self._middle = Words([f"{i:03d}" for i in range(1000)] + [f"{i:03d}." for i in range(1000)])
        self._last = Words(f"{i:03d}".rstrip("0") for i in range(1000))

    def parts(self, values: Floats) -> tuple[Part, ...]:
        """Of n numbers; those of which one is below a thousand are spelled."""
        scaled = np.rint(values * 1000.0)
        if not len(values) or scaled.min() < 1e6:
            return self._spelled.parts(values)
        whole = scaled.astype(np.int64)
        units = whole // 1000
        thousands = units // 1000
        after = whole - units * 1000
        return (*self._first.parts(thousands), (self._middle, units - thousands * 1000 + 1000 * (after > 0)), (self._last, after))
