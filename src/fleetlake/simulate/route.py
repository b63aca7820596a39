"""The road from London to Birmingham: where it is, how fast one may go, how fast one can go without braking hard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from fleetlake.geography.roads import read_road
from fleetlake.simulate.geodesy import Floats, bearing_deg, distance_m

MPH_IN_MS = 0.44704
GRID_M = 10.0
COMFORTABLE_BRAKING_MS2 = 1.4
# Motorway services on the M40 (approximate positions).
SERVICES = {
    "Beaconsfield": (51.591, -0.628),
    "Oxford": (51.737, -1.100),
    "Cherwell Valley": (51.949, -1.206),
    "Warwick": (52.216, -1.523),
}


@dataclass(frozen=True, slots=True)
class Route:
    """A line of n points and a speed profile on a grid of GRID_M.

    along_m: distance from the start, n. latitude, longitude, limit_ms, heading_deg, road: n, the last three of the stretch that
    begins at the point. profile_ms: the speed limit, lowered ahead of a lower one so that braking stays comfortable; it ends in 0.
    services: where breaks are taken, name to latitude and longitude.
    """

    along_m: Floats
    latitude: Floats
    longitude: Floats
    limit_ms: Floats
    heading_deg: Floats
    road: tuple[str, ...]
    profile_ms: Floats
    services: Mapping[str, tuple[float, float]]

    @property
    def length_m(self) -> float:
        return float(self.along_m[-1])

    def stretch(self, along_m: Floats) -> npt.NDArray[np.int64]:
        """Index of the stretch each position is on."""
        found = self.along_m[1:-1].searchsorted(along_m, side="right")
        return found.astype(np.int64, copy=False)

    def place(self, along_m: Floats) -> tuple[Floats, Floats]:
        """Latitudes and longitudes of positions along the route."""
        return np.interp(along_m, self.along_m, self.latitude), np.interp(along_m, self.along_m, self.longitude)

    def attainable_ms(self, along_m: Floats) -> Floats:
        """The profile at positions; past the end, that of the end."""
        return self.profile_ms[np.minimum((along_m / GRID_M).astype(np.int64), len(self.profile_ms) - 1)]

    def limit_at_ms(self, along_m: Floats) -> Floats:
        """The speed limit at positions."""
        return self.limit_ms[self.stretch(along_m)]

    def longest_of_one_limit_m(self) -> tuple[float, float]:
        """Where the longest part with the same speed limit begins and ends: the motorway."""
        changes = np.flatnonzero(np.diff(self.limit_ms[:-1])) + 1
        ends = self.along_m[np.concatenate([[0], changes, [len(self.along_m) - 1]])]
        longest = int(np.argmax(np.diff(ends)))
        return float(ends[longest]), float(ends[longest + 1])

    def nearest_m(self, latitude: float, longitude: float) -> float:
        """How far along the route its point nearest to a place is."""
        grid = np.arange(0, self.length_m, GRID_M)
        return float(grid[np.argmin(distance_m(*self.place(grid), np.full(1, latitude), np.full(1, longitude)))])


@cache
def london_to_birmingham() -> Route:
    """157 points, 200.3 km; geography/README.md says where they come from."""
    points = read_road()
    latitude = np.array([point.latitude for point in points])
    longitude = np.array([point.longitude for point in points])
    limit_ms = np.array([point.speed_limit_mph for point in points]) * MPH_IN_MS
    steps = distance_m(latitude[:-1], longitude[:-1], latitude[1:], longitude[1:])
    headings = bearing_deg(latitude[:-1], longitude[:-1], latitude[1:], longitude[1:])
    along = np.concatenate([[0.0], np.cumsum(steps)])
    grid = np.arange(0, along[-1] + GRID_M, GRID_M)
    on_grid = limit_ms[np.clip(np.searchsorted(along, grid, side="right") - 1, 0, len(along) - 2)]
    road = tuple(point.road for point in points)
    return Route(along, latitude, longitude, limit_ms, np.append(headings, headings[-1]), road, _profile(on_grid), SERVICES)


def _profile(grid_limit_ms: Floats) -> Floats:
    """Backwards from standstill at the end: v0 = min(limit, sqrt(v1^2 + 2 a d)). A cell has the lower of its limits."""
    limit_ms = np.minimum(grid_limit_ms, np.append(grid_limit_ms[1:], grid_limit_ms[-1]))
    profile: Floats = limit_ms.copy()
    profile[-1] = 0.0
    for i in range(len(profile) - 2, -1, -1):
        profile[i] = min(limit_ms[i], (profile[i + 1] ** 2 + 2 * COMFORTABLE_BRAKING_MS2 * GRID_M) ** 0.5)
    return profile
