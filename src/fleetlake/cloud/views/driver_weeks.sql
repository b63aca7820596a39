SELECT
    device_id, start_time AS week_start_time, distance_km, score,
    rank() OVER (PARTITION BY start_time ORDER BY score DESC NULLS LAST) AS fleet_rank,
    lag(score) OVER (PARTITION BY device_id ORDER BY start_time) AS score_before,
    harsh_acceleration_events, harsh_braking_events, harsh_cornering_events, overspeed_events
FROM gold.driver_scores
WHERE period = 'week'
