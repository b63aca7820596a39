"""Fewer fixes that tell the same drives: top-down time ratio (Meratnia and de By, 2004), on all legs at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
METRES_PER_DEGREE = 111_195.0
UNKNOWN_KMH = -1000.0  # far from any speed, so that a fix without one is kept
COARSER = 1.6


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far what is drawn may be from what was reported, at any time."""

    position_m: float = 15.0
    speed_kmh: float = 3.0

    def times(self, factor: float) -> Tolerance:
        return Tolerance(self.position_m * factor, self.speed_kmh * factor)


def thin(
    starts: npt.NDArray[np.bool_],
    time_s: Floats,
    latitude: Floats,
    longitude: Floats,
    speed_kmh: Floats,
    *,
    tolerance: Tolerance,
    most: int,
) -> npt.NDArray[np.intp]:
    """Which of n fixes to keep, ascending.

    starts: where a leg begins; a leg's fixes lie together, ordered by time. A fix is left out only if position and speed
    interpolated between the kept fixes around it are within the tolerance; the first and last fix of a leg always stay.
    Where that leaves more than `most`, the tolerance grows until it does not, or nothing but ends of legs is left.
    speed_kmh: NaN where unknown.
    """
    if not len(time_s):
        return np.empty(0, np.intp)
    kept = np.arange(len(time_s))
    ends = 2 * int(starts.sum())
    while True:
        speed = np.nan_to_num(speed_kmh[kept], nan=UNKNOWN_KMH)
        east = longitude[kept] * np.cos(np.radians(latitude[kept])) * METRES_PER_DEGREE
        north = latitude[kept] * METRES_PER_DEGREE
        channels = np.stack([east / tolerance.position_m, north / tolerance.position_m, speed / tolerance.speed_kmh])
        kept = kept[_needed(starts[kept], time_s[kept], channels)]
        if len(kept) <= max(most, ends):
            return kept
        tolerance = tolerance.times(COARSER)


def _needed(starts: npt.NDArray[np.bool_], time_s: Floats, channels: Floats) -> npt.NDArray[np.bool_]:
    """Cuts every span between kept fixes at its worst fix until none is off by more than 1. channels: 3 x n, in tolerances."""
    keep: npt.NDArray[np.bool_] = starts | np.append(starts[1:], True)
    anchors = np.flatnonzero(keep)
    fix = np.flatnonzero(~keep)
    after = np.searchsorted(anchors, fix)
    left, right = anchors[after - 1], anchors[after]
    while len(fix):
        error = _error(time_s, channels, left, fix, right)
        first = np.flatnonzero(np.concatenate(([True], left[1:] != left[:-1])))
        sizes = np.diff(np.append(first, len(fix)))
        worst = np.maximum.reduceat(error, first)
        span = np.repeat(np.arange(len(first)), sizes)
        at_worst = np.flatnonzero(error == worst[span])
        cut = fix[at_worst[np.unique(span[at_worst], return_index=True)[1]]]
        keep[cut[worst > 1]] = True
        cut = cut[span]
        left, right = np.where(fix > cut, cut, left), np.where(fix < cut, cut, right)
        remaining = (worst > 1)[span] & (fix != cut)
        fix, left, right = fix[remaining], left[remaining], right[remaining]
    return keep


def _error(
    time_s: Floats, channels: Floats, left: npt.NDArray[np.intp], fix: npt.NDArray[np.intp], right: npt.NDArray[np.intp]
) -> Floats:
    """How far fixes are from the straight line between their neighbours at their time, in tolerances."""
    elapsed = time_s[right] - time_s[left]
    share = np.divide(time_s[fix] - time_s[left], elapsed, out=np.zeros(len(fix)), where=elapsed > 0)
    east, north, speed = np.abs(channels[:, left] + share * (channels[:, right] - channels[:, left]) - channels[:, fix])
    result: Floats = np.maximum(np.hypot(east, north), speed)
    return result
