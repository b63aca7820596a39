"""Fewer fixes that tell the same drives: top-down time ratio (Meratnia and de By, 2004), on all legs at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
METRES_PER_DEGREE = 111_195.0
UNKNOWN_KMH = -1000.0  # far from any speed, so that a fix without one is kept


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far what is drawn may be from what was reported, at any time."""

    position_m: float = 15.0
    speed_kmh: float = 3.0


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
    Where that leaves more than `most`, the tolerance is as much coarser as it takes. speed_kmh: NaN where unknown.
    """
    if not len(time_s):
        return np.empty(0, np.intp)
    speed = np.nan_to_num(speed_kmh, nan=UNKNOWN_KMH)
    east = longitude * np.cos(np.radians(latitude)) * METRES_PER_DEGREE
    north = latitude * METRES_PER_DEGREE
    channels = np.stack([east / tolerance.position_m, north / tolerance.position_m, speed / tolerance.speed_kmh])
    weight = _weights(starts, time_s, channels)
    coarser = np.partition(weight, -most - 1)[-most - 1] if most < len(weight) else 1.0
    return np.flatnonzero((weight > max(coarser, 1.0)) | np.isinf(weight))


def _weights(starts: npt.NDArray[np.bool_], time_s: Floats, channels: Floats) -> Floats:
    """The tolerance, as a multiple, from which on a fix can be left out; 0 if it is below 1, infinite for the ends of legs.

    Every span between two fixes is cut at its worst fix, as long as that is off by more than 1. A fix weighs no more than those
    that had to be cut before it. channels: 3 x n, in tolerances.
    """
    ends = starts | np.append(starts[1:], True)
    weight = np.where(ends, np.inf, 0.0)
    anchors, fix = np.flatnonzero(ends), np.flatnonzero(~ends)
    after = np.searchsorted(anchors, fix)
    left, right = anchors[after - 1], anchors[after]
    while len(fix):
        error = _error(time_s, channels, left, fix, right)
        first = np.flatnonzero(np.concatenate(([True], left[1:] != left[:-1])))
        worst = np.maximum.reduceat(error, first)
        span = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(fix))))
        at_worst = np.flatnonzero(error == worst[span])
        cut = fix[at_worst[np.unique(span[at_worst], return_index=True)[1]]]
        above = np.minimum(weight[left[first]], weight[right[first]])
        weight[cut] = np.where(worst > 1, np.minimum(worst, above), 0.0)
        cut = cut[span]
        left, right = np.where(fix > cut, cut, left), np.where(fix < cut, cut, right)
        remaining = (worst > 1)[span] & (fix != cut)
        fix, left, right = fix[remaining], left[remaining], right[remaining]
    return weight


def _error(
    time_s: Floats, channels: Floats, left: npt.NDArray[np.intp], fix: npt.NDArray[np.intp], right: npt.NDArray[np.intp]
) -> Floats:
    """How far fixes are from the straight line between their neighbours at their time, in tolerances."""
    elapsed = time_s[right] - time_s[left]
    share = np.divide(time_s[fix] - time_s[left], elapsed, out=np.zeros(len(fix)), where=elapsed > 0)
    east, north, speed = np.abs(channels[:, left] + share * (channels[:, right] - channels[:, left]) - channels[:, fix])
    result: Floats = np.maximum(np.hypot(east, north), speed)
    return result
