-- gold.trips: a vehicle's way from setting out to having been still for a while.
--
-- Reads    fixes, places. Settings trip_start_speed_ms, trip_end_s, refuel_min_percent, place_near_m.
-- A fix moves if its speed is at least trip_start_speed_ms; one without a speed does not.
-- Core     the moving fixes that follow each other within trip_end_s. What lies between them (traffic lights, a short break, also
--          with the ignition off) is part of the trip; a longer standstill, idle or parked, or a longer gap in the reports, ends it.
-- Start    the fix that switched the ignition on, if it was no longer than trip_end_s before the first motion and the ignition stayed
--          on until then; otherwise the first moving fix. Ignition without motion is not a trip.
-- End      the first fix with the ignition off, if it came no longer than trip_end_s after the last motion; otherwise the last
--          moving fix.
-- Open     no such ignition off was seen, and the device's last fix is no later than trip_end_s after the last motion.
-- The time up to a fix counts as moving if that fix moves, otherwise as idle: moving_s + idle_s = duration_s.
-- Distance is the sum of the fixes' legs (silver.positions); in whole millimetres, so that it does not depend on the order of addition.
-- Fuel     the level at the first fix that has one less that at the last, and what refuels added in between.
WITH ordered AS (
    SELECT
        device_id, event_time, latitude, longitude, speed_kmh, fuel_level_percent, leg_m, latest_time,
        row_number() OVER device AS position,
        seconds_between(lag(event_time) OVER device, event_time) AS gap_s,
        coalesce(speed_kmh >= $trip_start_speed_ms * 3.6, false) AS moving,
        coalesce(ignition, false) AND NOT coalesce(speed_kmh >= $trip_start_speed_ms * 3.6, false) AS idling,
        coalesce(NOT ignition, false) AS switched_off
    FROM fixes
    WINDOW device AS (PARTITION BY device_id ORDER BY event_time, event_id)
),
neighbours AS (
    SELECT
        *,
        max(CASE WHEN moving THEN event_time END) OVER before AS moved_at,
        min(CASE WHEN moving THEN event_time END) OVER after AS moves_at,
        max(CASE WHEN moving THEN position END) OVER before AS moved_position,
        min(CASE WHEN moving THEN position END) OVER after AS moves_position,
        max(CASE WHEN moving OR switched_off THEN position END) OVER before AS moved_or_off_position,
        min(CASE WHEN switched_off THEN event_time END) OVER onward AS off_at,
        min(CASE WHEN NOT idling THEN position END) OVER after AS idles_until_position,
        sum(CASE WHEN idling AND coalesce(gap_s <= $trip_end_s, false) THEN 0 ELSE 1 END) OVER so_far AS idle_run
    FROM ordered
    WINDOW
        before AS (PARTITION BY device_id ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
        so_far AS (PARTITION BY device_id ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW),
        onward AS (PARTITION BY device_id ORDER BY position ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING),
        after AS (PARTITION BY device_id ORDER BY position ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)
),
roles AS (
    SELECT
        *,
        moving AND coalesce(seconds_between(moved_at, event_time) > $trip_end_s, true) AS sets_out,
        NOT moving AND coalesce(seconds_between(moved_at, moves_at) <= $trip_end_s, false) AS pauses,
        NOT moving AND coalesce(
            seconds_between(moved_at, moves_at) > $trip_end_s OR moves_at IS NULL, false
        ) AND coalesce(
            moved_or_off_position = moved_position AND seconds_between(moved_at, off_at) <= $trip_end_s, false
        ) AS switches_off,
        idling AND coalesce(seconds_between(moved_at, moves_at) > $trip_end_s, true) AND coalesce(
            idles_until_position = moves_position AND seconds_between(
                min(CASE WHEN idling THEN event_time END) OVER (PARTITION BY device_id, idle_run), moves_at
            ) <= $trip_end_s, false
        ) AS warms_up
    FROM neighbours
),
members AS (
    SELECT
        *,
        sum(CASE WHEN sets_out THEN 1 ELSE 0 END) OVER so_far + CASE WHEN warms_up THEN 1 ELSE 0 END AS trip_number
    FROM roles
    WINDOW so_far AS (PARTITION BY device_id ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
),
legs AS (
    SELECT
        *,
        micros(event_time) - micros(lag(event_time) OVER trip) AS leg_us,
        CASE WHEN lag(event_time) OVER trip IS NOT NULL THEN CAST(round(leg_m * 1000) AS BIGINT) END AS leg_mm,
        CAST(round((
            fuel_level_percent - lag(fuel_level_percent) OVER (
                PARTITION BY device_id, trip_number, fuel_level_percent IS NULL ORDER BY position
            )
        ) * 1e6) AS BIGINT) AS refilled
    FROM members
    WHERE moving OR pauses OR switches_off OR warms_up
    WINDOW trip AS (PARTITION BY device_id, trip_number ORDER BY position)
),
trips AS (
    SELECT
        device_id,
        min(event_time) AS start_time,
        max(event_time) AS end_time,
        max(CASE WHEN switches_off THEN 1 ELSE 0 END) = 0
            AND seconds_between(max(CASE WHEN moving THEN event_time END), max(latest_time)) <= $trip_end_s AS is_open,
        count(*) AS fixes,
        min_by(latitude, position) AS start_latitude,
        min_by(longitude, position) AS start_longitude,
        max_by(latitude, position) AS end_latitude,
        max_by(longitude, position) AS end_longitude,
        coalesce(CAST(sum(leg_mm) AS DOUBLE) / 1e6, 0.0) AS distance_km,
        coalesce(CAST(sum(CASE WHEN moving THEN leg_us END) AS DOUBLE) / 1e6, 0.0) AS moving_s,
        coalesce(CAST(sum(CASE WHEN NOT moving THEN leg_us END) AS DOUBLE) / 1e6, 0.0) AS idle_s,
        max(speed_kmh) AS top_speed_kmh,
        CAST(-sum(CASE WHEN refilled < $refuel_min_percent * 1e6 THEN refilled END) AS DOUBLE) / 1e6 AS fuel_used_percent
    FROM legs
    GROUP BY device_id, trip_number
),
near_places AS (
    SELECT
        trips.device_id, trips.start_time,
        min(great_circle_mm(trips.start_latitude, trips.start_longitude, places.latitude, places.longitude) * 10000 + places.number)
            AS start_nearest,
        min(great_circle_mm(trips.end_latitude, trips.end_longitude, places.latitude, places.longitude) * 10000 + places.number)
            AS end_nearest
    FROM trips CROSS JOIN places
    GROUP BY trips.device_id, trips.start_time
)
SELECT
    md5(concat('trip/', trips.device_id, '/', CAST(micros(trips.start_time) AS VARCHAR))) AS trip_id,
    trips.device_id, trips.start_time, end_time, is_open,
    seconds_between(trips.start_time, end_time) AS duration_s,
    fixes, start_latitude, start_longitude, end_latitude, end_longitude, distance_km, moving_s, idle_s,
    distance_km / nullif(seconds_between(trips.start_time, end_time) / 3600, 0) AS average_speed_kmh,
    top_speed_kmh, fuel_used_percent,
    start_places.name AS start_place, end_places.name AS end_place
FROM trips
LEFT JOIN near_places ON near_places.device_id = trips.device_id AND near_places.start_time = trips.start_time
LEFT JOIN places AS start_places
    ON start_places.number = start_nearest % 10000 AND start_nearest < ($place_near_m * 1000 + 1) * 10000
LEFT JOIN places AS end_places
    ON end_places.number = end_nearest % 10000 AND end_nearest < ($place_near_m * 1000 + 1) * 10000
