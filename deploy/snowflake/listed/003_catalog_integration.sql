-- Reads the Glue catalog. Never OR REPLACE here: a new object has a new external id, and AWS trusts the old one.
-- Pass 1 of `fleetlake deploy snowflake apply`, tables listed. Generated from the contracts; do not edit.

CREATE CATALOG INTEGRATION IF NOT EXISTS FLEETLAKE_GLUE
  CATALOG_SOURCE = GLUE
  TABLE_FORMAT = ICEBERG
  GLUE_AWS_ROLE_ARN = '<role-arn>'
  GLUE_CATALOG_ID = '<account>'
  GLUE_REGION = '<region>'
  ENABLED = TRUE
  REFRESH_INTERVAL_SECONDS = 60;
