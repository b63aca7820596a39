"""The five events on the wire. JSON, UTF-8, one event a message, key = deviceId, header `schema: <kind>/<version>`."""

from __future__ import annotations

from dataclasses import dataclass

from fleetlake.contracts.columns import Column, Field, Type

COMPASS = ("North", "North-East", "East", "South-East", "South", "South-West", "West", "North-West")
WEATHER_CONDITIONS = ("Sunny", "Cloudy", "Rain", "Snow", "Fog")
INCIDENT_TYPES = ("Accident", "Fire", "Medical", "Police", "None")
INCIDENT_STATUSES = ("Active", "Resolved")


@dataclass(frozen=True, slots=True)
class Event:
    """One kind of event. `kind` names its tables (bronze.<kind>, silver.<kind>), `topic` its Kafka topic."""

    kind: str
    topic: str
    description: str
    fields: tuple[Field, ...]
    version: int = 1

    @property
    def columns(self) -> tuple[Column, ...]:
        return tuple(column for field in self.fields for column in field.columns)

    @property
    def schema_header(self) -> str:
        return f"{self.kind}/{self.version}"

    def field(self, name: str) -> Field:
        return next(field for field in self.fields if field.name == name)


def _field(
    name: str,
    column: str,
    type: Type,
    description: str,
    *,
    unit: str = "",
    required: bool = False,
    within: tuple[float, float] | None = None,
    choices: tuple[str, ...] = (),
    vss: str = "",
) -> Field:
    low, high = within or (None, None)
    made = Column(column, type, description, unit, required, low, high, choices, vss)
    return Field(name, type, (made,), required, description)


def _location(*, required: bool) -> Field:
    description = "WGS 84 position as [latitude, longitude]"
    latitude = Column("latitude", Type.DOUBLE, "WGS 84 latitude", "deg", required, -90, 90, vss="Vehicle.CurrentLocation.Latitude")
    longitude = Column(
        "longitude",
        Type.DOUBLE,
        "WGS 84 longitude",
        "deg",
        required,
        -180,
        180,
        vss="Vehicle.CurrentLocation.Longitude",
    )
    return Field("location", Type.LOCATION, (latitude, longitude), required, description)


S, D, N, B, T = Type.STRING, Type.DOUBLE, Type.INTEGER, Type.BOOLEAN, Type.TIMESTAMP

# A new field goes at the end of its event: tables number their columns in this order.
_ID = _field("id", "event_id", S, "Unique id of the event; a copy with the same id is a duplicate", required=True)
_DEVICE = _field("deviceId", "device_id", S, "The vehicle's device, also the message key", required=True)
_TIME = _field("timestamp", "event_time", T, "When the device measured it: ISO 8601, UTC, milliseconds, Z", required=True)
_PLACE, _MAYBE_PLACE = _location(required=True), _location(required=False)
_SPEED = _field("speed", "speed_kmh", D, "Speed over ground", unit="km/h", within=(0, 300), vss="Vehicle.Speed")
_DIRECTION = _field("direction", "direction", S, "Heading as one of eight compass points", choices=COMPASS)
_HEADING = _field(
    "heading", "heading_deg", D, "Heading, 0 = north, 90 = east", unit="deg", within=(0, 360),
    vss="Vehicle.CurrentLocation.Heading",
)  # fmt: skip


def _peak(name: str, column: str, what: str, vss: str = "") -> Field:
    return _field(
        name, column, D, f"Peak {what} since the last report, as the accelerometer unit saw it",
        unit="m/s2", within=(0, 50), vss=vss,
    )  # fmt: skip


VEHICLE = Event("vehicle", "vehicle_data", "State of the vehicle at a tick", (
    _ID, _DEVICE, _TIME, _PLACE, _SPEED, _DIRECTION,
    _field("make", "make", S, "Manufacturer", vss="Vehicle.VehicleIdentification.Brand"),
    _field("model", "model", S, "Model", vss="Vehicle.VehicleIdentification.Model"),
    _field("year", "model_year", N, "Model year", within=(1950, 2100), vss="Vehicle.VehicleIdentification.Year"),
    _field("fuelType", "fuel_type", S, "Fuel, for example Petrol, Diesel, Hybrid or Electric"),
    _HEADING,
    _field("odometer", "odometer_km", D, "Distance the vehicle has travelled in its life", unit="km",
           within=(0, 10_000_000), vss="Vehicle.TraveledDistance"),
    _field("fuelLevel", "fuel_level_percent", D, "Fuel or charge left", unit="%", within=(0, 100),
           vss="Vehicle.Powertrain.FuelSystem.RelativeLevel"),
    _field("ignition", "ignition", B, "Whether the ignition is on"),
    _peak("maxAcceleration", "max_acceleration_ms2", "forward acceleration", "Vehicle.Acceleration.Longitudinal"),
    _peak("maxBraking", "max_braking_ms2", "braking"),
    _peak("maxCornering", "max_cornering_ms2", "sideways acceleration", "Vehicle.Acceleration.Lateral"),
))  # fmt: skip

GPS = Event("gps", "gps_data", "A position fix", (
    _ID, _DEVICE, _TIME, _SPEED, _DIRECTION,
    _field("vehicleType", "vehicle_type", S, "Kind of vehicle, for example private or bus"),
    _MAYBE_PLACE, _HEADING,
    _field("altitude", "altitude_m", D, "Altitude above mean sea level", unit="m", within=(-500, 10_000),
           vss="Vehicle.CurrentLocation.Altitude"),
    _field("accuracy", "accuracy_m", D, "Radius the true position is in, 68 % of the time", unit="m", within=(0, 100_000),
           vss="Vehicle.CurrentLocation.HorizontalAccuracy"),
    _field("satellites", "satellites", N, "Satellites used for the fix", within=(0, 100)),
    _field("derived", "derived", S, "Comma-separated names of fields computed from positions, not measured"),
))  # fmt: skip

TRAFFIC = Event("traffic_camera", "traffic_data", "What a roadside camera saw", (
    _ID, _DEVICE, _field("cameraId", "camera_id", S, "The camera", required=True), _PLACE, _TIME,
    _field("snapshot", "snapshot_base64", S, "A small picture, base64"),
    _field("vehicleCount", "vehicle_count", N, "Vehicles in view", within=(0, 10_000)),
    _field("averageSpeed", "average_speed_kmh", D, "Mean speed of the vehicles in view", unit="km/h", within=(0, 300)),
))  # fmt: skip

WEATHER = Event("weather", "weather_data", "Weather where the vehicle is", (
    _ID, _DEVICE, _PLACE, _TIME,
    _field("temperature", "temperature_c", D, "Air temperature", unit="degC", within=(-90, 60),
           vss="Vehicle.Exterior.AirTemperature"),
    _field("weatherCondition", "weather_condition", S, "Weather in a word", choices=WEATHER_CONDITIONS),
    _field("precipitation", "precipitation_mmh", D, "Rain or melted snow", unit="mm/h", within=(0, 500)),
    _field("windSpeed", "wind_speed_kmh", D, "Mean wind", unit="km/h", within=(0, 500)),
    _field("humidity", "humidity_percent", D, "Relative humidity", unit="%", within=(0, 100),
           vss="Vehicle.Exterior.Humidity"),
    _field("airQualityIndex", "air_quality_index", D, "Air quality index (US EPA scale)", within=(0, 500)),
))  # fmt: skip

EMERGENCY = Event("emergency", "emergency_data", "The nearest incident, type None where there is none", (
    _ID, _DEVICE, _field("incidentId", "incident_id", S, "The incident; one id for as long as it lasts"),
    _field("type", "incident_type", S, "What happened", required=True, choices=INCIDENT_TYPES),
    _TIME, _PLACE,
    _field("status", "status", S, "Whether it is still going on", required=True, choices=INCIDENT_STATUSES),
    _field("description", "description", S, "Free text"),
))  # fmt: skip

EVENTS: tuple[Event, ...] = (VEHICLE, GPS, TRAFFIC, WEATHER, EMERGENCY)


def event_for_topic(topic: str) -> Event:
    """The event a topic carries. KeyError for an unknown topic."""
    return {event.topic: event for event in EVENTS}[topic]
