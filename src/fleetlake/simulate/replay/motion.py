"""Speed and heading from positions, for recordings that have none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fleetlake.simulate.geodesy import Floats, bearing_deg, distance_m

GAP_MS = 300_000
FASTEST_KMH = 300.0  # what the contract allows
NO_MOVE_M = 1.0  # closer fixes say nothing about a direction


@dataclass(frozen=True, slots=True)
class Motion:
    """Per fix, NaN where nothing can be said. speed_kmh to 2 decimals, heading_deg in [0, 360) to 1."""

    speed_kmh: Floats
    heading_deg: Floats


def derive_motion(device: npt.NDArray[np.int64], time_ms: npt.NDArray[np.int64], latitude: Floats, longitude: Floats) -> Motion:
    """The motion at n fixes, ordered by time for each device, from the fix before.

    A device's first fix, and one more than 300 s after the last, has the motion towards the next fix instead. Two fixes at one
    time, more than 300 s apart or faster than 300 km/h say nothing; fixes less than 1 m apart give a speed but no heading.
    """
    order = np.argsort(device, kind="stable")
    device, time_ms, latitude, longitude = device[order], time_ms[order], latitude[order], longitude[order]
    metres = distance_m(latitude[:-1], longitude[:-1], latitude[1:], longitude[1:])
    elapsed_ms = np.diff(time_ms)
    joined = (np.diff(device) == 0) & (elapsed_ms <= GAP_MS)
    with np.errstate(divide="ignore", invalid="ignore"):
        speed = metres * 3600 / elapsed_ms
    useful = joined & (elapsed_ms > 0) & (speed <= FASTEST_KMH)
    speed = np.where(useful, np.round(speed, 2), np.nan)
    bearing = np.round(bearing_deg(latitude[:-1], longitude[:-1], latitude[1:], longitude[1:]), 1) % 360
    heading = np.where(useful & (metres >= NO_MOVE_M), bearing, np.nan)
    return Motion(*(_unsorted(_from_leg(leg, joined, len(device)), order) for leg in (speed, heading)))


def _from_leg(leg: Floats, joined: npt.NDArray[np.bool_], fixes: int) -> Floats:
    """Values of the legs between n fixes as values of the fixes: of the leg before, or the leg after where none is before."""
    before, after = np.concatenate(([np.nan], leg)), np.concatenate((leg, [np.nan]))
    return np.where(np.concatenate(([False], joined)), before, after)[:fixes]


def _unsorted(values: Floats, order: npt.NDArray[np.intp]) -> Floats:
    result = np.empty_like(values)
    result[order] = values
    return result
