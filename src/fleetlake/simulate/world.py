"""What surrounds the vehicles: weather, traffic and incidents, smooth in space and time and following from the seed alone."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from fleetlake.contracts.events import INCIDENT_TYPES, WEATHER_CONDITIONS
from fleetlake.runtime.compiled import compiled, is_possible
from fleetlake.simulate.geodesy import Floats
from fleetlake.simulate.ids import uuid7
from fleetlake.simulate.route import Route

WAVES = 4
INCIDENTS = 8
NEAR_INCIDENT_M = 5_000.0
REMEMBERED_S = 600.0  # a resolved incident is still reported for so long
CONDITION = {name: i for i, name in enumerate(WEATHER_CONDITIONS)}


@dataclass(frozen=True, slots=True)
class Waves:
    """A smooth field over distance and time: a sum of sines with random phases, about -1 to 1."""

    per_m: Floats
    per_s: Floats
    phase: Floats

    @classmethod
    def draw(cls, rng: np.random.Generator, length_m: float, period_s: float) -> Waves:
        share = rng.uniform(0.6, 1.8, WAVES)
        return cls(
            2 * np.pi * share / length_m, 2 * np.pi * rng.uniform(0.5, 1.5, WAVES) / period_s, rng.uniform(0, 2 * np.pi, WAVES)
        )

    def at(self, along_m: Floats, time_s: float) -> Floats:
        result: Floats = sum_of_sines(along_m, self.per_m, time_s * self.per_s + self.phase) / WAVES * 1.6
        return result


def sum_of_sines(at: Floats, per: Floats, start: Floats) -> Floats:
    """Of at * per[0] + start[0], of at * per[1] + start[1], and so on; to within 1e-12."""
    if not is_possible():
        return sum((np.sin(at * p + s) for p, s in zip(per, start, strict=True)), start=np.zeros(len(at)))
    at, result = np.ascontiguousarray(at, np.float64), np.empty(len(at))
    compiled().add_sines(at.ctypes.data, len(at), per.ctypes.data, start.ctypes.data, len(per), result.ctypes.data)
    return result


@dataclass(frozen=True, slots=True)
class Weather:
    """At n positions. condition: index into WEATHER_CONDITIONS. slowing: its factor on speed."""

    temperature_c: Floats
    condition: npt.NDArray[np.int64]
    precipitation_mmh: Floats
    wind_kmh: Floats
    humidity_percent: Floats
    air_quality_index: Floats
    slowing: Floats

    def of(self, who: npt.NDArray[np.int64] | slice) -> Weather:
        return Weather(*(getattr(self, field.name)[who] for field in fields(self)))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is around n positions at one time.

    density: how full the road is, 0 to 1. incident: index of the nearest that is going on or ended lately; incident_m: how far away
    it is, inf where there is none near. slowing: factor on speed of weather, traffic and incidents together.
    """

    weather: Weather
    density: Floats
    incident: npt.NDArray[np.int64]
    incident_m: Floats
    incident_active: npt.NDArray[np.bool_]
    slowing: Floats

    def of(self, who: npt.NDArray[np.int64] | slice) -> Surroundings:
        """Those of some of the positions, by index."""
        return Surroundings(
            self.weather.of(who), self.density[who], self.incident[who], self.incident_m[who], self.incident_active[who],
            self.slowing[who],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Incidents:
    """All incidents of a run. kind: index into INCIDENT_TYPES."""

    along_m: Floats
    begin_s: Floats
    end_s: Floats
    kind: npt.NDArray[np.int64]
    id: npt.NDArray[np.bytes_]


class World:
    """Fields of one run. time_s counts from its start, hour from midnight UTC."""

    def __init__(self, route: Route, seed: int, start_ms: int) -> None:
        rng = np.random.default_rng([seed, 1])
        self._route, self._start_hour = route, start_ms / 3_600_000 % 24
        self._rain, self._cloud, self._wind, self._air, self._jam = (
            Waves.draw(rng, length, period)
            for length, period in ((90_000, 7200), (60_000, 5400), (120_000, 9000), (50_000, 10_000), (18_000, 2400))
        )
        self._base_c = rng.uniform(-2, 20)
        begin = rng.uniform(0, 7200, INCIDENTS)
        self.incidents = Incidents(
            rng.uniform(0.05, 0.95, INCIDENTS) * route.length_m,
            begin,
            begin + rng.uniform(600, 2400, INCIDENTS),
            rng.integers(0, len(INCIDENT_TYPES) - 1, INCIDENTS),
            uuid7(start_ms + (begin * 1000).astype(np.int64), rng),
        )

    def around(self, along_m: Floats, time_s: float) -> Surroundings:
        """What surrounds each position at a time."""
        weather, density = self._weather(along_m, time_s), self._density(along_m, time_s)
        nearest, distance = self._nearest_incident(along_m, time_s)
        active = time_s < self.incidents.end_s[nearest]
        incident = 1 - 0.4 * np.where(active, np.exp(-((np.minimum(distance, 1e6) / 900) ** 2)), 0)
        jam = 1 - 0.3 * np.maximum(density - 0.5, 0) / 0.5
        return Surroundings(weather, density, nearest, distance, active, weather.slowing * jam * incident)

    def _weather(self, along_m: Floats, time_s: float) -> Weather:
        hour = self._start_hour + time_s / 3600
        rain = np.maximum(self._rain.at(along_m, time_s) - 0.25, 0) * 8
        cloud = self._cloud.at(along_m, time_s)
        daily = 4 * np.sin((hour - 9) / 24 * 2 * np.pi)
        temperature = self._base_c + daily + 1.5 * cloud - 0.3 * rain - along_m / self._route.length_m
        humidity = np.clip(72 + 14 * cloud + 3 * rain, 20, 100)
        condition = np.where(cloud > 0, CONDITION["Cloudy"], CONDITION["Sunny"])
        condition = np.where((humidity > 88) & (rain < 0.1), CONDITION["Fog"], condition)
        condition = np.where(rain >= 0.1, np.where(temperature <= 0.5, CONDITION["Snow"], CONDITION["Rain"]), condition)
        wet = np.where(rain >= 0.1, rain, 0.0)
        slowing = 1 - 0.03 * np.minimum(wet, 4) - 0.08 * (condition == CONDITION["Fog"]) - 0.1 * (condition == CONDITION["Snow"])
        wind, air = 18 + 12 * self._wind.at(along_m, time_s), 45 + 25 * self._air.at(along_m, time_s)
        return Weather(temperature, condition, wet, np.maximum(wind, 0), humidity, np.maximum(air, 3), slowing)

    def _density(self, along_m: Floats, time_s: float) -> Floats:
        """How full the road is, 0 to 1; fuller towards the cities."""
        to_city = np.minimum(along_m, self._route.length_m - along_m)
        city = np.exp(-to_city / 12_000)
        return np.clip(0.35 + 0.35 * self._jam.at(along_m, time_s) + 0.25 * city, 0, 1)

    def _nearest_incident(self, along_m: Floats, time_s: float) -> tuple[npt.NDArray[np.int64], Floats]:
        """Index of the nearest incident that is going on or ended lately, and the distance to it; inf where there is none."""
        known = (self.incidents.begin_s <= time_s) & (time_s < self.incidents.end_s + REMEMBERED_S)
        nearest, distance = np.zeros(len(along_m), np.int64), np.full(len(along_m), np.inf)
        for incident in np.flatnonzero(known).tolist():
            away = np.abs(self.incidents.along_m[incident] - along_m)
            nearest[away < distance] = incident
            distance = np.minimum(away, distance)
        return nearest, np.where(distance <= NEAR_INCIDENT_M, distance, np.inf)
