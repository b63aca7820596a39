-- The silver tables, each followed through Glue.
-- Pass 2 of `fleetlake deploy snowflake apply`, tables listed. Generated from the contracts; do not edit.

CREATE ICEBERG TABLE IF NOT EXISTS FLEETLAKE.SILVER.VEHICLE
  EXTERNAL_VOLUME = 'FLEETLAKE_VOLUME'
  CATALOG = 'FLEETLAKE_GLUE'
  CATALOG_TABLE_NAME = 'vehicle'
  CATALOG_NAMESPACE = 'silver'
  AUTO_REFRESH = TRUE
  COMMENT = 'One row per event_id, the first arrival; rejects left out. State of the vehicle at a tick.';

CREATE ICEBERG TABLE IF NOT EXISTS FLEETLAKE.SILVER.GPS
  EXTERNAL_VOLUME = 'FLEETLAKE_VOLUME'
  CATALOG = 'FLEETLAKE_GLUE'
  CATALOG_TABLE_NAME = 'gps'
  CATALOG_NAMESPACE = 'silver'
  AUTO_REFRESH = TRUE
  COMMENT = 'One row per event_id, the first arrival; rejects left out. A position fix.';

CREATE ICEBERG TABLE IF NOT EXISTS FLEETLAKE.SILVER.TRAFFIC_CAMERA
  EXTERNAL_VOLUME = 'FLEETLAKE_VOLUME'
  CATALOG = 'FLEETLAKE_GLUE'
  CATALOG_TABLE_NAME = 'traffic_camera'
  CATALOG_NAMESPACE = 'silver'
  AUTO_REFRESH = TRUE
  COMMENT = 'One row per event_id, the first arrival; rejects left out. What a roadside camera saw.';

CREATE ICEBERG TABLE IF NOT EXISTS FLEETLAKE.SILVER.WEATHER
  EXTERNAL_VOLUME = 'FLEETLAKE_VOLUME'
  CATALOG = 'FLEETLAKE_GLUE'
  CATALOG_TABLE_NAME = 'weather'
  CATALOG_NAMESPACE = 'silver'
  AUTO_REFRESH = TRUE
  COMMENT = 'One row per event_id, the first arrival; rejects left out. Weather where the vehicle is.';

CREATE ICEBERG TABLE IF NOT EXISTS FLEETLAKE.SILVER.EMERGENCY
  EXTERNAL_VOLUME = 'FLEETLAKE_VOLUME'
  CATALOG = 'FLEETLAKE_GLUE'
  CATALOG_TABLE_NAME = 'emergency'
  CATALOG_NAMESPACE = 'silver'
  AUTO_REFRESH = TRUE
  COMMENT = 'One row per event_id, the first arrival; rejects left out. The nearest incident, type None where there is none.';

CREATE ICEBERG TABLE IF NOT EXISTS FLEETLAKE.SILVER.POSITIONS
  EXTERNAL_VOLUME = 'FLEETLAKE_VOLUME'
  CATALOG = 'FLEETLAKE_GLUE'
  CATALOG_TABLE_NAME = 'positions'
  CATALOG_NAMESPACE = 'silver'
  AUTO_REFRESH = TRUE
  COMMENT = 'What a device reported for one instant, joined, judged and enriched: a row per GPS row, and per instant only vehicle_data has';
