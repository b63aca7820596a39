"""Speed and heading from positions, against hand-made drives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetlake.simulate.replay.motion import Motion, derive_motion

DEGREE_M = np.pi * 6_371_008.8 / 180


def north(metres: list[float], seconds: list[float], devices: list[int] | None = None) -> Motion:
    """Fixes on the meridian, so many metres north of the equator."""
    count = len(metres)
    return derive_motion(
        np.array(devices or [0] * count), np.array(seconds) * 1000, np.array(metres) / DEGREE_M, np.zeros(count)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("metres", "seconds", "speeds"),
    [
        ([0], [0], [np.nan]),
        ([0, 100], [0, 10], [36, 36]),
        ([0, 100, 300], [0, 10, 20], [36, 36, 72]),
        ([0, 100, 100], [0, 10, 20], [36, 36, 0]),
        ([0, 100, 5000, 5200], [0, 10, 310.001, 320.001], [36, 36, 72, 72]),  # a gap: towards the next fix
        ([0, 3000], [0, 300], [36, 36]),
        ([0, 3000], [0, 300.001], [np.nan, np.nan]),
        ([0, 100, 150, 250], [0, 10, 10, 20], [36, 36, np.nan, 36]),  # two fixes at one time
        ([0, 1000, 1100], [0, 10, 20], [np.nan, np.nan, 36]),  # 360 km/h
    ],
)
def test_speeds(metres: list[float], seconds: list[float], speeds: list[float]) -> None:
    np.testing.assert_array_equal(north(metres, seconds).speed_kmh, speeds)


def test_devices_do_not_touch_each_other() -> None:
    motion = north([0, 5000, 100, 4900], [0, 1, 10, 11], [1, 2, 1, 2])
    np.testing.assert_array_equal(motion.speed_kmh, [36, 36, 36, 36])
    np.testing.assert_array_equal(motion.heading_deg, [0, 180, 0, 180])


def test_a_vehicle_that_stands_has_a_speed_but_no_heading() -> None:
    motion = north([0, 100, 100.5], [0, 10, 20])
    np.testing.assert_array_equal(motion.heading_deg, [0, 0, np.nan])
    np.testing.assert_array_equal(motion.speed_kmh, [36, 36, 0.18])


def test_a_drive_over_the_antimeridian() -> None:
    motion = derive_motion(np.array([0, 0]), np.array([0, 10_000]), np.zeros(2), np.array([179.9995, -179.9995]))
    np.testing.assert_array_equal(motion.heading_deg, [90, 90])
    np.testing.assert_array_equal(motion.speed_kmh, [40.03, 40.03])


def test_no_fixes() -> None:
    assert north([], []).speed_kmh.shape == (0,)


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(-90, 90), st.floats(-180, 180), st.integers(0, 10**6)), max_size=40))
def test_whatever_the_fixes_what_is_said_is_within_the_contract(fixes: list[tuple[int, float, float, int]]) -> None:
    fixes.sort(key=lambda fix: fix[3])
    device, latitude, longitude, time = (np.array([fix[i] for fix in fixes]) for i in range(4))
    motion = derive_motion(device.astype(np.int64), time.astype(np.int64), latitude.astype(float), longitude.astype(float))
    speed, heading = (values[~np.isnan(values)] for values in (motion.speed_kmh, motion.heading_deg))
    assert len(motion.speed_kmh) == len(fixes)
    assert ((speed >= 0) & (speed <= 300)).all()
    assert ((heading >= 0) & (heading < 360)).all()
