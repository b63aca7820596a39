-- gold.driver_scores: 100 less weighted events per 100 km, of a vehicle and day or week (UTC).
--
-- Reads    silver.positions, gold.driving_events. Settings weight_harsh_acceleration, weight_harsh_braking, weight_harsh_cornering,
--          weight_overspeed, score_min_km.
-- An event counts in the period it began in, whatever showed it. A period in which the vehicle went less than score_min_km has no
-- score: one event would say too much. A position with a wrong clock is of no period.
WITH legs AS (
    SELECT device_id, date_trunc('day', event_time) AS day, sum(CAST(round(leg_m * 1000) AS BIGINT)) AS leg_mm
    FROM silver.positions
    WHERE coalesce(quality, '') NOT IN ('future', 'stale')
    GROUP BY device_id, date_trunc('day', event_time)
),
events AS (
    SELECT
        device_id, date_trunc('day', start_time) AS day,
        count(CASE WHEN kind = 'harsh_acceleration' THEN 1 END) AS harsh_acceleration_events,
        count(CASE WHEN kind = 'harsh_braking' THEN 1 END) AS harsh_braking_events,
        count(CASE WHEN kind = 'harsh_cornering' THEN 1 END) AS harsh_cornering_events,
        count(CASE WHEN kind = 'overspeed' THEN 1 END) AS overspeed_events
    FROM gold.driving_events
    GROUP BY device_id, date_trunc('day', start_time)
),
days AS (
    SELECT
        legs.device_id, legs.day, legs.leg_mm, harsh_acceleration_events, harsh_braking_events, harsh_cornering_events,
        overspeed_events
    FROM legs LEFT JOIN events ON events.device_id = legs.device_id AND events.day = legs.day
),
dated AS (
    SELECT 'day' AS period, day AS start_time, * FROM days
    UNION ALL
    SELECT 'week' AS period, date_trunc('week', day) AS start_time, * FROM days
),
periods AS (
    SELECT
        device_id, period, start_time,
        coalesce(CAST(sum(leg_mm) AS DOUBLE) / 1e6, 0.0) AS distance_km,
        CAST(coalesce(sum(harsh_acceleration_events), 0) AS BIGINT) AS harsh_acceleration_events,
        CAST(coalesce(sum(harsh_braking_events), 0) AS BIGINT) AS harsh_braking_events,
        CAST(coalesce(sum(harsh_cornering_events), 0) AS BIGINT) AS harsh_cornering_events,
        CAST(coalesce(sum(overspeed_events), 0) AS BIGINT) AS overspeed_events
    FROM dated
    GROUP BY device_id, period, start_time
),
scored AS (
    SELECT *, CASE WHEN distance_km > 0 AND distance_km >= $score_min_km THEN distance_km / 100 END AS hundreds_km
    FROM periods
),
costs AS (
    SELECT
        *,
        $weight_harsh_acceleration * harsh_acceleration_events / hundreds_km AS harsh_acceleration_points,
        $weight_harsh_braking * harsh_braking_events / hundreds_km AS harsh_braking_points,
        $weight_harsh_cornering * harsh_cornering_events / hundreds_km AS harsh_cornering_points,
        $weight_overspeed * overspeed_events / hundreds_km AS overspeed_points
    FROM scored
)
SELECT
    md5(concat('driver_score/', device_id, '/', period, '/', CAST(micros(start_time) AS VARCHAR))) AS driver_score_id,
    device_id, period, start_time, distance_km,
    CASE WHEN hundreds_km IS NOT NULL THEN greatest(
        0.0, 100.0 - harsh_acceleration_points - harsh_braking_points - harsh_cornering_points - overspeed_points
    ) END AS score,
    harsh_acceleration_events, harsh_acceleration_points, harsh_braking_events, harsh_braking_points,
    harsh_cornering_events, harsh_cornering_points, overspeed_events, overspeed_points
FROM costs
