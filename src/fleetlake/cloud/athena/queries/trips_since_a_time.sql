-- Trips that are new or other than the lake knew them at a time: what late data and new models changed.
-- parameter time: ISO 8601 with a zone, such as 2026-01-31T12:00:00Z
SELECT trip_id, device_id, start_time, end_time, is_open, distance_km
FROM "gold"."trips"
EXCEPT
SELECT trip_id, device_id, start_time, end_time, is_open, distance_km
FROM "gold"."trips" FOR TIMESTAMP AS OF from_iso8601_timestamp({time})
ORDER BY device_id, start_time
