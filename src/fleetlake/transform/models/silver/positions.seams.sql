-- Where a device's readings can be cut in two, just before seam_time, without changing what silver.positions says on either side.
--
-- Reads    readings. Settings future_s, stale_s, max_accuracy_m, jump_speed_ms, jump_slack_m, trip_start_speed_ms, trip_end_s.
-- Either no fix was reported for longer than trip_end_s before it: nothing is compared over such a silence. Or the fix, and the one
-- before it, are each plausible after the one before, near and not in the same place while moving: then neither is left out whatever
-- comes before or after those three, and with the two before it this fix's leg is the same.
WITH fixes AS (
    SELECT *
    FROM (
        SELECT
            device_id, event_time, event_id, latitude, longitude, speed_kmh,
            row_number() OVER (PARTITION BY device_id, event_time ORDER BY event_id) AS nth
        FROM readings
        WHERE has_fix AND seconds_between(ingested_at, event_time) <= $future_s
            AND seconds_between(event_time, ingested_at) <= $stale_s AND coalesce(accuracy_m <= $max_accuracy_m, true)
    ) AS of_instants
    WHERE nth = 1
),
steps AS (
    SELECT
        device_id, event_time,
        lag(event_time) OVER device AS last_time,
        lag(event_time, 2) OVER device AS last_but_one_time,
        coalesce(
            seconds_between(lag(event_time) OVER device, event_time) <= $trip_end_s
            AND great_circle_mm(lag(latitude) OVER device, lag(longitude) OVER device, latitude, longitude)
                <= (seconds_between(lag(event_time) OVER device, event_time) * $jump_speed_ms + $jump_slack_m) * 1000
            AND NOT coalesce(
                latitude = lag(latitude) OVER device AND longitude = lag(longitude) OVER device
                AND speed_kmh >= $trip_start_speed_ms * 3.6, false
            ), false
        ) AS plausible
    FROM fixes
    WINDOW device AS (PARTITION BY device_id ORDER BY event_time)
),
instants AS (
    SELECT
        readings.device_id, readings.event_time, max(fixes.event_time) AS fix_time
    FROM readings
    LEFT JOIN fixes ON fixes.device_id = readings.device_id AND fixes.event_time = readings.event_time
    GROUP BY readings.device_id, readings.event_time
),
silences AS (
    SELECT
        device_id, event_time,
        max(fix_time) OVER (
            PARTITION BY device_id ORDER BY event_time ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS last_fix_time
    FROM instants
)
SELECT device_id, event_time AS seam_time, last_but_one_time AS settled_from, event_time AS settled_until
FROM (
    SELECT *, coalesce(lag(plausible) OVER (PARTITION BY device_id ORDER BY event_time), false) AS was_plausible FROM steps
) AS two_steps
WHERE plausible AND was_plausible
UNION ALL
SELECT device_id, event_time AS seam_time, event_time - $trip_end_s * INTERVAL 1 SECOND AS settled_from, event_time AS settled_until
FROM silences
WHERE coalesce(seconds_between(last_fix_time, event_time) > $trip_end_s, true)
