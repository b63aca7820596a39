-- gold.stops: a vehicle at rest in one place for a while.
--
-- Reads    fixes, places. Settings stop_speed_ms, stop_min_s, stop_radius_m, stop_unseen_s, place_near_m.
-- A stop is a run of fixes slower than stop_speed_ms, none farther than stop_radius_m from the first of them, that lasts at least
-- stop_min_s, with half of the time to the fix before it, and to the one after, counted too, each up to stop_unseen_s (dwell_s). The fix that is farther begins a new run (so a vehicle that creeps is not at rest). Silence does not break a run: what
-- was here before and is here after was here. A fix without a speed is not at rest.
-- Open     the device's fixes end in it.
-- Anchors  the first fixes of places, found one after the other along those runs that do not stay where they began.
-- The position is the mean of the fixes' offsets from the first one, so that it holds across the antimeridian, in whole 1e-9 degrees,
-- so that it does not depend on the order of addition.
WITH ordered AS (
    SELECT
        device_id, event_time, latitude, longitude, latest_time,
        row_number() OVER device AS position,
        count(*) OVER (PARTITION BY device_id) AS last_position,
        least(coalesce(seconds_between(lag(event_time) OVER device, event_time) / 2, 0.0), $stop_unseen_s) AS before_s,
        least(coalesce(seconds_between(event_time, lead(event_time) OVER device) / 2, 0.0), $stop_unseen_s) AS after_s,
        coalesce(speed_kmh < $stop_speed_ms * 3.6, false) AS slow
    FROM fixes
    WINDOW device AS (PARTITION BY device_id ORDER BY event_time, event_id)
),
runs AS (
    SELECT
        *,
        sum(CASE WHEN slow THEN 0 ELSE 1 END) OVER (
            PARTITION BY device_id ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS run
    FROM ordered
),
slow_fixes AS (
    SELECT
        device_id, event_time, latitude, longitude, latest_time, position, last_position, before_s, after_s, run,
        row_number() OVER from_start AS nth,
        great_circle_mm(first_value(latitude) OVER from_start, first_value(longitude) OVER from_start, latitude, longitude)
            > $stop_radius_m * 1000 AS is_away
    FROM runs
    WHERE slow
    WINDOW from_start AS (PARTITION BY device_id, run ORDER BY position)
),
wandering AS (
    SELECT
        slow_fixes.device_id, slow_fixes.run,
        list_sort(list([{'position': position, 'latitude': latitude, 'longitude': longitude}])) AS places
    FROM slow_fixes
    WHERE EXISTS (
        SELECT 1 FROM slow_fixes AS away
        WHERE away.device_id = slow_fixes.device_id AND away.run = slow_fixes.run AND away.is_away
    )
    GROUP BY slow_fixes.device_id, slow_fixes.run
),
anchors AS (
    SELECT device_id, position
    FROM slow_fixes
    WHERE nth = 1
    UNION
    SELECT device_id, anchor.position
    FROM (
        SELECT
            device_id,
            unnest(list_reduce(places, lambda found, place: CASE
                WHEN great_circle_mm(found[1].latitude, found[1].longitude, place[1].latitude, place[1].longitude)
                    > $stop_radius_m * 1000 THEN list_concat(place, found)
                ELSE found
            END, places[1])) AS anchor
        FROM wandering
    ) AS found_anchors
),
placed AS (
    SELECT
        slow_fixes.*,
        max(anchors.position) OVER (
            PARTITION BY slow_fixes.device_id ORDER BY slow_fixes.position ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS anchor_position
    FROM slow_fixes
    LEFT JOIN anchors ON anchors.device_id = slow_fixes.device_id AND anchors.position = slow_fixes.position
),
offsets AS (
    SELECT
        *,
        first_value(latitude) OVER place AS first_latitude,
        first_value(longitude) OVER place AS first_longitude
    FROM placed
    WINDOW place AS (PARTITION BY device_id, anchor_position ORDER BY position)
),
wrapped AS (
    SELECT
        *,
        latitude - first_latitude AS north_deg,
        longitude - first_longitude
            - CASE WHEN longitude - first_longitude > 180 THEN 360 WHEN longitude - first_longitude < -180 THEN -360 ELSE 0 END
            AS east_deg
    FROM offsets
),
stops AS (
    SELECT
        device_id,
        min(event_time) AS start_time,
        max(event_time) AS end_time,
        max(position) = max(last_position) AND max(event_time) = max(latest_time) AS is_open,
        count(*) AS fixes,
        seconds_between(min(event_time), max(event_time)) + min_by(before_s, position) + max_by(after_s, position) AS dwell_s,
        max(first_latitude) + CAST(sum(CAST(round(north_deg * 1e9) AS BIGINT)) AS DOUBLE) / count(*) / 1e9 AS latitude,
        max(first_longitude) + CAST(sum(CAST(round(east_deg * 1e9) AS BIGINT)) AS DOUBLE) / count(*) / 1e9 AS longitude
    FROM wrapped
    GROUP BY device_id, anchor_position
),
long_stops AS (
    SELECT
        device_id, start_time, end_time, is_open, fixes, latitude, dwell_s,
        longitude - CASE WHEN longitude > 180 THEN 360 WHEN longitude < -180 THEN -360 ELSE 0 END AS longitude
    FROM stops
    WHERE dwell_s >= $stop_min_s
),
near_places AS (
    SELECT
        long_stops.device_id, long_stops.start_time,
        min(great_circle_mm(long_stops.latitude, long_stops.longitude, places.latitude, places.longitude) * 10000 + places.number)
            AS nearest
    FROM long_stops CROSS JOIN places
    GROUP BY long_stops.device_id, long_stops.start_time
)
SELECT
    md5(concat('stop/', long_stops.device_id, '/', CAST(micros(long_stops.start_time) AS VARCHAR))) AS stop_id,
    long_stops.device_id, long_stops.start_time, end_time, is_open,
    seconds_between(long_stops.start_time, end_time) AS duration_s,
    fixes, long_stops.latitude, long_stops.longitude, dwell_s,
    places.name AS place
FROM long_stops
LEFT JOIN near_places ON near_places.device_id = long_stops.device_id AND near_places.start_time = long_stops.start_time
LEFT JOIN places ON places.number = nearest % 10000 AND nearest < ($place_near_m * 1000 + 1) * 10000
