-- A view over each linked table, so that names and case are the same as with listed tables.
-- Pass 2 of `fleetlake deploy snowflake apply`, tables linked. Generated from the contracts; do not edit.

CREATE OR REPLACE VIEW FLEETLAKE.BRONZE.VEHICLE
  COPY GRANTS
  COMMENT = 'Every record of topic vehicle_data exactly once, good or bad. State of the vehicle at a tick. [fleetlake f77a68ba674c]'
AS
SELECT
  "kafka_partition" AS KAFKA_PARTITION,
  "kafka_offset" AS KAFKA_OFFSET,
  "kafka_timestamp" AS KAFKA_TIMESTAMP,
  "ingested_at" AS INGESTED_AT,
  "reject_reason" AS REJECT_REASON,
  "payload" AS PAYLOAD,
  "event_id" AS EVENT_ID,
  "device_id" AS DEVICE_ID,
  "event_time" AS EVENT_TIME,
  "latitude" AS LATITUDE,
  "longitude" AS LONGITUDE,
  "speed_kmh" AS SPEED_KMH,
  "direction" AS DIRECTION,
  "make" AS MAKE,
  "model" AS MODEL,
  "model_year" AS MODEL_YEAR,
  "fuel_type" AS FUEL_TYPE,
  "heading_deg" AS HEADING_DEG,
  "odometer_km" AS ODOMETER_KM,
  "fuel_level_percent" AS FUEL_LEVEL_PERCENT,
  "ignition" AS IGNITION,
  "max_acceleration_ms2" AS MAX_ACCELERATION_MS2,
  "max_braking_ms2" AS MAX_BRAKING_MS2,
  "max_cornering_ms2" AS MAX_CORNERING_MS2
FROM FLEETLAKE_LAKE."bronze"."vehicle";

CREATE OR REPLACE VIEW FLEETLAKE.BRONZE.GPS
  COPY GRANTS
  COMMENT = 'Every record of topic gps_data exactly once, good or bad. A position fix. [fleetlake ea8fef8c30b9]'
AS
SELECT
  "kafka_partition" AS KAFKA_PARTITION,
  "kafka_offset" AS KAFKA_OFFSET,
  "kafka_timestamp" AS KAFKA_TIMESTAMP,
  "ingested_at" AS INGESTED_AT,
  "reject_reason" AS REJECT_REASON,
  "payload" AS PAYLOAD,
  "event_id" AS EVENT_ID,
  "device_id" AS DEVICE_ID,
  "event_time" AS EVENT_TIME,
  "speed_kmh" AS SPEED_KMH,
  "direction" AS DIRECTION,
  "vehicle_type" AS VEHICLE_TYPE,
  "latitude" AS LATITUDE,
  "longitude" AS LONGITUDE,
  "heading_deg" AS HEADING_DEG,
  "altitude_m" AS ALTITUDE_M,
  "accuracy_m" AS ACCURACY_M,
  "satellites" AS SATELLITES,
  "derived" AS DERIVED
FROM FLEETLAKE_LAKE."bronze"."gps";

CREATE OR REPLACE VIEW FLEETLAKE.BRONZE.TRAFFIC_CAMERA
  COPY GRANTS
  COMMENT = 'Every record of topic traffic_data exactly once, good or bad. What a roadside camera saw. [fleetlake 655c212c58e6]'
AS
SELECT
  "kafka_partition" AS KAFKA_PARTITION,
  "kafka_offset" AS KAFKA_OFFSET,
  "kafka_timestamp" AS KAFKA_TIMESTAMP,
  "ingested_at" AS INGESTED_AT,
  "reject_reason" AS REJECT_REASON,
  "payload" AS PAYLOAD,
  "event_id" AS EVENT_ID,
  "device_id" AS DEVICE_ID,
  "camera_id" AS CAMERA_ID,
  "latitude" AS LATITUDE,
  "longitude" AS LONGITUDE,
  "event_time" AS EVENT_TIME,
  "snapshot_base64" AS SNAPSHOT_BASE64,
  "vehicle_count" AS VEHICLE_COUNT,
  "average_speed_kmh" AS AVERAGE_SPEED_KMH
FROM FLEETLAKE_LAKE."bronze"."traffic_camera";

CREATE OR REPLACE VIEW FLEETLAKE.BRONZE.WEATHER
  COPY GRANTS
  COMMENT = 'Every record of topic weather_data exactly once, good or bad. Weather where the vehicle is. [fleetlake 0ebf245ccae5]'
AS
SELECT
  "kafka_partition" AS KAFKA_PARTITION,
  "kafka_offset" AS KAFKA_OFFSET,
  "kafka_timestamp" AS KAFKA_TIMESTAMP,
  "ingested_at" AS INGESTED_AT,
  "reject_reason" AS REJECT_REASON,
  "payload" AS PAYLOAD,
  "event_id" AS EVENT_ID,
  "device_id" AS DEVICE_ID,
  "latitude" AS LATITUDE,
  "longitude" AS LONGITUDE,
  "event_time" AS EVENT_TIME,
  "temperature_c" AS TEMPERATURE_C,
  "weather_condition" AS WEATHER_CONDITION,
  "precipitation_mmh" AS PRECIPITATION_MMH,
  "wind_speed_kmh" AS WIND_SPEED_KMH,
  "humidity_percent" AS HUMIDITY_PERCENT,
  "air_quality_index" AS AIR_QUALITY_INDEX
FROM FLEETLAKE_LAKE."bronze"."weather";

CREATE OR REPLACE VIEW FLEETLAKE.BRONZE.EMERGENCY
  COPY GRANTS
  COMMENT = 'Every record of topic emergency_data exactly once, good or bad. The nearest incident, type None where there is none. [fleetlake b00f7335795d]'
AS
SELECT
  "kafka_partition" AS KAFKA_PARTITION,
  "kafka_offset" AS KAFKA_OFFSET,
  "kafka_timestamp" AS KAFKA_TIMESTAMP,
  "ingested_at" AS INGESTED_AT,
  "reject_reason" AS REJECT_REASON,
  "payload" AS PAYLOAD,
  "event_id" AS EVENT_ID,
  "device_id" AS DEVICE_ID,
  "incident_id" AS INCIDENT_ID,
  "incident_type" AS INCIDENT_TYPE,
  "event_time" AS EVENT_TIME,
  "latitude" AS LATITUDE,
  "longitude" AS LONGITUDE,
  "status" AS STATUS,
  "description" AS DESCRIPTION
FROM FLEETLAKE_LAKE."bronze"."emergency";

CREATE OR REPLACE VIEW FLEETLAKE.SILVER.VEHICLE
  COPY GRANTS
  COMMENT = 'One row per event_id, the first arrival; rejects left out. State of the vehicle at a tick. [fleetlake cfcadee8d964]'
AS
SELECT
  "kafka_partition" AS KAFKA_PARTITION,
  "kafka_offset" AS KAFKA_OFFSET,
  "ingested_at" AS INGESTED_AT,
  "is_late" AS IS_LATE,
  "late_by_s" AS LATE_BY_S,
  "event_id" AS EVENT_ID,
  "device_id" AS DEVICE_ID,
  "event_time" AS EVENT_TIME,
  "latitude" AS LATITUDE,
  "longitude" AS LONGITUDE,
  "speed_kmh" AS SPEED_KMH,
  "direction" AS DIRECTION,
  "make" AS MAKE,
  "model" AS MODEL,
  "model_year" AS MODEL_YEAR,
  "fuel_type" AS FUEL_TYPE,
  "heading_deg" AS HEADING_DEG,
  "odometer_km" AS ODOMETER_KM,
  "fuel_level_percent" AS FUEL_LEVEL_PERCENT,
  "ignition" AS IGNITION,
  "max_acceleration_ms2" AS MAX_ACCELERATION_MS2,
  "max_braking_ms2" AS MAX_BRAKING_MS2,
  "max_cornering_ms2" AS MAX_CORNERING_MS2
FROM FLEETLAKE_LAKE."silver"."vehicle";

CREATE OR REPLACE VIEW FLEETLAKE.SILVER.GPS
  COPY GRANTS
  COMMENT = 'One row per event_id, the first arrival; rejects left out. A position fix. [fleetlake 44d0aa36a754]'
AS
SELECT
  "kafka_partition" AS KAFKA_PARTITION,
  "kafka_offset" AS KAFKA_OFFSET,
  "ingested_at" AS INGESTED_AT,
  "is_late" AS IS_LATE,
  "late_by_s" AS LATE_BY_S,
  "event_id" AS EVENT_ID,
  "device_id" AS DEVICE_ID,
  "event_time" AS EVENT_TIME,
  "speed_kmh" AS SPEED_KMH,
  "direction" AS DIRECTION,
  "vehicle_type" AS VEHICLE_TYPE,
  "latitude" AS LATITUDE,
  "longitude" AS LONGITUDE,
  "heading_deg" AS HEADING_DEG,
  "altitude_m" AS ALTITUDE_M,
  "accuracy_m" AS ACCURACY_M,
  "satellites" AS SATELLITES,
  "derived" AS DERIVED
FROM FLEETLAKE_LAKE."silver"."gps";

CREATE OR REPLACE VIEW FLEETLAKE.SILVER.TRAFFIC_CAMERA
  COPY GRANTS
  COMMENT = 'One row per event_id, the first arrival; rejects left out. What a roadside camera saw. [fleetlake 5018ce2f2c53]'
AS
SELECT
  "kafka_partition" AS KAFKA_PARTITION,
  "kafka_offset" AS KAFKA_OFFSET,
  "ingested_at" AS INGESTED_AT,
  "is_late" AS IS_LATE,
  "late_by_s" AS LATE_BY_S,
  "event_id" AS EVENT_ID,
  "device_id" AS DEVICE_ID,
  "camera_id" AS CAMERA_ID,
  "latitude" AS LATITUDE,
  "longitude" AS LONGITUDE,
  "event_time" AS EVENT_TIME,
  "snapshot_base64" AS SNAPSHOT_BASE64,
  "vehicle_count" AS VEHICLE_COUNT,
  "average_speed_kmh" AS AVERAGE_SPEED_KMH
FROM FLEETLAKE_LAKE."silver"."traffic_camera";

CREATE OR REPLACE VIEW FLEETLAKE.SILVER.WEATHER
  COPY GRANTS
  COMMENT = 'One row per event_id, the first arrival; rejects left out. Weather where the vehicle is. [fleetlake de3ce6e9a587]'
AS
SELECT
  "kafka_partition" AS KAFKA_PARTITION,
  "kafka_offset" AS KAFKA_OFFSET,
  "ingested_at" AS INGESTED_AT,
  "is_late" AS IS_LATE,
  "late_by_s" AS LATE_BY_S,
  "event_id" AS EVENT_ID,
  "device_id" AS DEVICE_ID,
  "latitude" AS LATITUDE,
  "longitude" AS LONGITUDE,
  "event_time" AS EVENT_TIME,
  "temperature_c" AS TEMPERATURE_C,
  "weather_condition" AS WEATHER_CONDITION,
  "precipitation_mmh" AS PRECIPITATION_MMH,
  "wind_speed_kmh" AS WIND_SPEED_KMH,
  "humidity_percent" AS HUMIDITY_PERCENT,
  "air_quality_index" AS AIR_QUALITY_INDEX
FROM FLEETLAKE_LAKE."silver"."weather";

CREATE OR REPLACE VIEW FLEETLAKE.SILVER.EMERGENCY
  COPY GRANTS
  COMMENT = 'One row per event_id, the first arrival; rejects left out. The nearest incident, type None where there is none. [fleetlake 6c51fd661fb3]'
AS
SELECT
  "kafka_partition" AS KAFKA_PARTITION,
  "kafka_offset" AS KAFKA_OFFSET,
  "ingested_at" AS INGESTED_AT,
  "is_late" AS IS_LATE,
  "late_by_s" AS LATE_BY_S,
  "event_id" AS EVENT_ID,
  "device_id" AS DEVICE_ID,
  "incident_id" AS INCIDENT_ID,
  "incident_type" AS INCIDENT_TYPE,
  "event_time" AS EVENT_TIME,
  "latitude" AS LATITUDE,
  "longitude" AS LONGITUDE,
  "status" AS STATUS,
  "description" AS DESCRIPTION
FROM FLEETLAKE_LAKE."silver"."emergency";

CREATE OR REPLACE VIEW FLEETLAKE.SILVER.POSITIONS
  COPY GRANTS
  COMMENT = 'What a device reported for one instant, joined, judged and enriched: a row per GPS row, and per instant only vehicle_data has [fleetlake 8d22a8b08486]'
AS
SELECT
  "event_id" AS EVENT_ID,
  "device_id" AS DEVICE_ID,
  "event_time" AS EVENT_TIME,
  "speed_kmh" AS SPEED_KMH,
  "latitude" AS LATITUDE,
  "longitude" AS LONGITUDE,
  "heading_deg" AS HEADING_DEG,
  "altitude_m" AS ALTITUDE_M,
  "accuracy_m" AS ACCURACY_M,
  "is_speed_derived" AS IS_SPEED_DERIVED,
  "odometer_km" AS ODOMETER_KM,
  "fuel_level_percent" AS FUEL_LEVEL_PERCENT,
  "ignition" AS IGNITION,
  "max_acceleration_ms2" AS MAX_ACCELERATION_MS2,
  "max_braking_ms2" AS MAX_BRAKING_MS2,
  "max_cornering_ms2" AS MAX_CORNERING_MS2,
  "quality" AS QUALITY,
  "leg_s" AS LEG_S,
  "leg_m" AS LEG_M,
  "temperature_c" AS TEMPERATURE_C,
  "weather_condition" AS WEATHER_CONDITION,
  "precipitation_mmh" AS PRECIPITATION_MMH,
  "incident_id" AS INCIDENT_ID,
  "incident_type" AS INCIDENT_TYPE,
  "incident_distance_m" AS INCIDENT_DISTANCE_M,
  "road" AS ROAD,
  "road_class" AS ROAD_CLASS,
  "speed_limit_kmh" AS SPEED_LIMIT_KMH,
  "is_night" AS IS_NIGHT
FROM FLEETLAKE_LAKE."silver"."positions";

CREATE OR REPLACE VIEW FLEETLAKE.GOLD.TRIPS
  COPY GRANTS
  COMMENT = 'A vehicle''s way from setting out to having been still for a while [fleetlake afd3dc024afb]'
AS
SELECT
  "trip_id" AS TRIP_ID,
  "device_id" AS DEVICE_ID,
  "start_time" AS START_TIME,
  "end_time" AS END_TIME,
  "is_open" AS IS_OPEN,
  "duration_s" AS DURATION_S,
  "fixes" AS FIXES,
  "start_latitude" AS START_LATITUDE,
  "start_longitude" AS START_LONGITUDE,
  "end_latitude" AS END_LATITUDE,
  "end_longitude" AS END_LONGITUDE,
  "distance_km" AS DISTANCE_KM,
  "moving_s" AS MOVING_S,
  "idle_s" AS IDLE_S,
  "average_speed_kmh" AS AVERAGE_SPEED_KMH,
  "top_speed_kmh" AS TOP_SPEED_KMH,
  "fuel_used_percent" AS FUEL_USED_PERCENT,
  "start_place" AS START_PLACE,
  "end_place" AS END_PLACE
FROM FLEETLAKE_LAKE."gold"."trips";

CREATE OR REPLACE VIEW FLEETLAKE.GOLD.STOPS
  COPY GRANTS
  COMMENT = 'A vehicle at rest in one place for a while [fleetlake 872a8b9ee814]'
AS
SELECT
  "stop_id" AS STOP_ID,
  "device_id" AS DEVICE_ID,
  "start_time" AS START_TIME,
  "end_time" AS END_TIME,
  "is_open" AS IS_OPEN,
  "duration_s" AS DURATION_S,
  "fixes" AS FIXES,
  "latitude" AS LATITUDE,
  "longitude" AS LONGITUDE,
  "dwell_s" AS DWELL_S,
  "place" AS PLACE
FROM FLEETLAKE_LAKE."gold"."stops";

CREATE OR REPLACE VIEW FLEETLAKE.GOLD.DRIVING_EVENTS
  COPY GRANTS
  COMMENT = 'Something a driver did too hard or too fast, one row an episode [fleetlake 82d475b567c8]'
AS
SELECT
  "driving_event_id" AS DRIVING_EVENT_ID,
  "device_id" AS DEVICE_ID,
  "start_time" AS START_TIME,
  "end_time" AS END_TIME,
  "is_open" AS IS_OPEN,
  "duration_s" AS DURATION_S,
  "fixes" AS FIXES,
  "kind" AS KIND,
  "measured_by" AS MEASURED_BY,
  "peak_ms2" AS PEAK_MS2,
  "peak_speed_kmh" AS PEAK_SPEED_KMH,
  "speed_limit_kmh" AS SPEED_LIMIT_KMH,
  "latitude" AS LATITUDE,
  "longitude" AS LONGITUDE,
  "road" AS ROAD,
  "place" AS PLACE
FROM FLEETLAKE_LAKE."gold"."driving_events";

CREATE OR REPLACE VIEW FLEETLAKE.GOLD.GEOFENCE_EVENTS
  COPY GRANTS
  COMMENT = 'A vehicle entering, staying in and leaving a geofence, one row each [fleetlake c911b01fdf70]'
AS
SELECT
  "geofence_event_id" AS GEOFENCE_EVENT_ID,
  "device_id" AS DEVICE_ID,
  "fence_id" AS FENCE_ID,
  "fence_name" AS FENCE_NAME,
  "kind" AS KIND,
  "event_time" AS EVENT_TIME,
  "latitude" AS LATITUDE,
  "longitude" AS LONGITUDE,
  "dwell_s" AS DWELL_S,
  "is_interpolated" AS IS_INTERPOLATED
FROM FLEETLAKE_LAKE."gold"."geofence_events";

CREATE OR REPLACE VIEW FLEETLAKE.GOLD.FUEL
  COPY GRANTS
  COMMENT = 'A device''s fuel level: consumption between refuels, losses and midnights (UTC), and those [fleetlake 5f1352c1a66f]'
AS
SELECT
  "fuel_id" AS FUEL_ID,
  "device_id" AS DEVICE_ID,
  "kind" AS KIND,
  "start_time" AS START_TIME,
  "end_time" AS END_TIME,
  "is_open" AS IS_OPEN,
  "reports" AS REPORTS,
  "start_level_percent" AS START_LEVEL_PERCENT,
  "end_level_percent" AS END_LEVEL_PERCENT,
  "used_percent" AS USED_PERCENT,
  "distance_km" AS DISTANCE_KM,
  "used_percent_per_100_km" AS USED_PERCENT_PER_100_KM,
  "latitude" AS LATITUDE,
  "longitude" AS LONGITUDE
FROM FLEETLAKE_LAKE."gold"."fuel";

CREATE OR REPLACE VIEW FLEETLAKE.GOLD.DRIVER_SCORES
  COPY GRANTS
  COMMENT = 'A day or week (UTC) of a vehicle: 100 less weighted events per 100 km [fleetlake 5524a7e86550]'
AS
SELECT
  "driver_score_id" AS DRIVER_SCORE_ID,
  "device_id" AS DEVICE_ID,
  "period" AS PERIOD,
  "start_time" AS START_TIME,
  "distance_km" AS DISTANCE_KM,
  "score" AS SCORE,
  "harsh_acceleration_events" AS HARSH_ACCELERATION_EVENTS,
  "harsh_acceleration_points" AS HARSH_ACCELERATION_POINTS,
  "harsh_braking_events" AS HARSH_BRAKING_EVENTS,
  "harsh_braking_points" AS HARSH_BRAKING_POINTS,
  "harsh_cornering_events" AS HARSH_CORNERING_EVENTS,
  "harsh_cornering_points" AS HARSH_CORNERING_POINTS,
  "overspeed_events" AS OVERSPEED_EVENTS,
  "overspeed_points" AS OVERSPEED_POINTS
FROM FLEETLAKE_LAKE."gold"."driver_scores";

CREATE OR REPLACE VIEW FLEETLAKE.GOLD.EXPOSURE
  COPY GRANTS
  COMMENT = 'Distance and time of a vehicle and day (UTC) by what it was exposed to [fleetlake 948885a130f0]'
AS
SELECT
  "exposure_id" AS EXPOSURE_ID,
  "device_id" AS DEVICE_ID,
  "start_time" AS START_TIME,
  "dimension" AS DIMENSION,
  "category" AS CATEGORY,
  "distance_km" AS DISTANCE_KM,
  "duration_min" AS DURATION_MIN
FROM FLEETLAKE_LAKE."gold"."exposure";

CREATE OR REPLACE VIEW FLEETLAKE.GOLD.FLEET_DAY
  COPY GRANTS
  COMMENT = 'A vehicle''s day (UTC): the row of a dashboard [fleetlake bf7b46559962]'
AS
SELECT
  "fleet_day_id" AS FLEET_DAY_ID,
  "device_id" AS DEVICE_ID,
  "start_time" AS START_TIME,
  "first_time" AS FIRST_TIME,
  "last_time" AS LAST_TIME,
  "positions" AS POSITIONS,
  "flagged_positions" AS FLAGGED_POSITIONS,
  "distance_km" AS DISTANCE_KM,
  "moving_min" AS MOVING_MIN,
  "idle_min" AS IDLE_MIN,
  "top_speed_kmh" AS TOP_SPEED_KMH,
  "trips" AS TRIPS,
  "stops" AS STOPS,
  "driving_events" AS DRIVING_EVENTS,
  "overspeed_min" AS OVERSPEED_MIN,
  "fuel_used_percent" AS FUEL_USED_PERCENT,
  "refuels" AS REFUELS,
  "score" AS SCORE
FROM FLEETLAKE_LAKE."gold"."fleet_day";

CREATE OR REPLACE VIEW FLEETLAKE.GOLD.CAMERA_TRAFFIC
  COPY GRANTS
  COMMENT = 'What a traffic camera saw in an hour (UTC) [fleetlake d3337c845361]'
AS
SELECT
  "camera_traffic_id" AS CAMERA_TRAFFIC_ID,
  "camera_id" AS CAMERA_ID,
  "start_time" AS START_TIME,
  "latitude" AS LATITUDE,
  "longitude" AS LONGITUDE,
  "pictures" AS PICTURES,
  "devices" AS DEVICES,
  "mean_vehicle_count" AS MEAN_VEHICLE_COUNT,
  "max_vehicle_count" AS MAX_VEHICLE_COUNT,
  "mean_speed_kmh" AS MEAN_SPEED_KMH,
  "flow_per_h" AS FLOW_PER_H
FROM FLEETLAKE_LAKE."gold"."camera_traffic";
