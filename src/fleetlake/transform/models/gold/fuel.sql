-- gold.fuel: a device's fuel level, as stretches of consumption, refuels and thefts.
--
-- Reads    positions. Settings refuel_min_percent, theft_min_percent, stop_speed_ms, stop_radius_m, trip_end_s.
-- Step     from one report of a level to the next; it belongs to the day (UTC) it begins in.
-- Refuel   steps up in a row on a day that together reach refuel_min_percent.
-- Theft    steps down in a row on a day, each without motion and without the engine, that together reach theft_min_percent.
-- In a row also if the level, without motion, stays the same for up to trip_end_s between: it may be told in whole percents.
-- Without motion: at rest at both ends, and by the odometer less than 100 m, or where it does not tell, no farther than
--          stop_radius_m away. Without the engine: the ignition is not on at both ends.
-- Consumption  all else, until a refuel, a theft or midnight. Small rises (the float of a tank on a slope) are taken off it.
-- Distance of the steps that have an odometer at both ends, and where it was not set back.
-- Open     the device has reported no level since.
-- Levels are added in millionths of a percent and distances in millimetres, so that sums do not depend on the order of addition.
WITH levels AS (
    SELECT
        device_id, event_time, latitude, longitude, odometer_km, fuel_level_percent,
        coalesce(speed_kmh < $stop_speed_ms * 3.6, true) AS rests,
        coalesce(ignition, false) AS runs,
        row_number() OVER device AS position,
        lag(event_time) OVER device AS from_time,
        coalesce(lag(speed_kmh) OVER device < $stop_speed_ms * 3.6, true) AS rested,
        coalesce(lag(ignition) OVER device, false) AS ran,
        lag(latitude) OVER device AS from_latitude,
        lag(longitude) OVER device AS from_longitude,
        lag(odometer_km) OVER device AS from_odometer_km,
        lag(fuel_level_percent) OVER device AS from_level_percent,
        lead(event_time) OVER device IS NULL AS is_last
    FROM positions
    WHERE fuel_level_percent IS NOT NULL AND coalesce(quality, '') NOT IN ('future', 'stale', 'duplicate_time')
    WINDOW device AS (PARTITION BY device_id ORDER BY event_time, event_id)
),
steps AS (
    SELECT
        *,
        date_trunc('day', from_time) AS day,
        CAST(round((fuel_level_percent - from_level_percent) * 1e6) AS BIGINT) AS risen,
        CASE WHEN odometer_km >= from_odometer_km THEN CAST(round((odometer_km - from_odometer_km) * 1e6) AS BIGINT) END AS step_mm,
        rests AND rested AND coalesce(
            CASE WHEN odometer_km >= from_odometer_km THEN odometer_km - from_odometer_km < 0.1 END,
            great_circle_mm(from_latitude, from_longitude, latitude, longitude) <= $stop_radius_m * 1000
        ) AS at_rest,
        runs AND ran AS engine_runs
    FROM levels
    WHERE from_time IS NOT NULL
),
-- Null: the level stays the same.
directed AS (
    SELECT
        *,
        CASE
            WHEN risen > 0 THEN 'refuel'
            WHEN risen < 0 AND at_rest AND NOT engine_runs THEN 'theft'
            WHEN risen < 0 OR NOT at_rest THEN 'consumption'
        END AS direction
    FROM steps
),
turns AS (
    SELECT
        *,
        CASE
            WHEN direction IS NULL OR direction = lag(direction) OVER changing
                AND seconds_between(lag(event_time) OVER changing, from_time) <= $trip_end_s THEN 0
            ELSE 1
        END AS turns
    FROM directed
    WINDOW changing AS (PARTITION BY device_id, day, direction IS NULL ORDER BY position)
),
runs AS (
    SELECT
        *,
        sum(turns) OVER (PARTITION BY device_id, day ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS run
    FROM turns
),
judged AS (
    SELECT
        *,
        CASE
            WHEN position > max(CASE WHEN direction IS NOT NULL THEN position END) OVER of_run THEN 'consumption'
            WHEN max(direction) OVER of_run = 'refuel' AND sum(risen) OVER of_run >= $refuel_min_percent * 1e6 THEN 'refuel'
            WHEN max(direction) OVER of_run = 'theft' AND -sum(risen) OVER of_run >= $theft_min_percent * 1e6 THEN 'theft'
            ELSE 'consumption'
        END AS kind
    FROM runs
    WINDOW of_run AS (PARTITION BY device_id, day, run)
),
changes AS (
    SELECT *, CASE WHEN kind = lag(kind) OVER of_day THEN 0 ELSE 1 END AS changes
    FROM judged
    WINDOW of_day AS (PARTITION BY device_id, day ORDER BY position)
),
segments AS (
    SELECT
        *,
        sum(changes) OVER (PARTITION BY device_id, day ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
            AS segment
    FROM changes
),
found AS (
    SELECT
        device_id, kind,
        min(from_time) AS start_time,
        max(event_time) AS end_time,
        bool_or(is_last) AS is_open,
        count(*) + 1 AS reports,
        min_by(from_level_percent, position) AS start_level_percent,
        max_by(fuel_level_percent, position) AS end_level_percent,
        CAST(-sum(risen) AS DOUBLE) / 1e6 AS used_percent,
        CAST(sum(step_mm) AS DOUBLE) / 1e6 AS distance_km,
        max_by(latitude, position) AS latitude,
        max_by(longitude, position) AS longitude
    FROM segments
    GROUP BY device_id, day, segment, kind
)
SELECT
    md5(concat('fuel/', device_id, '/', kind, '/', CAST(micros(start_time) AS VARCHAR))) AS fuel_id,
    device_id, kind, start_time, end_time, is_open, reports, start_level_percent, end_level_percent, used_percent, distance_km,
    CASE WHEN kind = 'consumption' THEN used_percent / nullif(distance_km, 0) * 100 END AS used_percent_per_100_km,
    latitude, longitude
FROM found
