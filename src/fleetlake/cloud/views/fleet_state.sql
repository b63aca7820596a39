WITH ranked AS (
    SELECT *, row_number() OVER (PARTITION BY device_id ORDER BY event_time DESC, event_id DESC) AS age_rank
    FROM silver.positions
    WHERE quality IS NULL
),
open_trips AS (
    SELECT device_id, max(start_time) AS trip_start_time
    FROM gold.trips
    WHERE is_open
    GROUP BY device_id
)
SELECT
    ranked.device_id, ranked.event_time AS last_seen_time, ranked.latitude, ranked.longitude, ranked.speed_kmh, ranked.heading_deg,
    ranked.ignition, ranked.fuel_level_percent, ranked.odometer_km, ranked.road, ranked.speed_limit_kmh, ranked.weather_condition,
    ranked.temperature_c, open_trips.trip_start_time
FROM ranked
LEFT JOIN open_trips ON open_trips.device_id = ranked.device_id
WHERE ranked.age_rank = 1
