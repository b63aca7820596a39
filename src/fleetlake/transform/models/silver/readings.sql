-- readings, what silver.positions is made of: a row per GPS row, and one per instant that only the vehicle's own reports have.
--
-- Reads    silver.gps, silver.vehicle.
-- Vehicle rows of one instant are taken together: on wins for the ignition, the largest for all else. Place, speed and heading are the
-- GPS row's; the vehicle's own where it lacks them, and where it has no position: a receiver without one often says 0 for the speed.
WITH reported AS (
    SELECT
        device_id, event_time,
        min(event_id) AS event_id, min(ingested_at) AS ingested_at,
        min_by(latitude, event_id) AS latitude, min_by(longitude, event_id) AS longitude,
        max(speed_kmh) AS speed_kmh, max(heading_deg) AS heading_deg,
        bool_or(ignition) AS ignition, max(odometer_km) AS odometer_km, max(fuel_level_percent) AS fuel_level_percent,
        max(max_acceleration_ms2) AS max_acceleration_ms2, max(max_braking_ms2) AS max_braking_ms2,
        max(max_cornering_ms2) AS max_cornering_ms2
    FROM silver.vehicle
    GROUP BY device_id, event_time
)
SELECT
    coalesce(gps.event_id, reported.event_id) AS event_id,
    coalesce(gps.device_id, reported.device_id) AS device_id,
    coalesce(gps.event_time, reported.event_time) AS event_time,
    CASE WHEN gps.event_id IS NULL THEN reported.ingested_at ELSE gps.ingested_at END AS ingested_at,
    gps.latitude IS NOT NULL AND gps.longitude IS NOT NULL AS has_fix,
    coalesce(gps.latitude, reported.latitude) AS latitude,
    coalesce(gps.longitude, reported.longitude) AS longitude,
    CASE WHEN gps.latitude IS NULL THEN coalesce(reported.speed_kmh, gps.speed_kmh) ELSE coalesce(gps.speed_kmh, reported.speed_kmh) END
        AS speed_kmh,
    CASE WHEN gps.latitude IS NULL THEN coalesce(reported.heading_deg, gps.heading_deg)
        ELSE coalesce(gps.heading_deg, reported.heading_deg) END AS heading_deg,
    gps.altitude_m, gps.accuracy_m,
    coalesce(gps.derived LIKE '%speed%', false) AS is_speed_derived,
    reported.ignition, reported.odometer_km, reported.fuel_level_percent,
    reported.max_acceleration_ms2, reported.max_braking_ms2, reported.max_cornering_ms2
FROM silver.gps AS gps
FULL JOIN reported ON reported.device_id = gps.device_id AND reported.event_time = gps.event_time
