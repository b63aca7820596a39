-- Reads the Glue catalog. Never OR REPLACE here: a new object has a new external id, and AWS trusts the old one.
-- Pass 1 of `fleetlake deploy snowflake apply`, tables linked. Generated from the contracts; do not edit.

CREATE CATALOG INTEGRATION IF NOT EXISTS FLEETLAKE_GLUE_REST
  CATALOG_SOURCE = ICEBERG_REST
  TABLE_FORMAT = ICEBERG
  REST_CONFIG = (
    CATALOG_URI = 'https://glue.<region>.amazonaws.com/iceberg'
    CATALOG_API_TYPE = AWS_GLUE
    CATALOG_NAME = '<account>'
  )
  REST_AUTHENTICATION = (
    TYPE = SIGV4
    SIGV4_IAM_ROLE = '<role-arn>'
    SIGV4_SIGNING_REGION = '<region>'
  )
  ENABLED = TRUE
  REFRESH_INTERVAL_SECONDS = 60;
