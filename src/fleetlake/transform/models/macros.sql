-- The few expressions that have no spelling common to all engines; for Spark they are put in place of their calls.

-- Microseconds since 1970. Differences of these are exact, those of seconds in floating point are not.
CREATE OR REPLACE TEMP MACRO micros(instant) AS epoch_us(instant);

-- Seconds from one instant to a later one.
CREATE OR REPLACE TEMP MACRO seconds_between(earlier, later) AS (epoch_us(later) - epoch_us(earlier)) / 1e6;

-- Great-circle distance of two WGS 84 positions in degrees, by the haversine formula on a sphere of the mean Earth radius (IUGG).
-- In whole millimetres: sines differ in the last bit from one machine's library to another's. Null without a first position: least()
-- passes over a null.
CREATE OR REPLACE TEMP MACRO great_circle_mm(latitude1, longitude1, latitude2, longitude2) AS
    CASE WHEN latitude1 IS NOT NULL THEN CAST(round(2 * 6371.0088 * asin(least(1.0, sqrt(
        power(sin(radians(latitude2 - latitude1) / 2), 2)
        + cos(radians(latitude1)) * cos(radians(latitude2)) * power(sin(radians(longitude2 - longitude1) / 2), 2)
    ))) * 1e6) AS BIGINT) END;
