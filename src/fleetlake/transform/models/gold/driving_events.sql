-- gold.driving_events: something a driver did too hard or too fast, one row an episode.
--
-- Reads    positions, fixes, places. Settings harsh_acceleration_ms2, harsh_braking_ms2, harsh_cornering_ms2, gps_braking_ms2,
--          gps_braking_gap_s, overspeed_factor, overspeed_min_s, event_gap_s, place_near_m.
-- Harsh    reports whose peak since the last report reaches the threshold; one that lacks a GPS fix counts too.
-- By GPS   braking only, where the device reports no braking peak within event_gap_s: the loss of speed from one good fix to the
--          next, not farther apart than gps_braking_gap_s, with speeds that were measured, not computed from positions.
-- Overspeed fixes faster than the road's limit times overspeed_factor, from the first to the last at least overspeed_min_s.
-- Episode  reports of the same kind in a row, none later than event_gap_s after the one before. A report between them that is not of
--          the kind ends it; one that says nothing of it (no peak, no known limit) does not.
-- Open     nothing of its kind, or against it, was reported since, and all the device's data ends within event_gap_s.
WITH reports AS (
    SELECT *
    FROM positions
    WHERE coalesce(quality, '') NOT IN ('future', 'stale', 'duplicate_time')
),
braking AS (
    SELECT
        *,
        (-speed_kmh + lag(speed_kmh) OVER good) / 3.6 / nullif(seconds_between(lag(event_time) OVER good, event_time), 0) AS loss_ms2,
        seconds_between(lag(event_time) OVER good, event_time) <= $gps_braking_gap_s
            AND NOT is_speed_derived AND NOT lag(is_speed_derived) OVER good AS is_measured,
        max(CASE WHEN max_braking_ms2 IS NOT NULL THEN event_time END) OVER (
            PARTITION BY device_id ORDER BY event_time, event_id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS last_peak_time,
        min(CASE WHEN max_braking_ms2 IS NOT NULL THEN event_time END) OVER (
            PARTITION BY device_id ORDER BY event_time, event_id ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
        ) AS next_peak_time
    FROM reports
    WINDOW good AS (PARTITION BY device_id, quality IS NULL ORDER BY event_time, event_id)
),
judged AS (
    SELECT
        device_id, event_time, event_id, latitude, longitude, speed_kmh, road, speed_limit_kmh, last_time,
        'harsh_acceleration' AS kind, 'accelerometer' AS measured_by, max_acceleration_ms2 AS peak_ms2,
        max_acceleration_ms2 >= $harsh_acceleration_ms2 AS holds
    FROM reports
    WHERE max_acceleration_ms2 IS NOT NULL
    UNION ALL
    SELECT
        device_id, event_time, event_id, latitude, longitude, speed_kmh, road, speed_limit_kmh, last_time,
        'harsh_braking' AS kind, 'accelerometer' AS measured_by, max_braking_ms2 AS peak_ms2,
        max_braking_ms2 >= $harsh_braking_ms2 AS holds
    FROM reports
    WHERE max_braking_ms2 IS NOT NULL
    UNION ALL
    SELECT
        device_id, event_time, event_id, latitude, longitude, speed_kmh, road, speed_limit_kmh, last_time,
        'harsh_cornering' AS kind, 'accelerometer' AS measured_by, max_cornering_ms2 AS peak_ms2,
        max_cornering_ms2 >= $harsh_cornering_ms2 AS holds
    FROM reports
    WHERE max_cornering_ms2 IS NOT NULL
    UNION ALL
    SELECT
        device_id, event_time, event_id, latitude, longitude, speed_kmh, road, speed_limit_kmh, last_time,
        'harsh_braking' AS kind, 'gps' AS measured_by, loss_ms2 AS peak_ms2,
        loss_ms2 >= $gps_braking_ms2 AS holds
    FROM braking
    WHERE quality IS NULL AND is_measured AND loss_ms2 IS NOT NULL
        AND coalesce(seconds_between(last_peak_time, event_time) > $event_gap_s, true)
        AND coalesce(seconds_between(event_time, next_peak_time) > $event_gap_s, true)
    UNION ALL
    SELECT
        device_id, event_time, event_id, latitude, longitude, speed_kmh, road, speed_limit_kmh, last_time,
        'overspeed' AS kind, 'gps' AS measured_by, CAST(NULL AS DOUBLE) AS peak_ms2,
        speed_kmh > speed_limit_kmh * $overspeed_factor AS holds
    FROM fixes
    WHERE speed_kmh IS NOT NULL AND speed_limit_kmh IS NOT NULL
),
ordered AS (
    SELECT
        *,
        row_number() OVER of_kind AS position,
        lead(event_time) OVER of_kind IS NULL AS is_last,
        holds AND NOT coalesce(
            lag(holds) OVER of_kind AND seconds_between(lag(event_time) OVER of_kind, event_time) <= $event_gap_s, false
        ) AS begins
    FROM judged
    WINDOW of_kind AS (PARTITION BY device_id, kind, measured_by ORDER BY event_time, event_id)
),
numbered AS (
    SELECT
        *,
        sum(CASE WHEN begins THEN 1 ELSE 0 END) OVER (
            PARTITION BY device_id, kind, measured_by ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS episode
    FROM ordered
),
episodes AS (
    SELECT
        device_id, kind, measured_by,
        min(event_time) AS start_time,
        max(event_time) AS end_time,
        bool_or(is_last) AND seconds_between(max(event_time), max(last_time)) <= $event_gap_s AS is_open,
        count(*) AS fixes,
        max(peak_ms2) AS peak_ms2,
        max(speed_kmh) AS peak_speed_kmh,
        min_by(coalesce(speed_limit_kmh, -1.0), position) AS first_limit_kmh,
        min_by(latitude, position) AS latitude,
        min_by(longitude, position) AS longitude,
        min_by(coalesce(road, ''), position) AS first_road
    FROM numbered
    WHERE holds
    GROUP BY device_id, kind, measured_by, episode
),
events AS (
    SELECT
        *,
        md5(concat('driving_event/', device_id, '/', kind, '/', measured_by, '/', CAST(micros(start_time) AS VARCHAR)))
            AS driving_event_id
    FROM episodes
    WHERE kind <> 'overspeed' OR seconds_between(start_time, end_time) >= $overspeed_min_s
),
near_places AS (
    SELECT
        events.driving_event_id,
        min(great_circle_mm(events.latitude, events.longitude, places.latitude, places.longitude) * 10000 + places.number) AS nearest
    FROM events CROSS JOIN places
    GROUP BY events.driving_event_id
)
SELECT
    events.driving_event_id, device_id, start_time, end_time, is_open,
    seconds_between(start_time, end_time) AS duration_s,
    fixes, kind, measured_by, peak_ms2, peak_speed_kmh, nullif(first_limit_kmh, -1.0) AS speed_limit_kmh,
    events.latitude, events.longitude, nullif(first_road, '') AS road,
    places.name AS place
FROM events
LEFT JOIN near_places ON near_places.driving_event_id = events.driving_event_id
LEFT JOIN places ON places.number = nearest % 10000 AND nearest < ($place_near_m * 1000 + 1) * 10000
