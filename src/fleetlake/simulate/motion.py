"""How a second changes a fleet: position is the integral of speed, and speed what the road, the driver and the vehicle allow."""

from __future__ import annotations

import numpy as np

from fleetlake.simulate.driver import HARSH, HARSH_APART_M, OVERSPEED_M, THRESHOLDS_MS2, Ints
from fleetlake.simulate.fleet import Bools, Fleet
from fleetlake.simulate.geodesy import Floats
from fleetlake.simulate.route import COMFORTABLE_BRAKING_MS2, Route

STEP_S = 1.0
IN_TRAFFIC_MS = 15 / 3.6  # however full the road: it slows nobody below this, so that only breaks are stops
LOOK_AHEAD_M = 12.0  # a grid cell and a bit: the limit is kept where the vehicle will be, not only where it is
BRAKING_LIMIT_MS2 = 2.0
CREEP_MS = 1.5  # towards a standstill, so that it is reached
AT_M = 2.0  # so near to a goal, one has reached it
OVERSPEED_FACTOR = 1.07
MODERATE = 0.9  # peaks that are not harsh stay below this share of the threshold
HARSH_S = 2.0
HARSH_ABOVE_MS = 14.0
PATIENCE_M = HARSH_APART_M / 5  # a manoeuvre that was not possible for so long is given up
HELD_UP_M, HELD_UP_FACTOR = 700.0, 0.6  # behind a lorry, before one pulls out and accelerates harshly
ACCELERATION, BRAKING, CORNERING = range(len(HARSH))


def step(fleet: Fleet, route: Route, slowing: Floats, time_s: float, rng: np.random.Generator) -> None:
    """Moves every vehicle on its way from `time_s` to `time_s` + STEP_S.

    slowing: per vehicle, what its surroundings leave of its speed, 0 to 1.
    """
    f, d = fleet, fleet.drivers
    moving = f.under_way(time_s) & (f.standing_until_s <= time_s)
    break_at_m = np.where(f.break_taken, np.inf, d.break_at_m)
    coming = np.arange(len(f)), f.harsh_next
    planned, kind = d.harsh_at_m[coming], d.harsh_kind[coming]
    overspeeding = (f.along_m >= d.overspeed_at_m) & (f.along_m < d.overspeed_at_m + OVERSPEED_M)
    held_up = (kind == ACCELERATION) & (f.along_m > planned - HELD_UP_M) & (f.along_m < planned) & ~overspeeding
    target = _target_ms(f, route, slowing * np.where(held_up, HELD_UP_FACTOR, 1.0), break_at_m, overspeeding)
    _begin_manoeuvres(f, planned, kind, moving & ~overspeeding, target, time_s)

    before = f.speed_ms
    change = np.minimum(np.maximum(target - before, -BRAKING_LIMIT_MS2 * STEP_S), d.acceleration_ms2 * STEP_S)
    harsh = np.flatnonzero(moving & (f.harsh_until_s > time_s))
    for kind_of_change, sign in ((ACCELERATION, 1), (BRAKING, -1)):
        who = harsh[f.harsh_kind[harsh] == kind_of_change]
        change[who] = sign * f.harsh_ms2[who] * STEP_S
    speed = np.where(moving, np.maximum(before + change, 0.0), 0.0)
    next_m = f.along_m + (before + speed) / 2 * STEP_S
    at_break, arriving = moving & (next_m >= break_at_m - AT_M), moving & (next_m >= route.length_m - AT_M)
    f.speed_ms = np.where(at_break | arriving, 0.0, speed)
    f.along_m = np.where(arriving, route.length_m, f.along_m + (before + f.speed_ms) / 2 * STEP_S)
    f.standing_until_s[at_break] = time_s + STEP_S + d.break_s[at_break]
    f.break_taken |= at_break
    f.arrival_s[arriving] = time_s + STEP_S
    _note_peaks(f, moving, harsh, (f.speed_ms - before) / STEP_S, rng)


def _target_ms(f: Fleet, route: Route, slowing: Floats, break_at_m: Floats, overspeeding: Bools) -> Floats:
    """The speed each driver would like to have in a second, CREEP_MS at least."""
    ahead_m = f.along_m + f.speed_ms * STEP_S + LOOK_AHEAD_M
    attainable = np.minimum(route.attainable_ms(f.along_m), route.attainable_ms(ahead_m))
    free = attainable * np.where(overspeeding, OVERSPEED_FACTOR, f.drivers.pace)
    in_traffic = np.maximum(free * slowing, np.minimum(free, IN_TRAFFIC_MS))
    target = np.where(overspeeding, free, in_traffic)
    to_break_m = np.maximum(break_at_m - ahead_m, 0.0)
    result: Floats = np.maximum(np.minimum(target, np.sqrt(2 * COMFORTABLE_BRAKING_MS2 * to_break_m)), CREEP_MS)
    return result


def _begin_manoeuvres(f: Fleet, planned: Floats, kind: Ints, can: Bools, target: Floats, time_s: float) -> None:
    """Starts the harsh manoeuvres whose place has been passed and which are possible, and gives up those that were not."""
    passed = f.along_m >= planned
    if not passed.any():
        return
    strength = f.drivers.harsh_ms2[np.arange(len(f)), f.harsh_next]
    room = target - f.speed_ms >= strength * HARSH_S
    begins = passed & can & np.where(kind == ACCELERATION, room, f.speed_ms > HARSH_ABOVE_MS)
    f.harsh_kind = np.where(begins, kind, f.harsh_kind)
    f.harsh_ms2 = np.where(begins, strength, f.harsh_ms2)
    f.harsh_until_s = np.where(begins, time_s + HARSH_S, f.harsh_until_s)
    f.harsh_next = f.harsh_next + (begins | (f.along_m >= planned + PATIENCE_M))


def _note_peaks(f: Fleet, moving: Bools, harsh: Ints, change_ms2: Floats, rng: np.random.Generator) -> None:
    """What the accelerometer unit saw in this second: the change of speed, the curves, and vibration on top.

    harsh: vehicles in a harsh manoeuvre, by index.
    """
    seen = rng.random((len(f), 3)) * 0.15
    seen[:, ACCELERATION] += np.maximum(change_ms2, 0)
    seen[:, BRAKING] += np.maximum(-change_ms2, 0)
    seen[:, CORNERING] += 2.0 * seen[:, CORNERING] / 0.15 * np.minimum(f.speed_ms / 15, 1)
    seen = np.minimum(seen, MODERATE * THRESHOLDS_MS2) * moving[:, None]
    seen[harsh, f.harsh_kind[harsh]] = f.harsh_ms2[harsh]
    f.peak_ms2 = np.maximum(f.peak_ms2, seen)
