"""The gold tables: pure functions of silver, one SQL model each (transform/models/gold/<kind>.sql)."""

from __future__ import annotations

from fleetlake.contracts.columns import Column, Type
from fleetlake.contracts.table import Table

S, D, L, B, T = Type.STRING, Type.DOUBLE, Type.LONG, Type.BOOLEAN, Type.TIMESTAMP

DRIVING_EVENTS_KINDS = ("harsh_acceleration", "harsh_braking", "harsh_cornering", "overspeed")
FUEL_KINDS = ("consumption", "refuel", "theft")
GEOFENCE_KINDS = ("enter", "dwell", "exit")
PERIODS = ("day", "week")
DIMENSIONS = ("weather", "incident", "light", "road_class")

DEVICE = Column("device_id", S, "The vehicle's device", required=True)
DISTANCE = Column("distance_km", D, "Sum of the great-circle distances between its fixes", "km", required=True)


def _id(noun: str, of: str = "device and start time") -> Column:
    return Column(f"{noun}_id", S, f"Follows from {of}: the same data gives the same id", required=True)


def _episode(noun: str, of: str = "device and start time") -> tuple[Column, ...]:
    """The columns every gold table of episodes (something a device did from one time to another) begins with."""
    return (
        _id(noun, of), DEVICE,
        Column("start_time", T, "First report of it", required=True),
        Column("end_time", T, "Last report of it so far", required=True),
        Column("is_open", B, "Not known to have ended: the device's data stops within it", required=True),
        Column("duration_s", D, "end_time - start_time", "s", required=True),
        Column("fixes", L, "Positions it was computed from", required=True),
    )  # fmt: skip


def _position(where: str, before: str = "") -> tuple[Column, ...]:
    return (
        Column(f"{before}latitude", D, where, "deg", required=True, minimum=-90, maximum=90),
        Column(f"{before}longitude", D, where, "deg", required=True, minimum=-180, maximum=180),
    )


TRIPS = Table("gold", "trips", "A vehicle's way from setting out to having been still for a while", (
    *_episode("trip"),
    *_position("Where it began", "start_"),
    *_position("Where it ended, or is now", "end_"),
    DISTANCE,
    Column("moving_s", D, "Time between fixes in motion", "s", required=True),
    Column("idle_s", D, "Time between fixes at rest", "s", required=True),
    Column("average_speed_kmh", D, "distance_km over duration_s; null for a single fix", "km/h"),
    Column("top_speed_kmh", D, "Highest speed reported", "km/h"),
    Column("fuel_used_percent", D, "Fall of the fuel level within it, refuels left out; null if no level was reported", "%"),
    Column("start_place", S, "Nearest place of the gazetteer to where it began; null if none is near"),
    Column("end_place", S, "Nearest place of the gazetteer to where it ended, or is now; null if none is near"),
), partition_by="start_time", sort=("device_id", "start_time"), reads=("silver.positions",))  # fmt: skip

STOPS = Table("gold", "stops", "A vehicle at rest in one place for a while", (
    *_episode("stop"),
    *_position("Mean of its fixes"),
    Column("dwell_s", D, "duration_s and half of the time to the fixes before and after, within a bound", "s", required=True),
    Column("place", S, "Nearest place of the gazetteer; null if none is near"),
), partition_by="start_time", sort=("device_id", "start_time"), reads=("silver.positions",))  # fmt: skip

DRIVING_EVENTS = Table("gold", "driving_events", "Something a driver did too hard or too fast, one row an episode", (
    *_episode("driving_event", "device, kind, what measured it and start time"),
    Column("kind", S, "What it was", required=True, choices=DRIVING_EVENTS_KINDS),
    Column("measured_by", S, "What showed it: the peaks of an accelerometer unit, or speeds and times of fixes", required=True,
           choices=("accelerometer", "gps")),
    Column("peak_ms2", D, "Largest acceleration, braking or cornering; null for overspeed", "m/s2"),
    Column("peak_speed_kmh", D, "Highest speed reported within it", "km/h"),
    Column("speed_limit_kmh", D, "The road's limit where it began; null if the road is not known", "km/h"),
    *_position("Where it was first seen"),
    Column("road", S, "The road there; null if not known"),
    Column("place", S, "Nearest place of the gazetteer; null if none is near"),
), partition_by="start_time", sort=("device_id", "start_time"), reads=("silver.positions",))  # fmt: skip

GEOFENCE_EVENTS = Table("gold", "geofence_events", "A vehicle entering, staying in and leaving a geofence, one row each", (
    _id("geofence_event", "device, fence, kind and time"), DEVICE,
    Column("fence_id", S, "The fence's id in the GeoJSON file", required=True),
    Column("fence_name", S, "Its name there, or its id", required=True),
    Column("kind", S, "enter; dwell: it has been inside for as long as the setting says; exit", required=True,
           choices=GEOFENCE_KINDS),
    Column("event_time", T, "When; between two fixes where the way crosses the fence, as if at constant speed", required=True),
    *_position("Where it crossed, or is"),
    Column("dwell_s", D, "Time since it entered; 0 for enter", "s", required=True),
    Column("is_interpolated", B, "The crossing lies between two fixes", required=True),
), partition_by="event_time", sort=("device_id", "event_time"), reads=("silver.positions",))  # fmt: skip

FUEL = Table("gold", "fuel", "A device's fuel level: consumption between refuels, losses and midnights (UTC), and those", (
    _id("fuel", "device, kind and start time"), DEVICE,
    Column("kind", S, "consumption; refuel: the level rose; theft: it fell while neither vehicle nor engine ran", required=True,
           choices=FUEL_KINDS),
    Column("start_time", T, "First report of a level in it; for refuel and theft the last before the change", required=True),
    Column("end_time", T, "Last report of a level in it", required=True),
    Column("is_open", B, "The device's data stops within it", required=True),
    Column("reports", L, "Reports of a level it was computed from", required=True),
    Column("start_level_percent", D, "Level at its start", "%", required=True, minimum=0, maximum=100),
    Column("end_level_percent", D, "Level at its end", "%", required=True, minimum=0, maximum=100),
    Column("used_percent", D, "start_level_percent - end_level_percent; negative for a refuel", "%", required=True),
    Column("distance_km", D, "By the odometer, where it is reported with the level; null if never", "km"),
    Column("used_percent_per_100_km", D, "Consumption over distance; null without a distance", "%/100 km"),
    *_position("Where it ended"),
), partition_by="start_time", sort=("device_id", "start_time"), reads=("silver.positions",))  # fmt: skip

DRIVER_SCORES = Table("gold", "driver_scores", "A day or week (UTC) of a vehicle: 100 less weighted events per 100 km", (
    _id("driver_score", "device, period and start time"), DEVICE,
    Column("period", S, "Length of time it is about; a week begins on Monday", required=True, choices=PERIODS),
    Column("start_time", T, "Start of the period", required=True),
    Column("distance_km", D, "Sum of the great-circle distances between its fixes", "km", required=True),
    Column("score", D, "100 less all points, at least 0; null below the shortest distance that is scored"),
    *(column for kind in DRIVING_EVENTS_KINDS for column in (
        Column(f"{kind}_events", L, f"Episodes of {kind.replace('_', ' ')} that began in the period", required=True),
        Column(f"{kind}_points", D, "What they cost: weight times events per 100 km; null where there is no score"),
    )),
), partition_by="start_time", sort=("device_id", "start_time"), period="week",
    reads=("silver.positions", "gold.driving_events"))  # fmt: skip

EXPOSURE = Table("gold", "exposure", "Distance and time of a vehicle and day (UTC) by what it was exposed to", (
    _id("exposure", "device, day, dimension and category"), DEVICE,
    Column("start_time", T, "Start of the day", required=True),
    Column("dimension", S, "weather; incident: type of an active one near; light: day or night; road_class", required=True,
           choices=DIMENSIONS),
    Column("category", S, "Its value; unknown where it was not reported, none where no incident was near", required=True),
    DISTANCE,
    Column("duration_min", D, "Time of the same legs", "min", required=True),
), partition_by="start_time", sort=("device_id", "start_time"), reads=("silver.positions",), period="day")  # fmt: skip

FLEET_DAY = Table("gold", "fleet_day", "A vehicle's day (UTC): the row of a dashboard", (
    _id("fleet_day", "device and day"), DEVICE,
    Column("start_time", T, "Start of the day", required=True),
    Column("first_time", T, "First report", required=True),
    Column("last_time", T, "Last report", required=True),
    Column("positions", L, "Positions it has; those with a wrong clock are of no day", required=True),
    Column("flagged_positions", L, "Those of them that the quality rules left out", required=True),
    DISTANCE,
    Column("moving_min", D, "Time of legs in motion", "min", required=True),
    Column("idle_min", D, "Time of legs not in motion, with the ignition on", "min", required=True),
    Column("top_speed_kmh", D, "Highest speed reported by a good fix", "km/h"),
    Column("trips", L, "Trips that set out on the day", required=True),
    Column("stops", L, "Stops that began on the day", required=True),
    Column("driving_events", L, "Driving events that began on the day", required=True),
    Column("overspeed_min", D, "Duration of its overspeed events", "min", required=True),
    Column("fuel_used_percent", D, "Consumption that began on the day; null if no two levels tell", "%"),
    Column("refuels", L, "Refuels of the day", required=True),
    Column("score", D, "Of gold.driver_scores"),
), partition_by="start_time", sort=("device_id", "start_time"), period="day",
    reads=("silver.positions", "gold.trips", "gold.stops", "gold.driving_events", "gold.fuel", "gold.driver_scores"))  # fmt: skip

CAMERA_TRAFFIC = Table("gold", "camera_traffic", "What a traffic camera saw in an hour (UTC)", (
    _id("camera_traffic", "camera and hour"),
    Column("camera_id", S, "The camera", required=True),
    Column("start_time", T, "Start of the hour", required=True),
    *_position("Where the first picture was reported"),
    Column("pictures", L, "Pictures reported", required=True),
    Column("devices", L, "Vehicles of the fleet that reported them", required=True),
    Column("mean_vehicle_count", D, "Vehicles in view, mean of the pictures; null if none was counted"),
    Column("max_vehicle_count", L, "Most vehicles in view; null if none was counted"),
    Column("mean_speed_kmh", D, "Mean speed of the vehicles in view, weighted by their number; null if none was measured", "km/h"),
    Column("flow_per_h", D, "Vehicles that pass in an hour: vehicles in view over the length in view, times their speed", "1/h"),
), partition_by="start_time", sort=("camera_id", "start_time"), period="hour",
    reads=("silver.traffic_camera",), entity="camera_id")  # fmt: skip

GOLD: tuple[Table, ...] = (TRIPS, STOPS, DRIVING_EVENTS, GEOFENCE_EVENTS, FUEL, DRIVER_SCORES, EXPOSURE, FLEET_DAY, CAMERA_TRAFFIC)
