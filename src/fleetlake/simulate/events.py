"""The five events of a round of reports, written as JSON, and the mission's generate functions that do so."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fleetlake.contracts.events import (
    COMPASS,
    EMERGENCY,
    GPS,
    INCIDENT_TYPES,
    TRAFFIC,
    VEHICLE,
    WEATHER,
    WEATHER_CONDITIONS,
    Event,
)
from fleetlake.simulate.driver import Ints
from fleetlake.simulate.fleet import MAKES, MODEL_YEARS, VEHICLE_TYPES, Fleet
from fleetlake.simulate.geodesy import EARTH_RADIUS_M, Floats, compass_index
from fleetlake.simulate.ids import GROUP_WORDS, RandomGroups
from fleetlake.simulate.moments import Moments
from fleetlake.simulate.numbers import Numbers, Thousands
from fleetlake.simulate.rounds import Round, RoundReport, joined
from fleetlake.simulate.route import Route
from fleetlake.simulate.words import Part, Words, members, write_events
from fleetlake.simulate.world import NEAR_INCIDENT_M, World

CAMERA_EVERY_M = 2_000.0
KINDS = (VEHICLE, GPS, TRAFFIC, WEATHER, EMERGENCY)
MOST_VEHICLES_SEEN = 40  # by a camera


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Encoded events of one kind. time_ms and who belong to each of them, for those who count or delay."""

    event: Event
    keys: Sequence[bytes]
    values: Sequence[bytes]
    time_ms: npt.NDArray[np.int64]
    who: Ints


Columns: TypeAlias = dict[str, tuple[Part, ...]]  # wire field name to its words; those after it may be among them


class Reporter:
    """Writes events. seed: the noise follows from it and the tick.

    run: 128 bits that no run with other events has; an id follows from them, the kind of event, the tick and the vehicle.
    gps_noise_m: standard deviation of a fix's position to the north and to the east.
    """

    def __init__(self, fleet: Fleet, route: Route, world: World, seed: int, *, run: int, gps_noise_m: float = 0.0) -> None:
        self._fleet, self._route, self._world, self._seed, self._gps_noise_m = fleet, route, world, seed, gps_noise_m
        self._run = run
        self._keys = Words(fleet.device_id.tolist())
        self._moments = Moments()
        self._words = _Vocabulary(fleet, route, world)

    def batch(self, event: Event, reports: Sequence[RoundReport]) -> EventBatch:
        """All events of a kind of one or more ticks, in their order."""
        made = Round(reports)
        who = made.column("who")
        columns = self._common(event, made, who) | _SPECIFIC[event.kind](self, made, who)
        parts = [part for field in event.fields for part in columns.get(field.name, ())]
        values = write_events([*parts, (self._words.end, np.zeros(1, np.int32))], len(who))
        time_ms = made.spread(np.array([report.time_ms for report in made]))
        return EventBatch(event, write_events([(self._keys, who)], len(who)), values, time_ms, who)

    def _common(self, event: Event, made: Round, who: Ints) -> Columns:
        heads, stamps, moments = made.once("moments", lambda: self._moments.parts([report.time_ms for report in made]))
        moment = made.once("moment", lambda: made.spread(moments))
        return {
            "id": ((heads, moment), *self._ids(event, made)),
            "deviceId": ((self._words.devices, who),),
            "timestamp": ((stamps, moment),),
            "location": made.once("location", lambda: self._location(made.column("latitude"), made.column("longitude"))),
        }

    def _ids(self, event: Event, made: Round) -> tuple[Part, ...]:
        """Neither who else reports nor how many ticks make a batch changes an id."""
        kind, groups, own = KINDS.index(event), RandomGroups(self._run), []
        for report in made:
            first, last = int(report.who[0]), int(report.who[-1])
            drawn = groups.draw((kind, report.tick), first, last)
            own.append(drawn if len(drawn) == len(report.who) else drawn[report.who - first])
        return tuple(zip(GROUP_WORDS, joined(own).T, strict=True))

    def _location(self, latitude: Floats, longitude: Floats) -> tuple[Part, ...]:
        return (*self._words.latitude.parts(latitude), *self._words.longitude.parts(longitude))

    def _movement(self, made: Round) -> Columns:
        stretch = made.column("stretch")
        return {
            "speed": made.once("speed", lambda: self._words.speed.parts(made.column("speed_kmh"))),
            "heading": ((self._words.headings, stretch),),
        }

    def _vehicle(self, made: Round, who: Ints) -> Columns:
        fleet, words, along_km = self._fleet, self._words, made.column("along_m") / 1000
        peaks, compass = made.column("peak_ms2"), words.compass[made.column("stretch")]
        fuel = np.maximum(fleet.fuel_start_percent[who] - fleet.fuel_percent_per_km[who] * along_km, 2.0)
        return self._movement(made) | {
            "direction": ((words.cars, compass * words.car_models + words.car[who]),),  # and make, model, year, fuelType
            "odometer": words.odometer.parts(fleet.odometer_start_km[who] + along_km),
            "fuelLevel": words.fuel.parts(fuel),
            "ignition": ((words.ignition, made.column("ignition")),),
            "maxAcceleration": words.acceleration.parts(peaks[:, 0]),
            "maxBraking": words.braking.parts(peaks[:, 1]),
            "maxCornering": words.cornering.parts(peaks[:, 2]),
        }

    def _gps(self, made: Round, who: Ints) -> Columns:
        words, along = self._words, made.column("along_m")
        wobble, compass = np.sin(along / 700 + who), words.compass[made.column("stretch")]
        return (
            self._movement(made)
            | self._noisy_location(made)
            | {
                "direction": ((words.vehicles, compass * len(VEHICLE_TYPES) + self._fleet.vehicle_type[who]),),  # and vehicleType
                "altitude": words.altitude.parts(75 + 45 * np.sin(along / 31_000) + 20 * np.sin(along / 7_000)),
                "accuracy": words.accuracy.parts(3.5 + 1.5 * wobble + 1.5 * self._gps_noise_m),
                "satellites": words.satellites.parts(11 - 2 * wobble),
            }
        )

    def _noisy_location(self, made: Round) -> Columns:
        """Nothing without noise: the location is then what it is in every event."""
        if not self._gps_noise_m:
            return {}
        drawn = [
            np.random.default_rng([self._seed, 4, report.tick]).standard_normal((report.before + len(report.who), 2))[
                report.before :
            ]
            for report in made
        ]
        north_deg, east_deg = np.degrees(joined(drawn).T * self._gps_noise_m / EARTH_RADIUS_M)
        latitude, longitude = made.column("latitude"), made.column("longitude")
        east_deg /= np.cos(np.radians(latitude))
        return {"location": self._location(latitude + north_deg, longitude + east_deg)}

    def _traffic(self, made: Round, who: Ints) -> Columns:
        words = self._words
        camera = (made.column("along_m") // CAMERA_EVERY_M).astype(np.int64)
        count = np.round(made.around("density") * MOST_VEHICLES_SEEN).astype(np.int64)
        return {
            "cameraId": ((words.cameras, camera),),
            "snapshot": ((words.snapshots, count),),  # and vehicleCount
            "averageSpeed": words.average_speed.parts(made.column("limit_kmh") * 0.95 * made.around("slowing")),
        }

    def _weather(self, made: Round, who: Ints) -> Columns:
        words = self._words
        return {
            "temperature": words.temperature.parts(made.weather("temperature_c")),
            "weatherCondition": ((words.conditions, made.weather("condition")),),
            "precipitation": words.precipitation.parts(made.weather("precipitation_mmh")),
            "windSpeed": words.wind.parts(made.weather("wind_kmh")),
            "humidity": words.humidity.parts(made.weather("humidity_percent")),
            "airQualityIndex": words.air_quality.parts(made.weather("air_quality_index")),
        }

    def _emergency(self, made: Round, who: Ints) -> Columns:
        near, active = made.around("incident_m") <= NEAR_INCIDENT_M, made.around("incident_active")
        incident, incidents = made.around("incident"), self._world.incidents
        none = len(incidents.kind)
        place = np.where(near, incidents.along_m[incident], made.column("along_m"))
        return {
            "incidentId": ((self._words.incidents, np.where(near, incident, none)),),  # and type
            "status": ((self._words.statuses, np.where(near, incident + active * (none + 1), none)),),  # and description
            "location": self._location(*self._route.place(place)),
        }


_SPECIFIC = {
    "vehicle": Reporter._vehicle, "gps": Reporter._gps, "traffic_camera": Reporter._traffic, "weather": Reporter._weather,
    "emergency": Reporter._emergency,
}  # fmt: skip


class _Vocabulary:
    """The words of a run's events. What follows from the same thing and stands side by side is one word.

    compass: stretch of the route to the compass point of its heading. car: per vehicle, which of `car_models` it is.
    """

    def __init__(self, fleet: Fleet, route: Route, world: World) -> None:
        heading = np.round(route.heading_deg, 1) % 360
        self.compass = compass_index(heading)
        self.end = Words(["}"])
        self.devices = Words(f'","deviceId":"{name}"' for name in fleet.device_id.tolist())  # nothing to escape in a fleet's name
        self.latitude = Numbers(',"location":[', 7, lower=4)
        self.longitude = Numbers(",", 7, "]", lower=4)
        self.speed = Numbers(',"speed":', 2)
        self.headings = Words(f',"heading":{text}' for text in pa.array(np.round(heading, 1)).cast(pa.string()).to_pylist())
        years = range(*MODEL_YEARS)
        self.car, self.car_models = fleet.model * len(years) + fleet.model_year - years[0], len(MAKES) * len(years)
        self.cars = Words(
            members({"direction": point, "make": make, "model": model, "year": year, "fuelType": fuel})
            for point, (make, model, fuel), year in product(COMPASS, MAKES, years)
        )
        self.odometer = Thousands(',"odometer":')
        self.fuel = Numbers(',"fuelLevel":', 2)
        self.ignition = Words([members({"ignition": False}), members({"ignition": True})])
        self.acceleration, self.braking, self.cornering = (
            Numbers(f',"{name}":', 2) for name in ("maxAcceleration", "maxBraking", "maxCornering")
        )
        self.vehicles = Words(members({"direction": point, "vehicleType": kind}) for point, kind in product(COMPASS, VEHICLE_TYPES))
        self.altitude, self.accuracy = Numbers(',"altitude":', 1), Numbers(',"accuracy":', 1)
        self.satellites = Numbers(',"satellites":', 0)
        at = route.stretch(np.arange(0, route.length_m + 1, CAMERA_EVERY_M)).tolist()
        self.cameras = Words(members({"cameraId": f"CAM-{route.road[stretch]}-{i:03d}"}) for i, stretch in enumerate(at))
        self.snapshots = Words(members({"snapshot": snapshot_png(i), "vehicleCount": i}) for i in range(MOST_VEHICLES_SEEN + 1))
        self.average_speed = Numbers(',"averageSpeed":', 1)
        self.temperature, self.precipitation = Numbers(',"temperature":', 1), Numbers(',"precipitation":', 2)
        self.conditions = Words(members({"weatherCondition": name}) for name in WEATHER_CONDITIONS)
        self.wind, self.humidity = Numbers(',"windSpeed":', 1), Numbers(',"humidity":', 1)
        self.air_quality = Numbers(',"airQualityIndex":', 1)
        named = [INCIDENT_TYPES[kind] for kind in world.incidents.kind.tolist()]
        ids = [text.decode() for text in world.incidents.id.tolist()]
        nothing = INCIDENT_TYPES[-1]
        self.incidents = Words(
            [members({"incidentId": i, "type": kind}) for i, kind in zip(ids, named, strict=True)] + [members({"type": nothing})]
        )
        texts = [*(f"{kind} reported near the road" for kind in named), "nothing to report"]
        self.statuses = Words(
            members({"status": status, "description": text}) for status, text in product(("Resolved", "Active"), texts)
        )


@cache
def snapshot_png(vehicles: int, width: int = 24, height: int = 8) -> str:
    """A small grey picture of a road with `vehicles` light marks on it: a valid PNG, base64."""
    pixels = np.full((height, width), 70, np.uint8)
    for i in range(vehicles):
        pixels[2 + 2 * (i % 3), (i * 7) % width] = 230
    lines = b"".join(b"\0" + row.tobytes() for row in pixels)

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines, 9)) + chunk(b"IEND", b"")
    return base64.b64encode(png).decode()


def generate_vehicle_data(reporter: Reporter, reports: Sequence[RoundReport]) -> EventBatch:
    """vehicle_data of one or more ticks."""
    return reporter.batch(VEHICLE, reports)


def generate_gps_data(reporter: Reporter, reports: Sequence[RoundReport]) -> EventBatch:
    """gps_data of one or more ticks."""
    return reporter.batch(GPS, reports)


def generate_traffic_camera_data(reporter: Reporter, reports: Sequence[RoundReport]) -> EventBatch:
    """traffic_data of one or more ticks."""
    return reporter.batch(TRAFFIC, reports)


def generate_weather_data(reporter: Reporter, reports: Sequence[RoundReport]) -> EventBatch:
    """weather_data of one or more ticks."""
    return reporter.batch(WEATHER, reports)


def generate_emergency_incident_data(reporter: Reporter, reports: Sequence[RoundReport]) -> EventBatch:
    """emergency_data of one or more ticks."""
    return reporter.batch(EMERGENCY, reports)


GENERATORS = (
    generate_vehicle_data,
    generate_gps_data,
    generate_traffic_camera_data,
    generate_weather_data,
    generate_emergency_incident_data,
)
