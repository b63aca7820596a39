-- fixes, what gold is made of: every position of a device, with the ignition its vehicle reported for the same instant.
--
-- Reads    silver.gps, silver.vehicle.
-- A GPS row without a position is not a fix. Two vehicle rows of one instant: on wins. latest_time: the device's last fix.
SELECT
    gps.device_id, gps.event_time, gps.event_id, gps.latitude, gps.longitude, gps.speed_kmh,
    reported.ignition,
    max(gps.event_time) OVER (PARTITION BY gps.device_id) AS latest_time
FROM silver.gps AS gps
LEFT JOIN (
    SELECT device_id, event_time, bool_or(ignition) AS ignition
    FROM silver.vehicle
    GROUP BY device_id, event_time
) AS reported ON reported.device_id = gps.device_id AND reported.event_time = gps.event_time
WHERE gps.latitude IS NOT NULL AND gps.longitude IS NOT NULL
