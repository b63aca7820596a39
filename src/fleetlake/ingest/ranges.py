"""Sets of offsets as ranges, of which a partition has few however many records it has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Offsets64 = npt.NDArray[np.int64]
MOST_RUNS = 1_000_000  # that are held before they are merged


def _none() -> Offsets64:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Ranges:
    """The offsets [firsts[i], afters[i]), ascending, with room between them."""

    firsts: Offsets64 = field(default_factory=_none)
    afters: Offsets64 = field(default_factory=_none)

    @classmethod
    def of(cls, ranges: Iterable[tuple[int, int]]) -> Ranges:
        """The offsets that any of the ranges (first, after) has."""
        pairs = np.array([pair for pair in ranges if pair[0] < pair[1]], np.int64).reshape(-1, 2)
        return cls.merged(pairs[:, 0], pairs[:, 1])

    @classmethod
    def merged(cls, firsts: Offsets64, afters: Offsets64) -> Ranges:
        """The offsets that any of the ranges has, which are not empty and in any order."""
        if not len(firsts):
            return cls()
        order = np.argsort(firsts, kind="stable")
        firsts, ends = firsts[order], np.maximum.accumulate(afters[order])
        begins = np.concatenate([[True], firsts[1:] > ends[:-1]])
        lasts = np.concatenate([np.flatnonzero(begins)[1:] - 1, [len(ends) - 1]])
        return cls(firsts[begins], ends[lasts])

    @property
    def size(self) -> int:
        """How many offsets."""
        return int((self.afters - self.firsts).sum())

    @property
    def first(self) -> int:
        return int(self.firsts[0])

    @property
    def after(self) -> int:
        return int(self.afters[-1])

    def __bool__(self) -> bool:
        return bool(len(self.firsts))

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self.firsts.tolist(), self.afters.tolist(), strict=True)

    def __or__(self, other: Ranges) -> Ranges:
        return Ranges.merged(np.concatenate([self.firsts, other.firsts]), np.concatenate([self.afters, other.afters]))

    def __sub__(self, other: Ranges) -> Ranges:
        """The offsets of this one that the other one lacks."""
        if not self or not other:
            return self
        places = np.concatenate([self.firsts, self.afters, other.firsts, other.afters])
        ours, theirs = np.ones(len(self.firsts), np.int64), np.ones(len(other.firsts), np.int64)
        inside = np.concatenate([ours, -ours, 0 * theirs, 0 * theirs])
        outside = np.concatenate([0 * ours, 0 * ours, theirs, -theirs])
        order = np.argsort(places, kind="stable")
        places, is_left = places[order], (np.cumsum(inside[order]) > 0) & (np.cumsum(outside[order]) == 0)
        left = np.flatnonzero(is_left[:-1] & (places[:-1] < places[1:]))
        return Ranges.merged(places[left], places[left + 1])

    def between(self, first: int, after: int) -> Ranges:
        """Those of [first, after)."""
        firsts, afters = np.maximum(self.firsts, first), np.minimum(self.afters, after)
        left = firsts < afters
        return Ranges(firsts[left], afters[left])

    def holding(self, offsets: Offsets64) -> Offsets64:
        """Those of `offsets` that are in it."""
        at = np.searchsorted(self.firsts, offsets, side="right") - 1
        return offsets[(at >= 0) & (offsets < self.afters[at])] if self else offsets[:0]


class Places:
    """Collects the places, partition and offset, of rows: as ranges, and how many rows each partition has."""

    def __init__(self) -> None:
        self.rows: dict[int, int] = {}
        self._found: dict[int, Ranges] = {}
        self._runs: list[tuple[npt.NDArray[np.int32], Offsets64, Offsets64]] = []
        self._held = 0

    def add(self, partitions: npt.NDArray[np.int32], offsets: Offsets64) -> None:
        """Takes the places of some more rows, in any order; the same place may come again."""
        if not len(offsets):
            return
        order = np.lexsort((offsets, partitions))
        partitions, offsets = partitions[order], offsets[order]
        for partition, count in zip(*np.unique(partitions, return_counts=True), strict=True):
            self.rows[int(partition)] = self.rows.get(int(partition), 0) + int(count)
        begins = np.concatenate([[True], (np.diff(partitions) != 0) | (np.diff(offsets) != 1)])
        firsts = np.flatnonzero(begins)
        lasts = np.concatenate([firsts[1:] - 1, [len(offsets) - 1]])
        self._runs.append((partitions[firsts], offsets[firsts], offsets[lasts] + 1))
        self._held += len(firsts)
        if self._held > MOST_RUNS:
            self._merge()

    def ranges(self) -> Mapping[int, Ranges]:
        """What has been added, by partition."""
        self._merge()
        return self._found

    def _merge(self) -> None:
        if not self._runs:
            return
        partitions, firsts, afters = (np.concatenate(column) for column in zip(*self._runs, strict=True))
        order = np.argsort(partitions, kind="stable")
        partitions, firsts, afters = partitions[order], firsts[order], afters[order]
        known, begins = np.unique(partitions, return_index=True)
        for partition, first, after in zip(known.tolist(), begins, [*begins[1:], len(partitions)], strict=True):
            new = Ranges.merged(firsts[first:after], afters[first:after])
            self._found[partition] = self._found.get(partition, Ranges()) | new
        self._runs, self._held = [], 0
