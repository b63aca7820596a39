"""N vehicles as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fleetlake.simulate.driver import Drivers, Ints, draw_drivers
from fleetlake.simulate.geodesy import Floats
from fleetlake.simulate.route import Route

Bools = npt.NDArray[np.bool_]

DEPARTURES_S = 300.0
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
MODEL_YEARS = (2014, 2026)  # from, and before
VEHICLE_TYPES = ("private", "van", "taxi")


@dataclass(slots=True)
class Fleet:
    """What does not change of n vehicles, and what does. Distances in m along the route, times in s since the start of the run.

    harsh_next: which of the driver's harsh manoeuvres comes next. harsh_kind, harsh_ms2: the one that goes on until harsh_until_s.
    peak_ms2: n x 3, largest acceleration, braking and cornering since the last report. standing_until_s: of a break.
    """

    device_id: npt.NDArray[np.str_]
    model: Ints
    model_year: Ints
    vehicle_type: Ints
    drivers: Drivers
    departure_s: Floats
    odometer_start_km: Floats
    fuel_start_percent: Floats
    fuel_percent_per_km: Floats

    along_m: Floats
    speed_ms: Floats
    break_taken: Bools
    standing_until_s: Floats
    harsh_next: Ints
    harsh_kind: Ints
    harsh_ms2: Floats
    harsh_until_s: Floats
    peak_ms2: Floats
    arrival_s: Floats
    reported_arrival: Bools

    def __len__(self) -> int:
        return len(self.device_id)

    @property
    def arrived(self) -> Bools:
        result: Bools = np.isfinite(self.arrival_s)
        return result

    def under_way(self, time_s: float) -> Bools:
        """Who has set out and not yet arrived, standing at services included."""
        result: Bools = (self.departure_s <= time_s) & ~self.arrived
        return result

    def reporting(self, time_s: float) -> Bools:
        """Who reports at a time: those who have set out and have not yet reported their arrival."""
        result: Bools = (self.departure_s <= time_s) & ~self.reported_arrival
        return result

    def ignition(self, time_s: float) -> Bools:
        """Off on arrival, and during the breaks of those who switch the engine off."""
        resting = (self.standing_until_s > time_s) & self.drivers.break_engine_off
        result: Bools = ~self.arrived & ~resting
        return result


def draw_fleet(vehicles: int, route: Route, tick_s: int, rng: np.random.Generator, *, name: str = "veh") -> Fleet:
    """`vehicles` vehicles at the start of the route, with drivers and plans. They set out at ticks: first reports stand still.

    name: what their ids begin with.
    """
    n = vehicles
    return Fleet(
        device_id=np.array([f"{name}-{i:05d}" for i in range(n)]),
        model=rng.integers(0, len(MAKES), n),
        model_year=rng.integers(*MODEL_YEARS, n),
        vehicle_type=rng.choice(len(VEHICLE_TYPES), n, p=(0.7, 0.2, 0.1)),
        drivers=draw_drivers(n, route, tick_s, rng),
        departure_s=np.where(np.arange(n) == 0, 0.0, rng.uniform(0, DEPARTURES_S, n) // tick_s * tick_s),
        odometer_start_km=rng.uniform(5_000, 120_000, n),
        fuel_start_percent=rng.uniform(70, 100, n),
        fuel_percent_per_km=rng.uniform(0.10, 0.2, n),
        along_m=np.zeros(n),
        speed_ms=np.zeros(n),
        break_taken=np.zeros(n, np.bool_),
        standing_until_s=np.full(n, -np.inf),
        harsh_next=np.zeros(n, np.int64),
        harsh_kind=np.zeros(n, np.int64),
        harsh_ms2=np.zeros(n),
        harsh_until_s=np.full(n, -np.inf),
        peak_ms2=np.zeros((n, 3)),
        arrival_s=np.full(n, np.inf),
        reported_arrival=np.zeros(n, np.bool_),
    )
