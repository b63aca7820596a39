"""Times as words: how an id of that time begins, and the timestamp."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fleetlake.simulate.driver import Ints
from fleetlake.simulate.words import Words

SECOND_MS = 1000
AT_FIRST, AT_MOST = 256, 86_400  # seconds


@dataclass(frozen=True, slots=True)
class _Span:
    """The seconds from first_ms on."""

    first_ms: int
    seconds: int
    heads: Words
    stamps: Words


class Moments:
    """Knows the words of whole seconds from the first time it was asked for, of a day at most: what a run's ticks are."""

    def __init__(self) -> None:
        self._span = _Span(0, 0, Words([]), Words([]))

    def parts(self, times_ms: Sequence[int]) -> tuple[Words, Words, Ints]:
        """Beginnings of ids up to the dash before the version, timestamps, and which of each n times (at least one) are."""
        times = np.array(times_ms)
        span = self._span
        if not span.seconds or times.min() < span.first_ms or times.max() >= span.first_ms + AT_MOST * SECOND_MS:
            span = _span(int(times.min()), AT_FIRST)
        while times.max() >= span.first_ms + span.seconds * SECOND_MS and span.seconds < AT_MOST:
            span = _span(span.first_ms, 2 * span.seconds)
        which, rest = np.divmod(times - span.first_ms, SECOND_MS)
        if rest.any() or which.max() >= span.seconds:
            return *_words(times), np.arange(len(times))
        self._span = span
        return span.heads, span.stamps, which


def _span(first_ms: int, seconds: int) -> _Span:
    return _Span(first_ms, seconds, *_words(first_ms + np.arange(seconds) * SECOND_MS))


def _words(times: Ints) -> tuple[Words, Words]:
    heads = [f'{{"id":"{time >> 16:08x}-{time & 0xFFFF:04x}-' for time in times.tolist()]
    stamps = np.datetime_as_string(times.astype("datetime64[ms]")).tolist()
    return Words(heads), Words(f',"timestamp":"{stamp}Z"' for stamp in stamps)
