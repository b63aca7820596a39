-- The few expressions that have no spelling common to all engines; for Spark they are put in place of their calls.

-- Microseconds since 1970. Differences of these are exact, those of seconds in floating point are not.
CREATE OR REPLACE TEMP MACRO micros(instant) AS epoch_us(instant);

-- Seconds from one instant to a later one.
CREATE OR REPLACE TEMP MACRO seconds_between(earlier, later) AS (epoch_us(later) - epoch_us(earlier)) / 1e6;

-- Great-circle distance of two WGS 84 positions in degrees, by the haversine formula on a sphere of the mean Earth radius (IUGG).
-- In whole millimetres: sines differ in the last bit from one machine's library to another's. Null if either position is: least()
-- passes over a null.
CREATE OR REPLACE TEMP MACRO great_circle_mm(latitude1, longitude1, latitude2, longitude2) AS
    CASE WHEN latitude1 IS NOT NULL AND latitude2 IS NOT NULL THEN CAST(round(2 * 6371.0088 * asin(least(1.0, sqrt(
        power(sin(radians(latitude2 - latitude1) / 2), 2)
        + cos(radians(latitude1)) * cos(radians(latitude2)) * power(sin(radians(longitude2 - longitude1) / 2), 2)
    ))) * 1e6) AS BIGINT) END;

-- Distance in whole millimetres of a place (degrees north and east) from a line from 0, 0: from the share of it that is nearest.
CREATE OR REPLACE TEMP MACRO away_from_mm(north, east, to_north, to_east, share) AS
    CAST(round(sqrt(power(north - share * to_north, 2) + power(east - share * to_east, 2)) * 111195080) AS BIGINT);
CREATE OR REPLACE TEMP MACRO away_mm(north, east, to_north, to_east) AS
    away_from_mm(
        north, east, to_north, to_east,
        greatest(0.0, least(1.0, (north * to_north + east * to_east) / greatest(to_north * to_north + to_east * to_east, 1e-18)))
    );

-- Distance in whole millimetres of a position from a segment of a road, which goes north_deg and east_deg from where it begins, on a
-- plane that touches the sphere there: good to a thousandth within a few kilometres.
CREATE OR REPLACE TEMP MACRO segment_mm(latitude, longitude, from_latitude, from_longitude, north_deg, east_deg) AS
    away_mm(
        latitude - from_latitude, (longitude - from_longitude) * cos(radians(from_latitude)),
        north_deg, east_deg * cos(radians(from_latitude))
    );
