SELECT
    trips.trip_id, trips.device_id, trips.start_time, trips.end_time, trips.is_open, trips.start_place, trips.end_place,
    trips.distance_km, trips.duration_s, trips.average_speed_kmh, trips.top_speed_kmh, trips.fuel_used_percent,
    count(CASE WHEN events.kind = 'harsh_acceleration' THEN 1 END) AS harsh_accelerations,
    count(CASE WHEN events.kind = 'harsh_braking' THEN 1 END) AS harsh_brakings,
    count(CASE WHEN events.kind = 'harsh_cornering' THEN 1 END) AS harsh_cornerings,
    count(CASE WHEN events.kind = 'overspeed' THEN 1 END) AS overspeeds,
    coalesce(sum(CASE WHEN events.kind = 'overspeed' THEN events.duration_s END), 0) AS overspeed_s
FROM gold.trips AS trips
LEFT JOIN gold.driving_events AS events
    ON events.device_id = trips.device_id AND events.start_time >= trips.start_time AND events.start_time <= trips.end_time
GROUP BY
    trips.trip_id, trips.device_id, trips.start_time, trips.end_time, trips.is_open, trips.start_place, trips.end_place,
    trips.distance_km, trips.duration_s, trips.average_speed_kmh, trips.top_speed_kmh, trips.fuel_used_percent
