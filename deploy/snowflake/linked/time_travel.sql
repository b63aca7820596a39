-- Time travel: examples, not applied by anything. Generated from the contracts; do not edit.
-- Snowflake reaches back as far as the table's history.expire.max-snapshot-age-ms (5 days unless set), at most 1 day in Standard
-- Edition and 5 days above it, and only to what it had refreshed by then; Iceberg's own maintenance must have kept the snapshot.
-- A snapshot's own id is for Athena or `fleetlake query --as-of`: here it is a time, an offset or a statement.

ALTER SESSION SET TIMEZONE = 'UTC';

SELECT count(*) AS trips, sum(distance_km) AS km
FROM FLEETLAKE_LAKE."gold"."trips" AT(TIMESTAMP => '2026-01-01 12:00:00 +0000'::TIMESTAMP_TZ);

-- an hour ago
SELECT count(*) AS trips, sum(distance_km) AS km
FROM FLEETLAKE_LAKE."gold"."trips" AT(OFFSET => -3600);

-- what the last hour changed
SELECT trips.trip_id, was.distance_km AS km_then, trips.distance_km AS km_since
FROM FLEETLAKE_LAKE."gold"."trips" AS trips
LEFT JOIN FLEETLAKE_LAKE."gold"."trips" AT(OFFSET => -3600) AS was ON was.trip_id = trips.trip_id
WHERE was.trip_id IS NULL OR was.distance_km <> trips.distance_km;

-- how old the table is that Snowflake knows
SELECT SYSTEM$AUTO_REFRESH_STATUS('FLEETLAKE_LAKE."gold"."trips"');
