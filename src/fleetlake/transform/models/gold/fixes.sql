-- fixes, what the positions tell of a device's motion: the good ones, and where a GPS position is missing the speed, ignition and
-- place the vehicle itself reported for that instant. Those have no leg: distances are of GPS positions.
--
-- Reads    positions: silver.positions, with latest_time, that of the device's last fix, and last_time, of its last row.
SELECT
    device_id, event_time, event_id, latitude, longitude, speed_kmh, ignition, fuel_level_percent, leg_s, leg_m, road, speed_limit_kmh,
    latest_time, last_time
FROM positions
WHERE coalesce(quality, 'no_fix') = 'no_fix' AND latitude IS NOT NULL
