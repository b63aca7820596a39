"""What n vehicles report at a tick: the five events as columns, and the mission's generate functions that encode them."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

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
from fleetlake.simulate.encode import Column, encode
from fleetlake.simulate.fleet import MAKES, VEHICLE_TYPES, Bools, Fleet
from fleetlake.simulate.geodesy import EARTH_RADIUS_M, Floats, compass_index
from fleetlake.simulate.ids import lay_out, random_bytes
from fleetlake.simulate.numbers import fixed
from fleetlake.simulate.route import Route
from fleetlake.simulate.world import NEAR_INCIDENT_M, Surroundings, World

CAMERA_EVERY_M = 2_000.0
KINDS = (VEHICLE, GPS, TRAFFIC, WEATHER, EMERGENCY)
TRUTHS = pa.array(["false", "true"])


@dataclass(frozen=True, slots=True)
class Report:
    """m vehicles at one tick. who: their indices in the fleet. time_ms: Unix milliseconds; all else per vehicle."""

    who: Ints
    time_ms: int
    tick: int
    along_m: Floats
    speed_kmh: Floats
    limit_kmh: Floats
    latitude: Floats
    longitude: Floats
    heading_deg: Floats
    ignition: Bools
    peak_ms2: Floats
    around: Surroundings


def observe(fleet: Fleet, route: Route, around: Surroundings, time_s: float, start_ms: int, tick: int) -> Report:
    """What the reporting vehicles report now; `around` is of the whole fleet.

    Resets their peaks, and notes who has now reported its arrival.
    """
    who = np.flatnonzero(fleet.reporting(time_s))
    along = fleet.along_m[who]
    latitude, longitude = route.place(along)
    report = Report(
        who=who,
        time_ms=start_ms + round(time_s * 1000),
        tick=tick,
        along_m=along,
        speed_kmh=np.round(fleet.speed_ms[who] * 3.6, 2),
        limit_kmh=route.limit_at_ms(along) * 3.6,
        latitude=np.round(latitude, 7),
        longitude=np.round(longitude, 7),
        heading_deg=np.round(route.heading_deg[route.stretch(along)], 1) % 360,
        ignition=fleet.ignition(time_s)[who],
        peak_ms2=np.round(fleet.peak_ms2[who], 2),
        around=around.of(who),
    )
    fleet.peak_ms2[who] = 0.0
    fleet.reported_arrival |= fleet.arrived
    return report


@dataclass(frozen=True, slots=True)
class Batch:
    """Encoded events of one kind. time_ms and who belong to each of them, for those who count or delay."""

    event: Event
    keys: Sequence[bytes]
    values: Sequence[bytes]
    time_ms: npt.NDArray[np.int64]
    who: Ints


class Reporter:
    """Encodes reports. seed: the noise follows from it and the tick.

    run: 128 bits that no run with other events has; an id follows from them, the kind of event, the tick and the vehicle.
    gps_noise_m: standard deviation of a fix's position to the north and to the east.
    """

    def __init__(self, fleet: Fleet, route: Route, world: World, seed: int, *, run: int, gps_noise_m: float = 0.0) -> None:
        self._fleet, self._route, self._world, self._seed, self._gps_noise_m = fleet, route, world, seed, gps_noise_m
        self._run = run
        self._keys = np.array([name.encode() for name in fleet.device_id.tolist()], object)
        self._devices = pa.array(fleet.device_id.tolist())
        self._incidents = pa.array([text.decode() for text in world.incidents.id.tolist()])
        self._makes, self._models, self._fuels = (pa.array(names) for names in zip(*MAKES, strict=True))

    def batch(self, event: Event, reports: Sequence[Report]) -> Batch:
        """All events of a kind of one or more ticks, in their order."""
        who = np.concatenate([report.who for report in reports])
        tick = np.repeat(np.arange(len(reports)), [len(report.who) for report in reports])
        time_ms = (times := np.array([report.time_ms for report in reports]))[tick]
        columns: dict[str, Column] = {
            "id": ('"', self._ids(event, reports, time_ms), '"'),
            "deviceId": ('"', self._devices.take(pa.array(who)), '"'),  # a fleet's name has nothing to escape
            "timestamp": _coded(pa.array(times, pa.timestamp("ms")), tick),
            "location": _location(_all(reports, "latitude"), _all(reports, "longitude")),
        }
        columns |= _SPECIFIC[event.kind](self, reports, who)
        return Batch(event, self._keys[who].tolist(), encode(event, columns), time_ms, who)

    def _ids(self, event: Event, reports: Sequence[Report], time_ms: npt.NDArray[np.int64]) -> pa.Array:
        """Neither who else reports nor how many ticks make a batch changes an id."""
        kind, everyone = KINDS.index(event), len(self._fleet)
        bits = [random_bytes(self._run, (kind, report.tick), everyone)[report.who] for report in reports]
        ids = lay_out(time_ms, np.concatenate(bits), version=7)
        ends = np.arange(len(ids) + 1, dtype=np.int32) * ids.itemsize
        return pa.StringArray.from_buffers(len(ids), pa.py_buffer(ends), pa.py_buffer(ids))

    def _vehicle(self, reports: Sequence[Report], who: Ints) -> dict[str, Column]:
        fleet, along_km = self._fleet, _all(reports, "along_m") / 1000
        peaks, model = _all(reports, "peak_ms2"), fleet.model[who]
        fuel = np.maximum(fleet.fuel_start_percent[who] - fleet.fuel_percent_per_km[who] * along_km, 2.0)
        return _movement(reports) | {
            "make": _coded(self._makes, model),
            "model": _coded(self._models, model),
            "year": fixed(fleet.model_year[who], 0),
            "fuelType": _coded(self._fuels, model),
            "odometer": fixed(fleet.odometer_start_km[who] + along_km, 3),
            "fuelLevel": fixed(fuel, 2),
            "ignition": (TRUTHS.take(pa.array(_all(reports, "ignition").astype(np.int32))),),
            "maxAcceleration": fixed(peaks[:, 0], 2),
            "maxBraking": fixed(peaks[:, 1], 2),
            "maxCornering": fixed(peaks[:, 2], 2),
        }

    def _gps(self, reports: Sequence[Report], who: Ints) -> dict[str, Column]:
        along = _all(reports, "along_m")
        wobble = np.sin(along / 700 + who)
        return (
            _movement(reports)
            | self._noisy_location(reports)
            | {
                "vehicleType": _coded(pa.array(VEHICLE_TYPES), self._fleet.vehicle_type[who]),
                "altitude": fixed(75 + 45 * np.sin(along / 31_000) + 20 * np.sin(along / 7_000), 1),
                "accuracy": fixed(3.5 + 1.5 * wobble + 1.5 * self._gps_noise_m, 1),
                "satellites": fixed(11 - 2 * wobble, 0),
            }
        )

    def _noisy_location(self, reports: Sequence[Report]) -> dict[str, Column]:
        """Nothing without noise: the location is then what it is in every event."""
        if not self._gps_noise_m:
            return {}
        drawn = [np.random.default_rng([self._seed, 4, report.tick]).standard_normal((len(report.who), 2)) for report in reports]
        north_deg, east_deg = np.degrees(np.concatenate(drawn).T * self._gps_noise_m / EARTH_RADIUS_M)
        latitude, longitude = _all(reports, "latitude"), _all(reports, "longitude")
        east_deg /= np.cos(np.radians(latitude))
        return {"location": _location(latitude + north_deg, longitude + east_deg)}

    def _traffic(self, reports: Sequence[Report], who: Ints) -> dict[str, Column]:
        along = _all(reports, "along_m")
        camera = (along // CAMERA_EVERY_M).astype(np.int64)
        roads = [self._route.road[i] for i in self._route.stretch(np.arange(0, along.max() + 1, CAMERA_EVERY_M)).tolist()]
        names = pa.array([f"CAM-{road}-{i:03d}" for i, road in enumerate(roads)])
        count = np.round(_around(reports, "density") * 40).astype(np.int64)
        return {
            "cameraId": _coded(names, camera),
            "snapshot": _coded(pa.array([snapshot_png(i) for i in range(41)]), count),
            "vehicleCount": fixed(count, 0),
            "averageSpeed": fixed(_all(reports, "limit_kmh") * 0.95 * _around(reports, "slowing"), 1),
        }

    def _weather(self, reports: Sequence[Report], who: Ints) -> dict[str, Column]:
        def of(name: str, digits: int) -> Column:
            return fixed(np.concatenate([getattr(report.around.weather, name) for report in reports]), digits)

        condition = np.concatenate([report.around.weather.condition for report in reports])
        return {
            "temperature": of("temperature_c", 1),
            "weatherCondition": _coded(pa.array(WEATHER_CONDITIONS), condition),
            "precipitation": of("precipitation_mmh", 2),
            "windSpeed": of("wind_kmh", 1),
            "humidity": of("humidity_percent", 1),
            "airQualityIndex": of("air_quality_index", 1),
        }

    def _emergency(self, reports: Sequence[Report], who: Ints) -> dict[str, Column]:
        near, active = _around(reports, "incident_m") <= NEAR_INCIDENT_M, _around(reports, "incident_active")
        index, incidents = _around(reports, "incident"), self._world.incidents
        kind = np.where(near, incidents.kind[index], INCIDENT_TYPES.index("None"))
        place = np.where(near, incidents.along_m[index], _all(reports, "along_m"))
        texts = pa.array([f"{name} reported near the road" for name in INCIDENT_TYPES[:-1]] + ["nothing to report"])
        return {
            "incidentId": _coded(self._incidents, index, known=near),
            "type": _coded(pa.array(INCIDENT_TYPES), kind),
            "status": _coded(pa.array(["Resolved", "Active"]), near & active),
            "description": _coded(texts, kind),
            "location": _location(*self._route.place(place)),
        }


_SPECIFIC = {
    "vehicle": Reporter._vehicle, "gps": Reporter._gps, "traffic_camera": Reporter._traffic, "weather": Reporter._weather,
    "emergency": Reporter._emergency,
}  # fmt: skip


def _movement(reports: Sequence[Report]) -> dict[str, Column]:
    heading = _all(reports, "heading_deg")
    return {
        "speed": fixed(_all(reports, "speed_kmh"), 2),
        "direction": _coded(pa.array(COMPASS), compass_index(heading)),
        "heading": fixed(heading, 1),
    }


def _all(reports: Sequence[Report], name: str) -> npt.NDArray[Any]:
    return np.concatenate([getattr(report, name) for report in reports])


def _around(reports: Sequence[Report], name: str) -> npt.NDArray[Any]:
    return np.concatenate([getattr(report.around, name) for report in reports])


def _coded(values: pa.Array, indices: npt.NDArray[np.integer | np.bool_], *, known: Bools | None = None) -> pa.Array:
    """values[indices]; null where not `known`."""
    mask = None if known is None else ~known
    return pa.DictionaryArray.from_arrays(pa.array(indices.astype(np.int32), mask=mask), values)


def _location(latitude: Floats, longitude: Floats) -> Column:
    return "[", *fixed(latitude, 7), ",", *fixed(longitude, 7), "]"


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


def generate_vehicle_data(reporter: Reporter, reports: Sequence[Report]) -> Batch:
    """vehicle_data of one or more ticks."""
    return reporter.batch(VEHICLE, reports)


def generate_gps_data(reporter: Reporter, reports: Sequence[Report]) -> Batch:
    """gps_data of one or more ticks."""
    return reporter.batch(GPS, reports)


def generate_traffic_camera_data(reporter: Reporter, reports: Sequence[Report]) -> Batch:
    """traffic_data of one or more ticks."""
    return reporter.batch(TRAFFIC, reports)


def generate_weather_data(reporter: Reporter, reports: Sequence[Report]) -> Batch:
    """weather_data of one or more ticks."""
    return reporter.batch(WEATHER, reports)


def generate_emergency_incident_data(reporter: Reporter, reports: Sequence[Report]) -> Batch:
    """emergency_data of one or more ticks."""
    return reporter.batch(EMERGENCY, reports)


GENERATORS = (
    generate_vehicle_data,
    generate_gps_data,
    generate_traffic_camera_data,
    generate_weather_data,
    generate_emergency_incident_data,
)
