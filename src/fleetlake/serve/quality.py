"""How good each device's data is."""

from __future__ import annotations

from fleetlake.contracts.events import GPS
from fleetlake.contracts.positions import POSITIONS, QUALITY_REASONS
from fleetlake.contracts.tables import BRONZE, silver_of
from fleetlake.serve.reports.columns import DEVICE, count, instant, number, seconds, share, sum_of
from fleetlake.serve.reports.definition import ReportDefinition
from fleetlake.serve.reports.read import CHOSEN
from fleetlake.serve.reports.wording import percent, words

WRONG_CLOCK = "('future', 'stale')"
SHORT = {"duplicate_time": "twice", "poor_accuracy": "inexact"}
NOT_IN_TURN = "('future', 'stale', 'duplicate_time')"  # reports whose time says nothing about when the next was due

_CHOSEN = CHOSEN.format(time="event_time")
_REJECTS = " UNION ALL ".join(
    f"SELECT device_id, event_time, try(decode(payload)) AS text FROM {table.name} WHERE reject_reason IS NOT NULL"
    for table in BRONZE
)

QUALITY = ReportDefinition(
    "quality", "Data quality", "reports", (POSITIONS, silver_of(GPS), *BRONZE), order="",
    select=f"""
        WITH judged AS (
            SELECT
                device_id, count(*) AS positions, count(*) FILTER (WHERE quality IS NULL) AS good,
                {", ".join(f"count(*) FILTER (WHERE quality = '{reason}') AS {reason}" for reason in QUALITY_REASONS)},
                coalesce(max(event_time) FILTER (WHERE coalesce(quality, '') NOT IN {WRONG_CLOCK}), max(event_time)) AS last_time
            FROM silver.positions WHERE {_CHOSEN} GROUP BY device_id
        ),
        intervals AS (
            SELECT
                device_id, lag(event_time) OVER one_device AS since,
                epoch(event_time) - epoch(lag(event_time) OVER one_device) AS interval_s
            FROM silver.positions WHERE coalesce(quality, '') NOT IN {NOT_IN_TURN} AND {_CHOSEN}
            WINDOW one_device AS (PARTITION BY device_id ORDER BY event_time)
        ),
        silence AS (
            SELECT
                device_id, max(interval_s) AS longest_gap_s, arg_max(since, interval_s) AS longest_gap_from,
                median(interval_s) AS median_interval_s
            FROM intervals GROUP BY device_id
        ),
        late AS (SELECT device_id, count(*) FILTER (WHERE is_late) AS late FROM silver.gps WHERE {_CHOSEN} GROUP BY device_id),
        rejects AS (
            SELECT
                coalesce(device_id, json_extract_string(document, '$.deviceId')) AS device_id,
                coalesce(event_time, try_cast(json_extract_string(document, '$.timestamp') AS TIMESTAMPTZ)) AS event_time
            FROM (SELECT *, CASE WHEN json_valid(text) THEN text END AS document FROM ({_REJECTS}))
        ),
        rejected AS (
            SELECT device_id, count(*) AS rejected FROM rejects WHERE device_id IS NOT NULL AND {_CHOSEN} GROUP BY device_id
        )
        SELECT
            device_id, coalesce(positions, 0) AS positions, coalesce(good, 0) AS good, good / positions AS good_share,
            {", ".join(f"coalesce({reason}, 0) AS {reason}" for reason in QUALITY_REASONS)},
            longest_gap_s, longest_gap_from, median_interval_s, coalesce(late, 0) AS late, coalesce(rejected, 0) AS rejected,
            last_time
        FROM judged FULL JOIN rejected USING (device_id) LEFT JOIN silence USING (device_id) LEFT JOIN late USING (device_id)
        ORDER BY good_share NULLS FIRST, rejected DESC, late DESC, device_id
    """,
    columns=(
        DEVICE,
        number("positions", "positions"),
        share("good", "good_share"),
        *(number(SHORT.get(reason, words(reason)), reason, is_optional=True) for reason in QUALITY_REASONS),
        seconds("gap", "longest_gap_s"),
        number("every s", "median_interval_s", 1),
        number("late", "late"),
        number("rejected", "rejected"),
        instant("last (UTC)", "last_time", "%Y-%m-%d %H:%M"),
    ),
    totals=(
        count("device"),
        count("position", "sum(positions)"),
        sum_of("good", "sum(good) / nullif(sum(positions), 0)", percent),
        count("late", "sum(late)", plural="late"),
        count("rejected", "sum(rejected)", plural="rejected"),
    ),
    note="worst first; twice: duplicate time; inexact: poor accuracy; gap: longest silence; every: median time between reports; "
    "rejected: records that name the device",
)  # fmt: skip
