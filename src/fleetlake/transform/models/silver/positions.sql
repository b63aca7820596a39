-- silver.positions: what a device reported for one instant, judged and enriched.
--
-- Reads    readings, silver.weather, silver.emergency, road_cells, roads.
-- Settings future_s, stale_s, max_accuracy_m, frozen_m, jump_speed_ms, jump_slack_m, trip_start_speed_ms, stop_speed_ms, trip_end_s,
--          weather_age_s, incident_age_s, road_near_m, night_sun_deg.
-- Quality  the first reason that holds, in the order future, stale, duplicate_time, no_fix, poor_accuracy, frozen, jump. Of an instant
--          the best row counts, of equal ones the first by event_id. A fix is compared with the ones before and after it that no
--          earlier reason left out, and with none that is more than trip_end_s away.
-- frozen   the place of the fix before to the last digit, though it moves, and by its speeds since the first fix there should by now be
--          frozen_m away.
-- jump     farther from another fix than jump_slack_m and what jump_speed_ms allows. Off are a fix too far from both the one before and
--          the one after it, and a first one too far from the one after it, which is not too far from the next. Of the others, those
--          that are too far from the one before: the first after a move that can't be, and a last one that is off.
-- Legs     from the good fix before to this one. At rest at both ends, a leg's length is scatter, and counted as 0.
-- Weather and incident: the last the device reported, at that instant or not longer before it than the settings say.
-- Night    the sun's elevation by the USNO's approximate coordinates (good to about 0.1 degrees).
WITH screened AS (
    SELECT
        *,
        CASE
            WHEN seconds_between(ingested_at, event_time) > $future_s THEN 'future'
            WHEN seconds_between(event_time, ingested_at) > $stale_s THEN 'stale'
        END AS wrong
    FROM readings
),
ranked AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY device_id, event_time, wrong IS NULL
            ORDER BY CASE WHEN NOT has_fix THEN 2 WHEN accuracy_m > $max_accuracy_m THEN 1 ELSE 0 END, event_id
        ) AS nth
    FROM screened
),
timely AS (
    SELECT
        *,
        CASE
            WHEN wrong IS NOT NULL THEN wrong
            WHEN nth > 1 THEN 'duplicate_time'
            WHEN NOT has_fix THEN 'no_fix'
            WHEN accuracy_m > $max_accuracy_m THEN 'poor_accuracy'
        END AS unfit
    FROM ranked
),
repeating AS (
    SELECT
        *,
        unfit IS NULL AND coalesce(
            latitude = lag(latitude) OVER before AND longitude = lag(longitude) OVER before
            AND speed_kmh >= $trip_start_speed_ms * 3.6
            AND seconds_between(lag(event_time) OVER before, event_time) <= $trip_end_s, false
        ) AS repeats,
        CAST(round(speed_kmh / 3.6 * seconds_between(lag(event_time) OVER before, event_time) * 1000) AS BIGINT) AS driven_mm
    FROM timely
    WINDOW before AS (PARTITION BY device_id, unfit IS NULL ORDER BY event_time, event_id)
),
staying AS (
    SELECT
        *,
        sum(CASE WHEN repeats THEN 0 ELSE 1 END) OVER (
            PARTITION BY device_id, unfit IS NULL ORDER BY event_time, event_id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS place
    FROM repeating
),
sticking AS (
    SELECT
        *,
        CASE WHEN repeats AND sum(CASE WHEN repeats THEN driven_mm ELSE 0 END) OVER (
            PARTITION BY device_id, unfit IS NULL, place ORDER BY event_time, event_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) >= $frozen_m * 1000 THEN 'frozen' ELSE unfit END AS unusable
    FROM staying
),
-- Null: there is no fix, near enough in time, to be far from.
stepping AS (
    SELECT
        *,
        CASE WHEN seconds_between(lag(event_time) OVER beside, event_time) <= $trip_end_s
            THEN great_circle_mm(lag(latitude) OVER beside, lag(longitude) OVER beside, latitude, longitude)
                > (seconds_between(lag(event_time) OVER beside, event_time) * $jump_speed_ms + $jump_slack_m) * 1000
        END AS far_from_last,
        CASE WHEN seconds_between(event_time, lead(event_time) OVER beside) <= $trip_end_s
            THEN great_circle_mm(latitude, longitude, lead(latitude) OVER beside, lead(longitude) OVER beside)
                > (seconds_between(event_time, lead(event_time) OVER beside) * $jump_speed_ms + $jump_slack_m) * 1000
        END AS far_from_next
    FROM sticking
    WINDOW beside AS (PARTITION BY device_id, unusable IS NULL ORDER BY event_time, event_id)
),
outlying AS (
    SELECT
        *,
        unusable IS NULL AND coalesce(
            far_from_next AND (far_from_last OR far_from_last IS NULL AND NOT lead(far_from_next) OVER beside), false
        ) AS is_off
    FROM stepping
    WINDOW beside AS (PARTITION BY device_id, unusable IS NULL ORDER BY event_time, event_id)
),
judged AS (
    SELECT
        *,
        CASE
            WHEN unusable IS NOT NULL THEN unusable
            WHEN is_off THEN 'jump'
            WHEN seconds_between(lag(event_time) OVER others, event_time) <= $trip_end_s
                AND great_circle_mm(lag(latitude) OVER others, lag(longitude) OVER others, latitude, longitude)
                    > (seconds_between(lag(event_time) OVER others, event_time) * $jump_speed_ms + $jump_slack_m) * 1000
                THEN 'jump'
        END AS quality
    FROM outlying
    WINDOW others AS (PARTITION BY device_id, unusable IS NULL AND NOT is_off ORDER BY event_time, event_id)
),
legs AS (
    SELECT
        *,
        CASE WHEN quality IS NULL THEN seconds_between(lag(event_time) OVER good, event_time) END AS gap_s,
        CASE
            WHEN quality IS NULL AND coalesce(
                speed_kmh < $stop_speed_ms * 3.6 AND lag(speed_kmh) OVER good < $stop_speed_ms * 3.6, false
            ) THEN 0
            WHEN quality IS NULL THEN great_circle_mm(lag(latitude) OVER good, lag(longitude) OVER good, latitude, longitude)
        END AS gap_mm
    FROM judged
    WINDOW good AS (PARTITION BY device_id, quality IS NULL ORDER BY event_time, event_id)
),
timeline AS (
    SELECT device_id, event_time, event_id, 'position' AS kind, event_time AS reported_at FROM legs
    UNION ALL
    SELECT device_id, event_time, CAST(NULL AS VARCHAR) AS event_id, 'weather' AS kind, event_time AS reported_at
    FROM silver.weather
    UNION ALL
    SELECT device_id, event_time, CAST(NULL AS VARCHAR) AS event_id, 'emergency' AS kind, event_time AS reported_at
    FROM silver.emergency
),
last_reports AS (
    SELECT
        device_id, event_time, event_id, kind,
        max(CASE WHEN kind = 'weather' THEN reported_at END) OVER so_far AS weather_at,
        max(CASE WHEN kind = 'emergency' THEN reported_at END) OVER so_far AS incident_at
    FROM timeline
    WINDOW so_far AS (PARTITION BY device_id ORDER BY event_time RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
),
dated AS (
    SELECT
        legs.*,
        CASE WHEN seconds_between(last_reports.weather_at, legs.event_time) <= $weather_age_s THEN last_reports.weather_at END
            AS weather_at,
        CASE WHEN seconds_between(last_reports.incident_at, legs.event_time) <= $incident_age_s THEN last_reports.incident_at END
            AS incident_at,
        -- days since noon of 2000-01-01, and the segment of a road that is nearest: its distance in mm, then its number
        (micros(legs.event_time) - 946728000000000) / 86400e6 AS days,
        list_min(list_transform(road_cells.segments, lambda segment: segment_mm(
            legs.latitude, legs.longitude, segment.latitude, segment.longitude, segment.north_deg, segment.east_deg
        ) * 1000000 + segment.number)) AS nearest
    FROM legs
    JOIN last_reports
        ON last_reports.kind = 'position' AND last_reports.device_id = legs.device_id
        AND last_reports.event_time = legs.event_time AND last_reports.event_id = legs.event_id
    LEFT JOIN road_cells
        ON road_cells.cell_north = CAST(floor(legs.latitude * 100) AS BIGINT)
        AND road_cells.cell_east = CAST(floor(legs.longitude * 100) AS BIGINT)
),
sun AS (
    SELECT
        *,
        radians(280.459 + 0.98564736 * days + 1.915 * sin(radians(357.529 + 0.98560028 * days))
            + 0.020 * sin(radians(2 * (357.529 + 0.98560028 * days)))) AS sun_longitude,
        radians(280.46061837 + 360.98564736629 * days + longitude) AS sidereal
    FROM dated
),
weather AS (
    SELECT device_id, event_time, weather_condition, precipitation_mmh, temperature_c
    FROM (
        SELECT *, row_number() OVER (PARTITION BY device_id, event_time ORDER BY event_id) AS nth FROM silver.weather
    ) AS reports
    WHERE nth = 1
),
incidents AS (
    SELECT device_id, event_time, incident_id, incident_type, latitude, longitude
    FROM (
        SELECT *, row_number() OVER (PARTITION BY device_id, event_time ORDER BY event_id) AS nth FROM silver.emergency
    ) AS reports
    WHERE nth = 1 AND status = 'Active' AND incident_type <> 'None'
)
SELECT
    sun.event_id, sun.device_id, sun.event_time, sun.latitude, sun.longitude, sun.speed_kmh, sun.heading_deg, sun.altitude_m,
    sun.accuracy_m, sun.is_speed_derived, sun.ignition, sun.odometer_km, sun.fuel_level_percent, sun.max_acceleration_ms2,
    sun.max_braking_ms2, sun.max_cornering_ms2, sun.quality,
    CASE WHEN gap_s <= $trip_end_s AND gap_mm <= (gap_s * $jump_speed_ms + $jump_slack_m) * 1000 THEN gap_s END AS leg_s,
    CASE WHEN gap_s <= $trip_end_s AND gap_mm <= (gap_s * $jump_speed_ms + $jump_slack_m) * 1000 THEN gap_mm / 1e3 END AS leg_m,
    weather.weather_condition, weather.precipitation_mmh, weather.temperature_c,
    incidents.incident_id, incidents.incident_type,
    great_circle_mm(sun.latitude, sun.longitude, incidents.latitude, incidents.longitude) / 1e3 AS incident_distance_m,
    roads.road, coalesce(roads.road_class, 'unknown') AS road_class, roads.speed_limit_kmh,
    sin(radians(sun.latitude)) * 0.397777 * sin(sun_longitude)
        + cos(radians(sun.latitude)) * (cos(sidereal) * cos(sun_longitude) + sin(sidereal) * 0.917482 * sin(sun_longitude))
        < sin(radians($night_sun_deg)) AS is_night
FROM sun
LEFT JOIN weather ON weather.device_id = sun.device_id AND weather.event_time = sun.weather_at
LEFT JOIN incidents ON incidents.device_id = sun.device_id AND incidents.event_time = sun.incident_at
LEFT JOIN roads ON roads.number = sun.nearest % 1000000 AND sun.nearest < ($road_near_m * 1000 + 1) * 1000000
