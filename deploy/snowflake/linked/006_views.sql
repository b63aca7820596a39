-- Views for analysts.
-- Pass 2 of `fleetlake deploy snowflake apply`, tables linked. Generated from the contracts; do not edit.

CREATE OR REPLACE VIEW FLEETLAKE.ANALYTICS.FLEET_STATE
  COPY GRANTS
  COMMENT = 'Where each vehicle was last, how fast, in what weather, and whether it is on a trip [fleetlake 8cdf830b40e5]'
AS
WITH ranked AS (
  SELECT
    *,
    ROW_NUMBER() OVER (
      PARTITION BY device_id
      ORDER BY event_time DESC NULLS LAST, event_id DESC NULLS LAST
    ) AS age_rank
  FROM FLEETLAKE.SILVER.POSITIONS
  WHERE
    quality IS NULL
), open_trips AS (
  SELECT
    device_id,
    MAX(start_time) AS trip_start_time
  FROM FLEETLAKE.GOLD.TRIPS
  WHERE
    is_open
  GROUP BY
    device_id
)
SELECT
  ranked.device_id,
  ranked.event_time AS last_seen_time,
  ranked.latitude,
  ranked.longitude,
  ranked.speed_kmh,
  ranked.heading_deg,
  ranked.ignition,
  ranked.fuel_level_percent,
  ranked.odometer_km,
  ranked.road,
  ranked.speed_limit_kmh,
  ranked.weather_condition,
  ranked.temperature_c,
  open_trips.trip_start_time
FROM ranked
LEFT JOIN open_trips
  ON open_trips.device_id = ranked.device_id
WHERE
  ranked.age_rank = 1;

CREATE OR REPLACE VIEW FLEETLAKE.ANALYTICS.TRIPS
  COPY GRANTS
  COMMENT = 'Trips with what happened on them: harsh events, overspeeds [fleetlake dd072a6b5dbd]'
AS
SELECT
  trips.trip_id,
  trips.device_id,
  trips.start_time,
  trips.end_time,
  trips.is_open,
  trips.start_place,
  trips.end_place,
  trips.distance_km,
  trips.duration_s,
  trips.average_speed_kmh,
  trips.top_speed_kmh,
  trips.fuel_used_percent,
  COUNT(CASE WHEN events.kind = 'harsh_acceleration' THEN 1 END) AS harsh_accelerations,
  COUNT(CASE WHEN events.kind = 'harsh_braking' THEN 1 END) AS harsh_brakings,
  COUNT(CASE WHEN events.kind = 'harsh_cornering' THEN 1 END) AS harsh_cornerings,
  COUNT(CASE WHEN events.kind = 'overspeed' THEN 1 END) AS overspeeds,
  COALESCE(SUM(CASE WHEN events.kind = 'overspeed' THEN events.duration_s END), 0) AS overspeed_s
FROM FLEETLAKE.GOLD.TRIPS AS trips
LEFT JOIN FLEETLAKE.GOLD.DRIVING_EVENTS AS events
  ON events.device_id = trips.device_id
  AND events.start_time >= trips.start_time
  AND events.start_time <= trips.end_time
GROUP BY
  trips.trip_id,
  trips.device_id,
  trips.start_time,
  trips.end_time,
  trips.is_open,
  trips.start_place,
  trips.end_place,
  trips.distance_km,
  trips.duration_s,
  trips.average_speed_kmh,
  trips.top_speed_kmh,
  trips.fuel_used_percent;

CREATE OR REPLACE VIEW FLEETLAKE.ANALYTICS.QUARANTINE
  COPY GRANTS
  COMMENT = 'Records that broke the contract: where they are in Kafka, the rule, the field, what was seen [fleetlake 6b83c0a10a22]'
AS
WITH rejects AS (
  SELECT
    'vehicle_data' AS topic,
    kafka_partition,
    kafka_offset,
    kafka_timestamp,
    ingested_at,
    reject_reason,
    payload
  FROM FLEETLAKE.BRONZE.VEHICLE
  WHERE
    NOT reject_reason IS NULL
  UNION ALL
  SELECT
    'gps_data' AS topic,
    kafka_partition,
    kafka_offset,
    kafka_timestamp,
    ingested_at,
    reject_reason,
    payload
  FROM FLEETLAKE.BRONZE.GPS
  WHERE
    NOT reject_reason IS NULL
  UNION ALL
  SELECT
    'traffic_data' AS topic,
    kafka_partition,
    kafka_offset,
    kafka_timestamp,
    ingested_at,
    reject_reason,
    payload
  FROM FLEETLAKE.BRONZE.TRAFFIC_CAMERA
  WHERE
    NOT reject_reason IS NULL
  UNION ALL
  SELECT
    'weather_data' AS topic,
    kafka_partition,
    kafka_offset,
    kafka_timestamp,
    ingested_at,
    reject_reason,
    payload
  FROM FLEETLAKE.BRONZE.WEATHER
  WHERE
    NOT reject_reason IS NULL
  UNION ALL
  SELECT
    'emergency_data' AS topic,
    kafka_partition,
    kafka_offset,
    kafka_timestamp,
    ingested_at,
    reject_reason,
    payload
  FROM FLEETLAKE.BRONZE.EMERGENCY
  WHERE
    NOT reject_reason IS NULL
)
SELECT
  topic,
  kafka_partition,
  kafka_offset,
  kafka_timestamp,
  ingested_at,
  CAST(SPLIT_PART(reject_reason, ':', 1) AS VARCHAR) AS rule,
  reject_reason,
  payload
FROM rejects;

CREATE OR REPLACE VIEW FLEETLAKE.ANALYTICS.DRIVER_WEEKS
  COPY GRANTS
  COMMENT = 'Each vehicle''s score by week, with its rank in the fleet and the week before [fleetlake 6237c4f8d7ac]'
AS
SELECT
  device_id,
  start_time AS week_start_time,
  distance_km,
  score,
  RANK() OVER (PARTITION BY start_time ORDER BY score DESC NULLS LAST) AS fleet_rank,
  LAG(score) OVER (PARTITION BY device_id ORDER BY start_time) AS score_before,
  harsh_acceleration_events,
  harsh_braking_events,
  harsh_cornering_events,
  overspeed_events
FROM FLEETLAKE.GOLD.DRIVER_SCORES
WHERE
  period = 'week';
