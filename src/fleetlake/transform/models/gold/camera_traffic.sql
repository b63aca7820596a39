-- gold.camera_traffic: what a traffic camera saw in an hour (UTC).
--
-- Reads    silver.traffic_camera. Settings camera_view_m.
-- Flow     by the fundamental relation of traffic flow, density times speed, mean over the pictures that have both.
WITH pictures AS (
    SELECT
        camera_id, device_id, date_trunc('hour', event_time) AS start_time, latitude, longitude, vehicle_count,
        CAST(round(vehicle_count * average_speed_kmh * 1000) AS BIGINT) AS count_times_speed,
        CASE WHEN average_speed_kmh IS NOT NULL THEN vehicle_count END AS count_with_speed,
        row_number() OVER (PARTITION BY camera_id, date_trunc('hour', event_time) ORDER BY event_time, event_id) AS position
    FROM silver.traffic_camera
)
SELECT
    md5(concat('camera_traffic/', camera_id, '/', CAST(micros(start_time) AS VARCHAR))) AS camera_traffic_id,
    camera_id, start_time,
    min_by(latitude, position) AS latitude,
    min_by(longitude, position) AS longitude,
    count(*) AS pictures,
    count(DISTINCT device_id) AS devices,
    CAST(sum(vehicle_count) AS DOUBLE) / nullif(count(vehicle_count), 0) AS mean_vehicle_count,
    CAST(max(vehicle_count) AS BIGINT) AS max_vehicle_count,
    CAST(sum(count_times_speed) AS DOUBLE) / 1e3 / nullif(sum(count_with_speed), 0) AS mean_speed_kmh,
    CAST(sum(count_times_speed) AS DOUBLE) / 1e3 / nullif(count(count_times_speed), 0) / ($camera_view_m / 1e3) AS flow_per_h
FROM pictures
GROUP BY camera_id, start_time
