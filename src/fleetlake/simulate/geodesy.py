"""Great circles on arrays. Angles in degrees, distances in metres, on a sphere of the Earth's mean radius (IUGG)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
EARTH_RADIUS_M = 6_371_008.8


def distance_m(latitude_a: Floats, longitude_a: Floats, latitude_b: Floats, longitude_b: Floats) -> Floats:
    """Great-circle distances from a to b (haversine), element by element; right across the antimeridian too."""
    phi_a, phi_b = np.radians(latitude_a), np.radians(latitude_b)
    half_phi, half_lambda = (phi_b - phi_a) / 2, np.radians(np.asarray(longitude_b) - longitude_a) / 2
    chord = np.sin(half_phi) ** 2 + np.cos(phi_a) * np.cos(phi_b) * np.sin(half_lambda) ** 2
    result: Floats = 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.minimum(chord, 1.0)))
    return result


def bearing_deg(latitude_a: Floats, longitude_a: Floats, latitude_b: Floats, longitude_b: Floats) -> Floats:
    """Initial bearings from a to b in [0, 360), 0 = north, 90 = east. 0 where a and b are the same place."""
    phi_a, phi_b = np.radians(latitude_a), np.radians(latitude_b)
    delta = np.radians(np.asarray(longitude_b) - longitude_a)
    east = np.sin(delta) * np.cos(phi_b)
    north = np.cos(phi_a) * np.sin(phi_b) - np.sin(phi_a) * np.cos(phi_b) * np.cos(delta)
    result: Floats = np.degrees(np.arctan2(east, north)) % 360
    return result


def compass_index(heading_deg: Floats) -> npt.NDArray[np.int64]:
    """Which of the eight compass points (contracts.events.COMPASS) a heading is nearest to."""
    return np.floor(((heading_deg % 360) + 22.5) / 45).astype(np.int64) % 8
