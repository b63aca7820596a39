-- One database that follows Glue: its schemas and tables appear by themselves. Nothing can be written through it.
-- Pass 2 of `fleetlake deploy snowflake apply`, tables linked. Generated from the contracts; do not edit.

CREATE DATABASE FLEETLAKE_LAKE
  LINKED_CATALOG = (
    CATALOG = 'FLEETLAKE_GLUE_REST',
    ALLOWED_NAMESPACES = ('bronze', 'silver', 'gold'),
    ALLOWED_WRITE_OPERATIONS = NONE,
    SYNC_INTERVAL_SECONDS = 60
  )
  EXTERNAL_VOLUME = 'FLEETLAKE_VOLUME'
  CATALOG_CASE_SENSITIVITY = CASE_INSENSITIVE;
