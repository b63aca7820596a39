-- gold.fleet_day: a vehicle's day (UTC), the row of a dashboard.
--
-- Reads    silver.positions, gold.trips, gold.stops, gold.driving_events, gold.fuel, gold.driver_scores.
-- Settings trip_start_speed_ms.
-- Legs count on the day they end; trips, stops, events and fuel on the day they begin. Idle: slower than a trip begins, with the
-- ignition on. A position with a wrong clock is of no day.
WITH days AS (
    SELECT
        device_id, date_trunc('day', event_time) AS start_time,
        min(event_time) AS first_time,
        max(event_time) AS last_time,
        count(*) AS positions,
        count(quality) AS flagged_positions,
        coalesce(CAST(sum(CAST(round(leg_m * 1000) AS BIGINT)) AS DOUBLE) / 1e6, 0.0) AS distance_km,
        coalesce(CAST(sum(
            CASE WHEN speed_kmh >= $trip_start_speed_ms * 3.6 THEN CAST(round(leg_s * 1e6) AS BIGINT) END
        ) AS DOUBLE) / 60e6, 0.0) AS moving_min,
        coalesce(CAST(sum(
            CASE WHEN speed_kmh < $trip_start_speed_ms * 3.6 AND ignition THEN CAST(round(leg_s * 1e6) AS BIGINT) END
        ) AS DOUBLE) / 60e6, 0.0) AS idle_min,
        max(CASE WHEN quality IS NULL THEN speed_kmh END) AS top_speed_kmh
    FROM silver.positions
    WHERE coalesce(quality, '') NOT IN ('future', 'stale')
    GROUP BY device_id, date_trunc('day', event_time)
),
trips AS (
    SELECT device_id, date_trunc('day', start_time) AS day, count(*) AS trips
    FROM gold.trips
    GROUP BY device_id, date_trunc('day', start_time)
),
stops AS (
    SELECT device_id, date_trunc('day', start_time) AS day, count(*) AS stops
    FROM gold.stops
    GROUP BY device_id, date_trunc('day', start_time)
),
events AS (
    SELECT
        device_id, date_trunc('day', start_time) AS day, count(*) AS driving_events,
        sum(CASE WHEN kind = 'overspeed' THEN CAST(round(duration_s * 1e6) AS BIGINT) ELSE 0 END) AS overspeed_us
    FROM gold.driving_events
    GROUP BY device_id, date_trunc('day', start_time)
),
fuel AS (
    SELECT
        device_id, date_trunc('day', start_time) AS day,
        CAST(sum(CASE WHEN kind = 'consumption' THEN CAST(round(used_percent * 1e6) AS BIGINT) END) AS DOUBLE) / 1e6
            AS fuel_used_percent,
        count(CASE WHEN kind = 'refuel' THEN 1 END) AS refuels
    FROM gold.fuel
    GROUP BY device_id, date_trunc('day', start_time)
)
SELECT
    md5(concat('fleet_day/', days.device_id, '/', CAST(micros(days.start_time) AS VARCHAR))) AS fleet_day_id,
    days.device_id, days.start_time, first_time, last_time, positions, flagged_positions, days.distance_km, moving_min, idle_min,
    top_speed_kmh,
    coalesce(trips.trips, 0) AS trips,
    coalesce(stops.stops, 0) AS stops,
    coalesce(events.driving_events, 0) AS driving_events,
    coalesce(CAST(events.overspeed_us AS DOUBLE) / 60e6, 0.0) AS overspeed_min,
    fuel.fuel_used_percent,
    coalesce(fuel.refuels, 0) AS refuels,
    scores.score
FROM days
LEFT JOIN trips ON trips.device_id = days.device_id AND trips.day = days.start_time
LEFT JOIN stops ON stops.device_id = days.device_id AND stops.day = days.start_time
LEFT JOIN events ON events.device_id = days.device_id AND events.day = days.start_time
LEFT JOIN fuel ON fuel.device_id = days.device_id AND fuel.day = days.start_time
LEFT JOIN gold.driver_scores AS scores
    ON scores.device_id = days.device_id AND scores.start_time = days.start_time AND scores.period = 'day'
