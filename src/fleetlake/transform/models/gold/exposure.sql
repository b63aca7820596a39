-- gold.exposure: distance and time of a vehicle and day (UTC) by weather, incidents near, light and class of road.
--
-- Reads    silver.positions.
-- A leg counts with what was so at its end, and on the day it ended. The categories of a dimension add up to the vehicle's day.
WITH legs AS (
    SELECT
        device_id, date_trunc('day', event_time) AS start_time,
        coalesce(weather_condition, 'unknown') AS weather,
        coalesce(incident_type, 'none') AS incident,
        CASE WHEN is_night THEN 'night' ELSE 'day' END AS light,
        road_class,
        CAST(round(leg_m * 1000) AS BIGINT) AS leg_mm,
        CAST(round(leg_s * 1e6) AS BIGINT) AS leg_us
    FROM silver.positions
    WHERE leg_m IS NOT NULL
),
by_dimension AS (
    SELECT device_id, start_time, 'weather' AS dimension, weather AS category, leg_mm, leg_us FROM legs
    UNION ALL
    SELECT device_id, start_time, 'incident' AS dimension, incident AS category, leg_mm, leg_us FROM legs
    UNION ALL
    SELECT device_id, start_time, 'light' AS dimension, light AS category, leg_mm, leg_us FROM legs
    UNION ALL
    SELECT device_id, start_time, 'road_class' AS dimension, road_class AS category, leg_mm, leg_us FROM legs
)
SELECT
    md5(concat('exposure/', device_id, '/', CAST(micros(start_time) AS VARCHAR), '/', dimension, '/', category)) AS exposure_id,
    device_id, start_time, dimension, category,
    CAST(sum(leg_mm) AS DOUBLE) / 1e6 AS distance_km,
    CAST(sum(leg_us) AS DOUBLE) / 60e6 AS duration_min
FROM by_dimension
GROUP BY device_id, start_time, dimension, category
