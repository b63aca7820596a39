-- Reads the lake's files, and only reads. Never OR REPLACE here: a new object has a new external id, and AWS trusts the old one.
-- Pass 1 of `fleetlake deploy snowflake apply`, tables listed. Generated from the contracts; do not edit.

CREATE EXTERNAL VOLUME IF NOT EXISTS FLEETLAKE_VOLUME
  STORAGE_LOCATIONS = (
    (
      NAME = 'lake'
      STORAGE_PROVIDER = 'S3'
      STORAGE_BASE_URL = 's3://<bucket>/warehouse/'
      STORAGE_AWS_ROLE_ARN = '<role-arn>'
    )
  )
  ALLOW_WRITES = FALSE;
