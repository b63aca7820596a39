-- Trips and distance of each vehicle as the lake knew them at a time; time travel by time.
-- parameter time: ISO 8601 with a zone, such as 2026-01-31T12:00:00Z
SELECT device_id, count(*) AS trips, max(end_time) AS last_end_time, max(distance_km) AS longest_km
FROM "gold"."trips" FOR TIMESTAMP AS OF from_iso8601_timestamp({time})
GROUP BY device_id
ORDER BY device_id
