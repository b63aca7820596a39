"""silver.positions, what all gold tables are made of: one SQL model (transform/models/silver/positions.sql)."""

from __future__ import annotations

from fleetlake.contracts.columns import Column, Type
from fleetlake.contracts.events import EMERGENCY, GPS, VEHICLE, WEATHER, Event
from fleetlake.contracts.table import Table

S, D, B, T = Type.STRING, Type.DOUBLE, Type.BOOLEAN, Type.TIMESTAMP

QUALITY_REASONS = (
    "no_fix", "future", "stale", "duplicate_time", "poor_accuracy", "frozen", "jump",
)  # fmt: skip
ROAD_CLASSES = ("motorway", "main", "local", "unknown")


def _of(event: Event, *names: str) -> tuple[Column, ...]:
    return tuple(column.nullable() for column in event.columns if column.name in names)


POSITIONS = Table(
    "silver", "positions",
    "What a device reported for one instant, joined, judged and enriched: a row per GPS row, and per instant only vehicle_data has",
    (
        Column("event_id", S, "Of the GPS row; of the vehicle's report where there is none", required=True),
        Column("device_id", S, "The vehicle's device", required=True),
        Column("event_time", T, "When the device measured it", required=True),
        *_of(GPS, "latitude", "longitude", "speed_kmh", "heading_deg", "altitude_m", "accuracy_m"),
        Column("is_speed_derived", B, "The speed was computed from positions, not measured", required=True),
        *_of(VEHICLE, "ignition", "odometer_km", "fuel_level_percent"),
        *_of(VEHICLE, "max_acceleration_ms2", "max_braking_ms2", "max_cornering_ms2"),
        Column(
            "quality", S,
            "Why it adds no distance; null for a good fix. no_fix: no GPS position, the place is the vehicle's own report; "
            "future: measured after it arrived; stale: a clock years behind; duplicate_time: not the best of its instant; "
            "poor_accuracy; frozen: the same place while moving; jump: too far from the fixes beside it to be true",
            choices=QUALITY_REASONS,
        ),
        Column("leg_s", D, "Time since the good fix before; null if there is none, longer ago than a trip lasts without "
               "one, or too far away to be true", "s"),
        Column("leg_m", D, "Distance since that fix, 0 between two at rest", "m"),
        *_of(WEATHER, "weather_condition", "precipitation_mmh", "temperature_c"),
        *_of(EMERGENCY, "incident_id", "incident_type"),
        Column("incident_distance_m", D, "Distance to that incident, the nearest active one the device last reported", "m"),
        Column("road", S, "Nearest known road, if it is near enough"),
        Column("road_class", S, "Its class", required=True, choices=ROAD_CLASSES),
        Column("speed_limit_kmh", D, "Its speed limit", "km/h"),
        Column("is_night", B, "The sun is lower than the setting says (civil twilight); null without a place"),
    ),
    partition_by="event_time", sort=("device_id", "event_time"),
    reads=("silver.gps", "silver.vehicle", "silver.weather", "silver.emergency"),
)  # fmt: skip
