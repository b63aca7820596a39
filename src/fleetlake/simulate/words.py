"""JSON by the word: each text of an event is one of a list, and events are put together by the words' numbers, in C.

Arrow's join of as many columns takes ten times as long, and they would have to be made first.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fleetlake.runtime.compiled import compiled, is_possible
from fleetlake.runtime.texts import Texts


class Words:
    """m texts, of which each event has one.

    place: addresses of their characters and of where they end, and how many there are, for words.c. longest: bytes.
    """

    __slots__ = ("_kept", "longest", "place", "texts")

    def __init__(self, texts: pa.Array | Iterable[str]) -> None:
        self.texts = texts if isinstance(texts, pa.Array) else pa.array(list(texts), pa.string())
        _, ends, content = self.texts.buffers()
        first, count = self.texts.offset, len(self.texts)
        own_ends = np.frombuffer(ends, np.int32)[first : first + count + 1] if count else np.zeros(1, np.int32)
        self._kept = own_ends
        self.place = content.address if content else 0, own_ends.ctypes.data, count
        self.longest = int(np.diff(own_ends).max(initial=0))


Part: TypeAlias = tuple[Words, npt.NDArray[np.integer]]  # and which of them each of n events has


def members(fields: Mapping[str, object]) -> str:
    """Fields of an object as JSON, each with a comma before it."""
    return "".join(f",{json.dumps(name)}:{json.dumps(value, ensure_ascii=False)}" for name, value in fields.items())


def framed(before: str, texts: pa.Array, after: str) -> pa.Array:
    """Texts with others around them."""
    return pc.binary_join_element_wise(before, texts, after, "") if before or after else texts


def write_events(parts: Sequence[Part], rows: int) -> Texts:
    """`rows` events; each is its words of `parts`, in their order. IndexError if there is no such word."""
    places, which = [words for words, _ in parts], np.empty((len(parts), rows), np.int32)
    for row, (_, numbers) in zip(which, parts, strict=True):
        row[:] = numbers
    if not is_possible():
        return _taken_by_arrow(places, which)
    table = np.array([words.place for words in places], np.int64).T.copy()
    content, ends = np.empty(rows * sum(words.longest for words in places), np.uint8), np.empty(rows + 1, np.int64)
    contents, all_ends, counts, numbered, to, into = (array.ctypes.data for array in (*table, which, content, ends))
    written = compiled().write_words(contents, all_ends, counts, len(parts), numbered, rows, to, into)
    if written < rows:
        raise IndexError(f"event {written} of {rows} asks for a word that is not there")
    return Texts(content, ends)


def _taken_by_arrow(places: Sequence[Words], which: npt.NDArray[np.int32]) -> Texts:
    """The same where nothing compiled is there, in three times the time."""
    counts = np.array([[len(words.texts)] for words in places])
    if which.size and not ((which >= 0) & (which < counts)).all():
        raise IndexError("an event asks for a word that is not there")
    numbers = (which + (np.cumsum(counts, axis=0) - counts)).T.reshape(-1)
    _, ends, content = pa.concat_arrays([words.texts for words in places]).take(pa.array(numbers)).buffers()
    of_events = np.frombuffer(ends, np.int32, len(numbers) + 1)[:: len(places)].astype(np.int64)
    return Texts(np.frombuffer(content or b"", np.uint8), of_events)
