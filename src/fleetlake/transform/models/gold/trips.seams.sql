-- Where a device's fixes can be cut in two, just before the fix at seam_time, without changing any trip on either side.
--
-- Reads    fixes. Settings trip_start_speed_ms, trip_end_s.
-- Either nothing was reported for longer than trip_end_s before it: no trip spans such a gap, and neither does what decides a start
-- (ignition on until the first motion) or an end (ignition off after the last). Or the vehicle did not move for more than twice
-- trip_end_s before and after it: trips end, and begin, within trip_end_s of a motion, and whether they were idle for longer than
-- trip_end_s before that is still visible on the same side.
WITH ordered AS (
    SELECT
        device_id, event_time,
        row_number() OVER device AS position,
        seconds_between(lag(event_time) OVER device, event_time) AS gap_s,
        coalesce(speed_kmh >= $trip_start_speed_ms * 3.6, false) AS moving
    FROM fixes
    WINDOW device AS (PARTITION BY device_id ORDER BY event_time, event_id)
),
neighbours AS (
    SELECT
        *,
        max(CASE WHEN moving THEN event_time END) OVER before AS moved_at,
        min(CASE WHEN moving THEN event_time END) OVER onward AS moves_at
    FROM ordered
    WINDOW
        before AS (PARTITION BY device_id ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
        onward AS (PARTITION BY device_id ORDER BY position ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)
)
SELECT
    device_id, event_time AS seam_time,
    event_time - $trip_end_s * INTERVAL 1 SECOND AS settled_from, event_time AS settled_until
FROM neighbours
WHERE coalesce(gap_s > $trip_end_s, true)
UNION ALL
SELECT
    device_id, event_time AS seam_time,
    event_time - 2 * $trip_end_s * INTERVAL 1 SECOND AS settled_from,
    event_time + 2 * $trip_end_s * INTERVAL 1 SECOND AS settled_until
FROM neighbours
WHERE coalesce(seconds_between(moved_at, event_time) > 2 * $trip_end_s, true)
    AND coalesce(seconds_between(event_time, moves_at) > 2 * $trip_end_s, true)
