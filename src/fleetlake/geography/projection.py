"""Metres around a place: an azimuthal equidistant projection, fitted to the ellipsoid where it touches."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.float64]

EQUATOR_M, ECCENTRICITY_2 = 6_378_137.0, 0.00669437999014  # WGS 84


class Projection:
    """Between degrees, (n, 2) longitudes and latitudes, and metres east and north of a middle.

    On a sphere, scaled to the ellipsoid's radii of curvature at the middle. Distances are true to 1e-4 within 100 km of it, and to
    2e-3 within 1,000 km.
    """

    def __init__(self, longitude: float, latitude: float) -> None:
        self._longitude, self._latitude = math.radians(longitude), math.radians(latitude)
        flattened = 1 - ECCENTRICITY_2 * math.sin(self._latitude) ** 2
        east_m, north_m = EQUATOR_M / math.sqrt(flattened), EQUATOR_M * (1 - ECCENTRICITY_2) / flattened**1.5
        self._radii_m = np.array([east_m, north_m])

    @property
    def degree_m(self) -> float:
        """Of latitude, at the middle."""
        return math.radians(float(self._radii_m[1]))

    def onto_plane(self, positions: Positions) -> Positions:
        longitude, latitude = np.radians(positions).T
        sine, cosine, turn = math.sin(self._latitude), math.cos(self._latitude), longitude - self._longitude
        east = np.cos(latitude) * np.sin(turn)
        north = cosine * np.sin(latitude) - sine * np.cos(latitude) * np.cos(turn)
        up = sine * np.sin(latitude) + cosine * np.cos(latitude) * np.cos(turn)
        across = np.hypot(east, north)
        scale = np.divide(np.arctan2(across, up), across, out=np.ones_like(across), where=across > 0)
        metres: Positions = np.stack([east * scale, north * scale], axis=1) * self._radii_m
        return metres

    def from_plane(self, metres: Positions) -> Positions:
        """Longitudes are within 180 degrees of the middle's, so they may pass 180."""
        east, north = (metres / self._radii_m).T
        sine, cosine, angle = math.sin(self._latitude), math.cos(self._latitude), np.hypot(east, north)
        scale = np.sinc(angle / np.pi)  # sin(angle) / angle
        latitude = np.arcsin(np.clip(np.cos(angle) * sine + north * scale * cosine, -1, 1))
        longitude = np.arctan2(east * scale, cosine * np.cos(angle) - north * scale * sine)
        positions: Positions = np.degrees(np.stack([longitude + self._longitude, latitude], axis=1))
        return positions
