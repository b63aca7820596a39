"""What the models are measured by, and what a run may use."""

from __future__ import annotations

from dataclasses import dataclass, field

from fleetlake.transform.references import References, read_references

MPH_IN_MS = 0.44704


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The models' settings, under the names they have in the SQL.

    lateness_s: s; a row that arrives further behind its device's latest time is late. The watermark of the streaming engine.

    Quality of positions (silver.positions)
    future_s: s; a row measured later than it arrived by more than this has a wrong clock: more than clocks of servers differ.
    stale_s: s; one measured longer before it arrived has a wrong clock too. 10 years: longer than recordings are kept, shorter than
    the 19.6 years by which a GPS receiver errs after a week number rollover.
    max_accuracy_m: m; a fix that says it is less exact is not used: a fix from cell towers is, from satellites it is 3 to 20.
    jump_speed_ms, jump_slack_m: m/s, m; a way longer than the slack that would have been faster is not true. 300 km/h is the
    contract's highest speed; the slack is for scatter between fixes that are close in time.
    frozen_m: m; a position that repeats to the last digit, though at the speed reported it is so far to the next, is frozen.

    Surroundings
    weather_age_s, incident_age_s: s; how old a device's last report of the weather, or of an incident near, may be.
    road_near_m: m; a fix that is farther from every known road is on none: two carriageways and the scatter of GPS.
    night_sun_deg: deg; it is night while the sun is lower: civil twilight ends at -6.
    place_near_m: m; the nearest place of the gazetteer is named if it is nearer.

    Trips and stops
    trip_start_speed_ms: m/s; 5 mph (Samsara's trips). At this speed or above a vehicle moves.
    trip_end_s: s; 5 minutes (Samsara's trips). A standstill or a silence longer than this ends a trip.
    stop_speed_ms: m/s; slower than this a vehicle is at rest: above the noise of a GPS speed, below a walk.
    stop_min_s: s; the shortest stop (Traccar's minimal parking is 180 s to 300 s).
    stop_radius_m: m; how far fixes at rest may lie from the first of them: GPS scatter and a parking space.
    stop_unseen_s: s; a stop began and ended between fixes: half of the time to the fix before it, and to the one after, counts as
    part of it, up to this: half a minute, so that vehicles that report twice a minute have the stops of those that do so often.

    Driving
    harsh_acceleration_ms2, harsh_braking_ms2, harsh_cornering_ms2: m/s2; peaks of an accelerometer unit (Teltonika's defaults).
    gps_braking_ms2: m/s2; loss of speed between two fixes, where no such unit reports (7 mph/s, insurers' figure).
    gps_braking_gap_s: s; the longest time between those two: a figure for 1 Hz data.
    overspeed_factor: share of the road's limit that is too fast. overspeed_min_s: s; the shortest overspeed.
    event_gap_s: s; reports of the same thing that follow each other within this are one event.
    weight_*: points that an event per 100 km costs. score_min_km: km; no score for less.

    Fuel, fences, cameras
    refuel_min_percent, theft_min_percent: percent; the smallest rise, or fall at rest: above what a slope does to a tank's float.
    geofence_dwell_s: s; how long a vehicle is inside a fence before a dwell event.
    camera_view_m: m; the length of road a camera sees, for the flow.
    """

    lateness_s: float = 120.0
    future_s: float = 300.0
    stale_s: float = 3650 * 86_400.0
    max_accuracy_m: float = 100.0
    jump_speed_ms: float = 300 / 3.6
    jump_slack_m: float = 100.0
    frozen_m: float = 25.0
    weather_age_s: float = 600.0
    incident_age_s: float = 600.0
    road_near_m: float = 50.0
    night_sun_deg: float = -6.0
    place_near_m: float = 25_000.0
    trip_start_speed_ms: float = 5 * MPH_IN_MS
    trip_end_s: float = 300.0
    stop_speed_ms: float = 1.0
    stop_min_s: float = 180.0
    stop_radius_m: float = 50.0
    stop_unseen_s: float = 30.0
    harsh_acceleration_ms2: float = 2.5
    harsh_braking_ms2: float = 2.7
    harsh_cornering_ms2: float = 3.4
    gps_braking_ms2: float = 3.13
    gps_braking_gap_s: float = 1.5
    overspeed_factor: float = 1.0
    overspeed_min_s: float = 10.0
    event_gap_s: float = 60.0
    weight_harsh_acceleration: float = 4.0
    weight_harsh_braking: float = 6.0
    weight_harsh_cornering: float = 4.0
    weight_overspeed: float = 8.0
    score_min_km: float = 5.0
    refuel_min_percent: float = 5.0
    theft_min_percent: float = 5.0
    geofence_dwell_s: float = 300.0
    camera_view_m: float = 100.0


@dataclass(frozen=True, slots=True)
class TransformSettings:
    """How a run works.

    references: roads, places and fences. memory_limit: what DuckDB may hold before it spills below the home, for example
    "1GB". threads: 0 for one a core.
    attempts: how often a table is computed anew when another writer changes it meanwhile.
    """

    thresholds: Thresholds = field(default_factory=Thresholds)
    references: References = field(default_factory=read_references)
    memory_limit: str = "1GB"
    threads: int = 0
    attempts: int = 5
