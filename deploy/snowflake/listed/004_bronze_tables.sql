-- The bronze tables, each followed through Glue.
-- Pass 2 of `fleetlake deploy snowflake apply`, tables listed. Generated from the contracts; do not edit.

CREATE ICEBERG TABLE IF NOT EXISTS FLEETLAKE.BRONZE.VEHICLE
  EXTERNAL_VOLUME = 'FLEETLAKE_VOLUME'
  CATALOG = 'FLEETLAKE_GLUE'
  CATALOG_TABLE_NAME = 'vehicle'
  CATALOG_NAMESPACE = 'bronze'
  AUTO_REFRESH = TRUE
  COMMENT = 'Every record of topic vehicle_data exactly once, good or bad. State of the vehicle at a tick.';

CREATE ICEBERG TABLE IF NOT EXISTS FLEETLAKE.BRONZE.GPS
  EXTERNAL_VOLUME = 'FLEETLAKE_VOLUME'
  CATALOG = 'FLEETLAKE_GLUE'
  CATALOG_TABLE_NAME = 'gps'
  CATALOG_NAMESPACE = 'bronze'
  AUTO_REFRESH = TRUE
  COMMENT = 'Every record of topic gps_data exactly once, good or bad. A position fix.';

CREATE ICEBERG TABLE IF NOT EXISTS FLEETLAKE.BRONZE.TRAFFIC_CAMERA
  EXTERNAL_VOLUME = 'FLEETLAKE_VOLUME'
  CATALOG = 'FLEETLAKE_GLUE'
  CATALOG_TABLE_NAME = 'traffic_camera'
  CATALOG_NAMESPACE = 'bronze'
  AUTO_REFRESH = TRUE
  COMMENT = 'Every record of topic traffic_data exactly once, good or bad. What a roadside camera saw.';

CREATE ICEBERG TABLE IF NOT EXISTS FLEETLAKE.BRONZE.WEATHER
  EXTERNAL_VOLUME = 'FLEETLAKE_VOLUME'
  CATALOG = 'FLEETLAKE_GLUE'
  CATALOG_TABLE_NAME = 'weather'
  CATALOG_NAMESPACE = 'bronze'
  AUTO_REFRESH = TRUE
  COMMENT = 'Every record of topic weather_data exactly once, good or bad. Weather where the vehicle is.';

CREATE ICEBERG TABLE IF NOT EXISTS FLEETLAKE.BRONZE.EMERGENCY
  EXTERNAL_VOLUME = 'FLEETLAKE_VOLUME'
  CATALOG = 'FLEETLAKE_GLUE'
  CATALOG_TABLE_NAME = 'emergency'
  CATALOG_NAMESPACE = 'bronze'
  AUTO_REFRESH = TRUE
  COMMENT = 'Every record of topic emergency_data exactly once, good or bad. The nearest incident, type None where there is none.';
