"""N vehicles as arrays, and how a second changes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fleetlake.simulate.geodesy import Floats
from fleetlake.simulate.route import COMFORTABLE_BRAKING_MS2, SERVICES, Route

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

STEP_S = 1.0
LOOK_AHEAD_M = 12.0  # a grid cell and a bit: the limit is kept where the vehicle will be, not only where it is
BRAKING_LIMIT_MS2 = 2.0
IN_TRAFFIC_MS = 15 / 3.6  # however full the road: it slows nobody below this, so that only breaks are stops
CREEP_MS = 1.5  # towards a standstill, so that it is reached
DEPARTURES_S = 300.0
BREAK_S = (190.0, 280.0)  # long enough to be a stop (180 s), too short to end a trip (300 s)
SLOW_S = 288.0  # most of a break and a tick together: with slowing down and setting off it stays below the 300 s
HARSH = ("acceleration", "braking", "cornering")
THRESHOLDS_MS2 = np.array([2.5, 2.7, 3.4])  # Teltonika's defaults: from here on a device counts it as harsh
MODERATE = 0.9  # peaks that are not harsh stay below this share of the threshold
HARSH_S = 2.0
HARSH_ABOVE_MS = 14.0
# Driver styles: share of the attainable speed, comfortable acceleration (m/s2), harsh manoeuvres of each kind per 100 km.
STYLES = {"calm": (0.90, 1.0, 0.15), "normal": (0.96, 1.4, 0.5), "brisk": (0.985, 1.8, 1.2)}
STYLE_SHARES = (0.35, 0.45, 0.2)
OVERSPEED_FACTOR, OVERSPEED_M, OVERSPEED_PER_100_KM = 1.07, 2_500.0, 1.5
MAKES = (
    ("Ford", "Focus", "Petrol"),
    ("Vauxhall", "Corsa", "Petrol"),
    ("Volkswagen", "Golf", "Diesel"),
    ("BMW", "320d", "Diesel"),
    ("Toyota", "Corolla", "Hybrid"),
    ("Nissan", "Leaf", "Electric"),
    ("Tesla", "Model 3", "Electric"),
    ("Kia", "Niro", "Hybrid"),
)
VEHICLE_TYPES = ("private", "van", "taxi")


@dataclass(slots=True)
class Fleet:
    """What does not change of n vehicles, and what does. Distances in m along the route, times in s since the start of the run."""

    device_id: npt.NDArray[np.str_]
    model: Ints
    model_year: Ints
    vehicle_type: Ints
    speed_share: Floats
    acceleration_ms2: Floats
    departure_s: Floats
    break_at_m: Floats  # inf: takes none
    break_s: Floats
    harsh_at_m: npt.NDArray[np.float64]  # n x 3 x k, ascending, inf where there is none
    overspeed_at_m: Floats
    odometer_start_km: Floats
    fuel_start_percent: Floats
    fuel_percent_per_km: Floats

    along_m: Floats
    speed_ms: Floats
    standing_until_s: Floats
    harsh_next: Ints  # n x 3: which manoeuvre comes next
    harsh_until_s: Floats  # n x 3
    harsh_ms2: Floats  # n x 3
    peak_ms2: Floats  # n x 3, since the last report
    arrived: Bools
    reported_arrival: Bools

    def __len__(self) -> int:
        return len(self.device_id)

    def reporting(self, time_s: float) -> Bools:
        """Who reports at a time: those who have set out and have not yet reported their arrival."""
        result: Bools = (self.departure_s <= time_s) & ~self.reported_arrival
        return result


def draw_fleet(vehicles: int, route: Route, tick_s: int, rng: np.random.Generator) -> Fleet:
    """`vehicles` vehicles at the start of the route, with drivers and plans. They set out at ticks: first reports stand still."""
    n = vehicles
    style = np.array(list(STYLES.values()))[rng.choice(len(STYLES), n, p=STYLE_SHARES)]
    places = np.array([route.nearest_m(*place) for place in SERVICES.values()])
    takes_break = rng.random(n) < 0.5
    services = places[rng.integers(0, len(places), n)]
    overspeeds = (style[:, 0] > 0.98) & (rng.random(n) < OVERSPEED_PER_100_KM * route.length_m / 100_000 / 3)
    overspeed_at = rng.uniform(0.15, 0.8, n) * route.length_m
    overspeeds &= ~(takes_break & (np.abs(overspeed_at - services) < 2 * OVERSPEED_M))  # a break would cut it short
    return Fleet(
        device_id=np.array([f"veh-{i:05d}" for i in range(n)]),
        model=rng.integers(0, len(MAKES), n),
        model_year=rng.integers(2014, 2026, n),
        vehicle_type=rng.choice(len(VEHICLE_TYPES), n, p=(0.7, 0.2, 0.1)),
        speed_share=style[:, 0],
        acceleration_ms2=style[:, 1],
        departure_s=np.where(np.arange(n) == 0, 0.0, rng.uniform(0, DEPARTURES_S, n) // tick_s * tick_s),
        break_at_m=np.where(takes_break, services, np.inf),
        break_s=rng.uniform(BREAK_S[0], min(BREAK_S[1], SLOW_S - tick_s), n),
        harsh_at_m=_harsh_plan(style[:, 2], route, rng),
        overspeed_at_m=np.where(overspeeds, overspeed_at, np.inf),
        odometer_start_km=rng.uniform(5_000, 120_000, n),
        fuel_start_percent=rng.uniform(70, 100, n),
        fuel_percent_per_km=rng.uniform(0.10, 0.2, n),
        along_m=np.zeros(n),
        speed_ms=np.zeros(n),
        standing_until_s=np.full(n, -np.inf),
        harsh_next=np.zeros((n, 3), np.int64),
        harsh_until_s=np.full((n, 3), -np.inf),
        harsh_ms2=np.zeros((n, 3)),
        peak_ms2=np.zeros((n, 3)),
        arrived=np.zeros(n, np.bool_),
        reported_arrival=np.zeros(n, np.bool_),
    )


def _harsh_plan(per_100_km: Floats, route: Route, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    counts = rng.poisson(np.repeat(per_100_km[:, None], 3, axis=1) * route.length_m / 100_000)
    most = max(1, int(counts.max()))
    places = rng.uniform(0.03, 0.95, (len(per_100_km), 3, most)) * route.length_m
    places[np.arange(most) >= counts[:, :, None]] = np.inf
    places.sort(axis=2)
    return np.concatenate([places, np.full((*places.shape[:2], 1), np.inf)], axis=2)


def step(fleet: Fleet, route: Route, slowing: Floats, time_s: float, rng: np.random.Generator) -> None:
    """Moves every vehicle on its way from `time_s` to `time_s` + STEP_S. Position is the integral of speed.

    slowing: per vehicle, what its surroundings leave of its speed, 0 to 1.
    """
    f = fleet
    moving = (f.departure_s <= time_s) & ~f.arrived & (f.standing_until_s <= time_s)
    target = np.where(moving, _target_ms(f, route, slowing), 0.0)
    change = np.clip(target - f.speed_ms, -BRAKING_LIMIT_MS2, f.acceleration_ms2)
    change = np.where(moving, _manoeuvres(f, target, change, time_s, rng), 0.0)
    speed = np.maximum(f.speed_ms + change * STEP_S, 0.0)
    f.along_m = np.minimum(f.along_m + (f.speed_ms + speed) / 2 * STEP_S, route.length_m)
    f.speed_ms = speed
    _note_peaks(f, moving, change, time_s, rng)

    at_break = moving & (f.along_m >= f.break_at_m - 2.0)
    f.standing_until_s[at_break] = time_s + STEP_S + f.break_s[at_break]
    f.break_at_m[at_break] = np.inf
    arriving = moving & (f.along_m >= route.length_m - 5.0)
    f.along_m[arriving] = route.length_m
    f.arrived |= arriving
    f.speed_ms[at_break | arriving] = 0.0


def _target_ms(f: Fleet, route: Route, slowing: Floats) -> Floats:
    ahead_m = f.along_m + f.speed_ms * STEP_S + LOOK_AHEAD_M
    attainable = np.minimum(route.attainable_ms(f.along_m), route.attainable_ms(ahead_m))
    overspeeding = (f.along_m >= f.overspeed_at_m) & (f.along_m < f.overspeed_at_m + OVERSPEED_M)
    free_ms = attainable * np.where(overspeeding, OVERSPEED_FACTOR, f.speed_share)
    in_traffic = np.maximum(free_ms * slowing, np.minimum(free_ms, IN_TRAFFIC_MS))
    slowed = np.where(overspeeding, free_ms, in_traffic)
    to_break_m = np.maximum(f.break_at_m - ahead_m, 0.0)
    target: Floats = np.maximum(np.minimum(slowed, np.sqrt(2 * COMFORTABLE_BRAKING_MS2 * to_break_m)), CREEP_MS)
    return target


def _manoeuvres(f: Fleet, target: Floats, change: Floats, time_s: float, rng: np.random.Generator) -> Floats:
    """Starts harsh manoeuvres whose place has been passed and which are possible now, and lets them change the speed."""
    planned = np.take_along_axis(f.harsh_at_m, f.harsh_next[:, :, None], axis=2)[:, :, 0]
    idle = np.all(f.harsh_until_s <= time_s, axis=1, keepdims=True)
    fast = f.speed_ms > HARSH_ABOVE_MS
    possible = np.stack([target - f.speed_ms > 3.5 * HARSH_S, fast, fast], axis=1)
    starts = (f.along_m[:, None] >= planned) & possible & idle
    starts &= np.cumsum(starts, axis=1) == 1  # one kind at a time
    if starts.any():
        strength = THRESHOLDS_MS2 * rng.uniform(1.04, 1.4, starts.shape)
        f.harsh_ms2 = np.where(starts, strength, f.harsh_ms2)
        f.harsh_until_s = np.where(starts, time_s + HARSH_S, f.harsh_until_s)
        f.harsh_next += starts
    going_on = f.harsh_until_s > time_s
    change = np.where(going_on[:, 0], np.minimum(f.harsh_ms2[:, 0], np.maximum(target - f.speed_ms, 0)), change)
    return np.where(going_on[:, 1], -f.harsh_ms2[:, 1], change)


def _note_peaks(f: Fleet, moving: Bools, change: Floats, time_s: float, rng: np.random.Generator) -> None:
    """What the accelerometer unit saw in this second: the change of speed, the curves, and vibration on top."""
    vibration = rng.uniform(0, 0.15, (len(f), 3)) * moving[:, None]
    curves = rng.beta(1.5, 6, len(f)) * 2.5 * np.minimum(f.speed_ms / 15, 1)
    seen = np.stack([np.maximum(change, 0), np.maximum(-change, 0), curves], axis=1) + vibration
    harsh = (f.harsh_until_s > time_s) & moving[:, None]
    f.peak_ms2 = np.maximum(f.peak_ms2, np.where(harsh, f.harsh_ms2, np.minimum(seen, MODERATE * THRESHOLDS_MS2)))
