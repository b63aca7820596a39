"""The gold tables: pure functions of silver, one SQL model each (transform/models/gold/<kind>.sql)."""

from __future__ import annotations

from fleetlake.contracts.columns import Column, Type
from fleetlake.contracts.tables import Table

S, D, L, B, T = Type.STRING, Type.DOUBLE, Type.LONG, Type.BOOLEAN, Type.TIMESTAMP


def _episode(noun: str) -> tuple[Column, ...]:
    """The columns every gold table of episodes (something a device did from one time to another) begins with."""
    return (
        Column(f"{noun}_id", S, "Follows from device and start time: the same data gives the same id", required=True),
        Column("device_id", S, "The vehicle's device", required=True),
        Column("start_time", T, "First fix of it", required=True),
        Column("end_time", T, "Last fix of it so far", required=True),
        Column("is_open", B, "Not known to have ended: the device's data stops within it", required=True),
        Column("duration_s", D, "end_time - start_time", "s", required=True),
        Column("fixes", L, "GPS fixes it was computed from", required=True),
    )


TRIPS = Table("gold", "trips", "A vehicle's way from setting out to having been still for a while", (
    *_episode("trip"),
    Column("start_latitude", D, "Where it began", "deg", required=True, minimum=-90, maximum=90),
    Column("start_longitude", D, "Where it began", "deg", required=True, minimum=-180, maximum=180),
    Column("end_latitude", D, "Where it ended, or is now", "deg", required=True, minimum=-90, maximum=90),
    Column("end_longitude", D, "Where it ended, or is now", "deg", required=True, minimum=-180, maximum=180),
    Column("distance_km", D, "Sum of the great-circle distances between its fixes", "km", required=True),
    Column("moving_s", D, "Time between fixes in motion", "s", required=True),
    Column("idle_s", D, "Time between fixes at rest", "s", required=True),
    Column("average_speed_kmh", D, "distance_km over duration_s; null for a single fix", "km/h"),
    Column("top_speed_kmh", D, "Highest speed reported", "km/h"),
), partition_by="start_time", sort=("device_id", "start_time"))  # fmt: skip

STOPS = Table("gold", "stops", "A vehicle at rest in one place for a while", (
    *_episode("stop"),
    Column("latitude", D, "Mean of its fixes", "deg", required=True, minimum=-90, maximum=90),
    Column("longitude", D, "Mean of its fixes", "deg", required=True, minimum=-180, maximum=180),
), partition_by="start_time", sort=("device_id", "start_time"))  # fmt: skip

GOLD: tuple[Table, ...] = (TRIPS, STOPS)
