"""JSON by the word: each text of an event is one of a list, and a single `take` of their numbers writes a batch.

Arrow's join of as many columns takes three times as long, and they would have to be made first.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


class Words:
    """m texts, of which each event has one. passing: made for one batch, so not worth keeping."""

    __slots__ = ("passing", "texts")

    def __init__(self, texts: pa.Array | Iterable[str], *, passing: bool = False) -> None:
        self.texts = texts if isinstance(texts, pa.Array) else pa.array(list(texts), pa.string())
        self.passing = passing


Part: TypeAlias = tuple[Words, npt.NDArray[np.integer]]  # and which of them each of n events has


def members(fields: Mapping[str, object]) -> str:
    """Fields of an object as JSON, each with a comma before it."""
    return "".join(f",{json.dumps(name)}:{json.dumps(value, ensure_ascii=False)}" for name, value in fields.items())


def framed(before: str, texts: pa.Array, after: str) -> pa.Array:
    """Texts with others around them."""
    return pc.binary_join_element_wise(before, texts, after, "") if before or after else texts


class Writer:
    """Writes events of one kind: their words are put together once, and again only when there are new ones."""

    def __init__(self) -> None:
        self._latest: tuple[list[Words], pa.Array, list[int]] = [], pa.array([], pa.string()), []

    def write(self, parts: Sequence[Part], rows: int) -> list[bytes]:
        """`rows` events; each is its words of `parts`, in their order."""
        texts, starts = self._texts([words for words, _ in parts])
        numbers = np.empty((rows, len(parts)), np.int32)
        for place, ((_, which), start) in enumerate(zip(parts, starts, strict=True)):
            np.add(which, np.int32(start), out=numbers[:, place], casting="unsafe")
        _, ends, content = texts.take(pa.array(numbers.reshape(-1))).buffers()
        of_events = np.frombuffer(ends, np.int32, numbers.size + 1)[:: len(parts)].copy()
        events = pa.Array.from_buffers(pa.binary(), rows, [None, pa.py_buffer(of_events), content])
        written: list[bytes] = events.to_numpy(zero_copy_only=False).tolist()
        return written

    def _texts(self, places: list[Words]) -> tuple[pa.Array, list[int]]:
        """All words one after the other, and where those of each place begin."""
        known, texts, starts = self._latest
        if places != known:
            every = list(dict.fromkeys(places))
            ends = np.cumsum([len(words.texts) for words in every]).tolist()
            start_of = dict(zip(every, [0, *ends], strict=False))
            texts, starts = pa.concat_arrays([words.texts for words in every]), [start_of[words] for words in places]
            if not any(words.passing for words in places):
                self._latest = places, texts, starts
        return texts, starts
