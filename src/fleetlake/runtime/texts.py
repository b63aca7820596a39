"""Many byte strings as one piece of memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, overload

import numpy as np
import numpy.typing as npt


class Texts(Sequence[bytes]):
    """n byte strings, one after the other in `content`; string i from ends[i] to ends[i + 1]. A slice shares the memory.

    What it is for: a string is an object of Python only when it is asked for.
    """

    __slots__ = ("content", "ends")

    def __init__(self, content: npt.NDArray[np.uint8], ends: npt.NDArray[np.int64]) -> None:
        self.content, self.ends = content, ends

    @classmethod
    def of(cls, strings: Iterable[bytes]) -> Texts:
        """Those strings: copied, unless they are `Texts` already."""
        if isinstance(strings, Texts):
            return strings
        kept = list(strings)
        ends = np.zeros(len(kept) + 1, np.int64)
        np.cumsum(np.fromiter(map(len, kept), np.int64, len(kept)), out=ends[1:])
        return cls(np.frombuffer(b"".join(kept), np.uint8), ends)

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __iter__(self) -> Iterator[bytes]:
        whole, ends = self.content.data, self.ends.tolist()
        return (bytes(whole[start:end]) for start, end in pairwise(ends))

    @overload
    def __getitem__(self, place: int) -> bytes: ...
    @overload
    def __getitem__(self, place: slice) -> Texts: ...
    def __getitem__(self, place: int | slice) -> bytes | Texts:
        if isinstance(place, slice):
            start, stop, step = place.indices(len(self))
            if step != 1:
                raise ValueError(f"a slice with step {step}, not 1")
            return Texts(self.content, self.ends[start : max(start, stop) + 1])
        i = range(len(self))[place]
        return self.content[self.ends[i] : self.ends[i + 1]].tobytes()

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]
