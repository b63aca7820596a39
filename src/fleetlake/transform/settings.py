"""What the models are measured by, and what a run may use."""

from __future__ import annotations

from dataclasses import dataclass, field

MPH_IN_MS = 0.44704


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The models' settings, under the names they have in the SQL.

    lateness_s: s; a row that arrives further behind its device's latest time is late. The watermark of the streaming engine.
    trip_start_speed_ms: m/s; 5 mph (Samsara's trips). At this speed or above a vehicle moves.
    trip_end_s: s; 5 minutes (Samsara's trips). A standstill or a silence longer than this ends a trip.
    stop_speed_ms: m/s; slower than this a vehicle is at rest: above the noise of a GPS speed, below a walk.
    stop_min_s: s; the shortest stop (Traccar's minimal parking is 180 s to 300 s).
    stop_radius_m: m; how far fixes at rest may lie from the first of them: GPS scatter and a parking space.
    """

    lateness_s: float = 120.0
    trip_start_speed_ms: float = 5 * MPH_IN_MS
    trip_end_s: float = 300.0
    stop_speed_ms: float = 1.0
    stop_min_s: float = 180.0
    stop_radius_m: float = 50.0


@dataclass(frozen=True, slots=True)
class TransformSettings:
    """How a run works.

    memory_limit: what DuckDB may hold before it spills to a temporary folder, for example "1GB". threads: 0 for one a core.
    attempts: how often a table is computed anew when another writer changes it meanwhile.
    """

    thresholds: Thresholds = field(default_factory=Thresholds)
    memory_limit: str = "1GB"
    threads: int = 0
    attempts: int = 5
