"""The reports on trips, driving, fuel, exposure and the fleet; that on scores has a module of its own."""

from __future__ import annotations

from fleetlake.contracts.gold import DIMENSIONS, DRIVING_EVENTS, DRIVING_EVENTS_KINDS, EXPOSURE, FLEET_DAY, TRIPS
from fleetlake.contracts.gold import FUEL as FUEL_TABLE
from fleetlake.serve.reports.columns import (
    DEVICE,
    DEVICES,
    KM,
    count,
    end,
    hours,
    instant,
    named,
    number,
    seconds,
    share,
    still_open,
    sum_of,
    text,
)
from fleetlake.serve.reports.definition import ReportDefinition, Row, Shown
from fleetlake.serve.reports.scores import SCORES
from fleetlake.serve.reports.wording import duration, fixed, minutes, tenths, words


def _peak(row: Row) -> str:
    if row["kind"] == "overspeed":
        return "" if row["peak_speed_kmh"] is None else f"{fixed(row['peak_speed_kmh'])} km/h"
    return "" if row["peak_ms2"] is None else f"{fixed(row['peak_ms2'], 2)} m/s²"


WHAT_HAPPENED = (
    instant("start (UTC)"),
    named("what", "kind"),
    Shown("peak", _peak, is_number=True),
    number("limit", "speed_limit_kmh"),
    seconds("for", "duration_s"),
    text("road", "road"),
    text("place", "place"),
)

TRIP_REPORT = ReportDefinition(
    "trips", "Trips", "trips", (TRIPS,), order="start_time, device_id",
    columns=(
        DEVICE,
        instant("start (UTC)"),
        end("end"),
        seconds("duration", "duration_s"),
        seconds("idle", "idle_s"),
        number("km", "distance_km", 1),
        number("km/h", "average_speed_kmh"),
        number("top", "top_speed_kmh"),
        text("from", "start_place", is_optional=True),
        text("to", "end_place", is_optional=True),
        still_open(),
    ),
    totals=(
        count("trip"),
        count("open", "count(*) FILTER (WHERE is_open)", plural="open"),
        DEVICES,
        KM,
        sum_of("under way", "sum(duration_s)", duration),
        sum_of("of it idle", "sum(idle_s)", duration),
    ),
)  # fmt: skip

DRIVING_REPORT = ReportDefinition(
    "driving", "Driving events", "driving events", (DRIVING_EVENTS,), order="start_time, device_id, kind",
    columns=(DEVICE, *WHAT_HAPPENED, named("by", "measured_by")),
    totals=(
        count("driving event"),
        *(count(words(kind), f"count(*) FILTER (WHERE kind = '{kind}')", plural=words(kind)) for kind in DRIVING_EVENTS_KINDS),
        sum_of("above the limit", "sum(duration_s) FILTER (WHERE kind = 'overspeed')", duration),
        DEVICES,
    ),
    note="peak: largest acceleration, or highest speed; limit: the road's, in km/h; by: what measured it",
)  # fmt: skip

CONSUMED = "sum(used_percent) FILTER (WHERE kind = 'consumption')"
MEASURED = "WHERE kind = 'consumption' AND distance_km IS NOT NULL"

FUEL_REPORT = ReportDefinition(
    "fuel", "Fuel", "changes of fuel", (FUEL_TABLE,), order="start_time, device_id, kind",
    columns=(
        DEVICE,
        named("what", "kind"),
        instant("start (UTC)"),
        end("end"),
        number("from %", "start_level_percent", 1),
        number("to %", "end_level_percent", 1),
        number("used %", "used_percent", 1),
        number("km", "distance_km", 1),
        number("% per 100 km", "used_percent_per_100_km", 1),
        still_open(),
    ),
    totals=(
        sum_of("% of a tank used", CONSUMED, tenths),
        sum_of("km", f"sum(distance_km) FILTER ({MEASURED})", tenths),
        sum_of(
            "% per 100 km",
            f"100 * sum(used_percent) FILTER ({MEASURED}) / nullif(sum(distance_km) FILTER ({MEASURED}), 0)",
            tenths,
        ),
        count("refuel", "count(*) FILTER (WHERE kind = 'refuel')"),
        sum_of("% filled in", "-sum(used_percent) FILTER (WHERE kind = 'refuel')", tenths),
        count("theft", "count(*) FILTER (WHERE kind = 'theft')"),
        sum_of("% stolen", "sum(used_percent) FILTER (WHERE kind = 'theft')", tenths),
        DEVICES,
    ),
    note="% is of a full tank or battery; theft: the level fell while the vehicle did not move",
)  # fmt: skip

EXPOSURE_REPORT = ReportDefinition(
    "exposure", "Exposure", "exposure", (EXPOSURE,), order="start_time, device_id, dimension, category",
    people=f"""
        SELECT
            dimension, category, count(DISTINCT device_id) AS devices,
            sum(distance_km) AS distance_km, sum(duration_min) AS duration_min,
            sum(distance_km) / nullif(sum(sum(distance_km)) OVER (PARTITION BY dimension), 0) AS distance_share,
            sum(duration_min) / nullif(sum(sum(duration_min)) OVER (PARTITION BY dimension), 0) AS duration_share
        FROM rows
        GROUP BY dimension, category
        ORDER BY list_position({list(DIMENSIONS)}, dimension), sum(distance_km) DESC, category
    """,
    columns=(
        named("exposed to", "dimension"),
        text("category", "category"),
        number("km", "distance_km", 1),
        share("of km", "distance_share"),
        hours("time", "duration_min"),
        share("of time", "duration_share"),
        number("devices", "devices"),
    ),
    totals=(
        sum_of("km", "(SELECT max(km) FROM (SELECT sum(distance_km) AS km FROM rows GROUP BY dimension))", tenths),
        sum_of("driven", "(SELECT max(m) FROM (SELECT sum(duration_min) AS m FROM rows GROUP BY dimension))", minutes),
        count("day", "count(DISTINCT start_time)"),
        DEVICES,
    ),
    note="each of weather, incident, light and road class divides the whole distance",
)  # fmt: skip

FLEET_REPORT = ReportDefinition(
    "fleet", "Fleet by day", "days", (FLEET_DAY,), order="start_time, device_id",
    columns=(
        DEVICE,
        instant("day (UTC)", spec="%Y-%m-%d"),
        instant("first", "first_time", "%H:%M"),
        instant("last", "last_time", "%H:%M"),
        number("km", "distance_km", 1),
        hours("moving", "moving_min"),
        hours("idle", "idle_min"),
        number("top", "top_speed_kmh"),
        number("trips", "trips"),
        number("stops", "stops"),
        number("events", "driving_events"),
        hours("over", "overspeed_min"),
        number("fuel", "fuel_used_percent", 1),
        number("refuel", "refuels"),
        number("score", "score", 1),
    ),
    totals=(
        count("day", "count(DISTINCT start_time)"),
        DEVICES,
        KM,
        sum_of("moving", "sum(moving_min)", minutes),
        sum_of("idle", "sum(idle_min)", minutes),
        count("trip", "sum(trips)"),
        count("stop", "sum(stops)"),
        count("driving event", "sum(driving_events)"),
        count("refuel", "sum(refuels)"),
        sum_of("km/h at most", "max(top_speed_kmh)", fixed),
    ),
    note="over: time above the limit; fuel: % of a tank used",
)  # fmt: skip

REPORTS = {report.name: report for report in (TRIP_REPORT, DRIVING_REPORT, SCORES, FUEL_REPORT, EXPOSURE_REPORT, FLEET_REPORT)}
