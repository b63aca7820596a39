-- gold.geofence_events: a vehicle entering, staying in and leaving a fence.
--
-- Reads    fixes, fence_edges (geography/fence_edges.py). Settings geofence_dwell_s.
-- Leg      from fix to fix, straight in longitude and latitude as the fences' edges are, the shorter way round the Earth. A leg that
--          crosses a fence counts, whether or not a fix lies inside and however long the silence was; is_interpolated tells.
-- Event    when a leg crosses an edge, as if at constant speed, in whole microseconds; and an enter at a device's first fix if that is
--          inside. Crossings of one fence in one microsecond that cancel each other are no event: a corner that is only touched, a
--          border that two parts of a fence share.
-- Border   positions on the western and southern edges are inside, those on the eastern and northern ones are not: as if all fixes
--          were shifted by next to nothing east, and by next to nothing of that north. So no leg meets a vertex or runs along an edge.
-- Dwell    geofence_dwell_s after an enter, unless the exit, or the device's last fix, comes before that.
-- It is all reckoned in whole units of 1e-7 degrees (1 cm), so that the side of an edge a fix is on is exact: crossings add up to
-- what the fixes say, and enters and exits of a fence take turns. Edges are so short that doubles hold the areas whose quotient is
-- the time of a crossing, so two edges that meet are crossed at one time.
-- Cells, of 1/100 degree: a leg is compared with the edges in the cells it passes through. A long one is looked up piece by piece, of
-- less than a cell, so that each piece touches two rows and two columns at most.
WITH placed AS (
    SELECT
        device_id, event_time, event_id, micros(event_time) AS at_us, micros(latest_time) AS latest_us,
        (CAST(round(longitude * 1e7) AS BIGINT) + 1800000000) % 3600000000 AS x,
        CAST(round(latitude * 1e7) AS BIGINT) + 900000000 AS y
    FROM fixes
),
ordered AS (
    SELECT
        device_id, at_us, latest_us, x, y,
        row_number() OVER device AS position,
        lag(at_us) OVER device AS from_us,
        lag(x) OVER device AS from_x,
        lag(y) OVER device AS from_y
    FROM placed
    WINDOW device AS (PARTITION BY device_id ORDER BY event_time, event_id)
),
legs AS (
    SELECT
        device_id, position, at_us, latest_us, from_us, from_x, from_y,
        x - from_x - CASE WHEN x - from_x > 1800000000 THEN 3600000000 WHEN x - from_x < -1800000000 THEN -3600000000 ELSE 0 END AS dx,
        y - from_y AS dy
    FROM ordered
    WHERE position > 1
),
pieces AS (
    SELECT
        *, greatest(abs(dx), abs(dy)) // 90000 + 1 AS pieces,
        unnest(generate_series(CAST(0 AS BIGINT), greatest(abs(dx), abs(dy)) // 90000)) AS piece
    FROM legs
    WHERE dx <> 0 OR dy <> 0
),
extents AS (
    SELECT
        device_id, position, at_us, latest_us, from_us, from_x, from_y, dx, dy,
        (from_x + least((dx * piece) // pieces, (dx * (piece + 1)) // pieces) - 2 + 3600000000) // 100000 AS west_column,
        (from_x + greatest((dx * piece) // pieces, (dx * (piece + 1)) // pieces) + 2 + 3600000000) // 100000 AS east_column,
        (from_y + least((dy * piece) // pieces, (dy * (piece + 1)) // pieces) - 2) // 100000 AS south_row,
        (from_y + greatest((dy * piece) // pieces, (dy * (piece + 1)) // pieces) + 2) // 100000 AS north_row
    FROM pieces
),
cells AS (
    SELECT extents.*, (south_row + is_north) * 36000 + (west_column + is_east) % 36000 AS cell
    FROM extents CROSS JOIN (VALUES (0, 0), (0, 1), (1, 0), (1, 1)) AS neighbours(is_east, is_north)
    WHERE west_column + is_east <= east_column AND south_row + is_north <= north_row
),
near AS (
    SELECT
        cells.*, fence_id, fence_name, edge, x2 - x1 AS edge_dx, y2 - y1 AS edge_dy, y1 - from_y AS edge_y,
        x1 - from_x - CASE
            WHEN x1 + x2 - 2 * from_x - dx >= 10800000000 THEN 7200000000
            WHEN x1 + x2 - 2 * from_x - dx >= 3600000000 THEN 3600000000
            WHEN x1 + x2 - 2 * from_x - dx < -3600000000 THEN -3600000000
            ELSE 0
        END AS edge_x
    FROM cells JOIN fence_edges ON fence_edges.cell = cells.cell
    WHERE greatest(y1, y2) >= from_y + least(dy, 0) AND least(y1, y2) <= from_y + greatest(dy, 0)
),
sides AS (
    SELECT
        *,
        dx * edge_y - dy * edge_x AS start_side,
        dx * (edge_y + edge_dy) - dy * (edge_x + edge_dx) AS end_side,
        edge_dy * edge_x - edge_dx * edge_y AS from_side,
        edge_dx * (dy - edge_y) - edge_dy * (dx - edge_x) AS to_side
    FROM near
),
crossings AS (
    SELECT DISTINCT
        device_id, fence_id, fence_name, edge, position, at_us, latest_us, from_us, from_x, from_y, dx, dy,
        CASE WHEN to_side > 0 OR (to_side = 0 AND (edge_dy < 0 OR (edge_dy = 0 AND edge_dx > 0))) THEN 1 ELSE -1 END AS step,
        from_us + CAST(round(abs(from_side) / nullif(abs(from_side - to_side), 0) * (at_us - from_us)) AS BIGINT) AS event_us
    FROM sides
    WHERE (start_side > 0 OR (start_side = 0 AND (dy > 0 OR (dy = 0 AND dx < 0))))
        <> (end_side > 0 OR (end_side = 0 AND (dy > 0 OR (dy = 0 AND dx < 0))))
        AND (from_side > 0 OR (from_side = 0 AND (edge_dy < 0 OR (edge_dy = 0 AND edge_dx > 0))))
        <> (to_side > 0 OR (to_side = 0 AND (edge_dy < 0 OR (edge_dy = 0 AND edge_dx > 0))))
),
begun_inside AS (
    SELECT
        device_id, fence_id, fence_name, position, at_us, latest_us, x, y,
        sum(CASE WHEN y2 > y1 AND side > 0 THEN 1 WHEN y2 < y1 AND side < 0 THEN -1 ELSE 0 END) AS windings
    FROM (
        SELECT *, (x2 - x1) * (y - y1) - (y2 - y1) * (CASE WHEN x < west THEN x + 3600000000 ELSE x END - x1) AS side
        FROM ordered JOIN fence_edges ON cell_row = y // 100000
        WHERE position = 1 AND is_first_in_row AND (y1 > y) <> (y2 > y)
    ) AS beside
    GROUP BY device_id, fence_id, fence_name, position, at_us, latest_us, x, y
),
changes AS (
    SELECT device_id, fence_id, fence_name, position, step, at_us, latest_us, from_us, from_x, from_y, dx, dy, event_us
    FROM crossings
    UNION ALL
    SELECT
        device_id, fence_id, fence_name, position, 1 AS step, at_us, latest_us, at_us AS from_us, x AS from_x, y AS from_y,
        0 AS dx, 0 AS dy, at_us AS event_us
    FROM begun_inside
    WHERE windings > 0
),
turns AS (
    SELECT
        *,
        lag(event_us) OVER visits AS before_us,
        lead(event_us) OVER visits AS after_us
    FROM (
        SELECT
            *,
            sum(step) OVER (PARTITION BY device_id, fence_id, event_us) AS net,
            row_number() OVER (PARTITION BY device_id, fence_id, event_us ORDER BY position DESC) AS nth
        FROM changes
    ) AS of_instants
    WHERE net <> 0 AND nth = 1
    WINDOW visits AS (PARTITION BY device_id, fence_id ORDER BY event_us)
),
-- The leg of a dwell, which may be long after that of the enter, is found among those that touch its ten minutes.
minutes AS (
    SELECT *, unnest(generate_series(from_us // 600000000, at_us // 600000000)) AS ten_minutes FROM legs
),
told AS (
    SELECT
        device_id, fence_id, fence_name,
        CASE WHEN is_dwell THEN 'dwell' WHEN net > 0 THEN 'enter' ELSE 'exit' END AS kind,
        event_us + CASE WHEN is_dwell THEN CAST(round($geofence_dwell_s * 1e6) AS BIGINT) ELSE 0 END AS event_us,
        CASE WHEN is_dwell THEN $geofence_dwell_s WHEN net > 0 THEN 0.0 ELSE CAST(event_us - before_us AS DOUBLE) / 1e6 END AS dwell_s,
        CASE WHEN is_dwell THEN (event_us + CAST(round($geofence_dwell_s * 1e6) AS BIGINT)) // 600000000 END AS ten_minutes,
        at_us, from_us, from_x, from_y, dx, dy
    FROM turns CROSS JOIN (VALUES (false), (true)) AS kinds(is_dwell)
    WHERE NOT is_dwell
        OR (net > 0 AND coalesce(after_us, latest_us) >= event_us + CAST(round($geofence_dwell_s * 1e6) AS BIGINT))
),
events AS (
    SELECT
        told.device_id, fence_id, fence_name, kind, event_us, dwell_s,
        coalesce(minutes.at_us, told.at_us) AS at_us, coalesce(minutes.from_us, told.from_us) AS from_us,
        coalesce(minutes.from_x, told.from_x) AS from_x, coalesce(minutes.from_y, told.from_y) AS from_y,
        coalesce(minutes.dx, told.dx) AS dx, coalesce(minutes.dy, told.dy) AS dy
    FROM told LEFT JOIN minutes
        ON minutes.device_id = told.device_id AND minutes.ten_minutes = told.ten_minutes
        AND minutes.from_us < event_us AND event_us <= minutes.at_us
),
located AS (
    SELECT
        *,
        event_us > from_us AND event_us < at_us AS is_interpolated,
        from_y + CASE
            WHEN event_us = at_us THEN dy
            WHEN event_us = from_us THEN 0
            ELSE CAST(round(dy * ((event_us - from_us) / (at_us - from_us))) AS BIGINT)
        END AS y,
        from_x + CASE
            WHEN event_us = at_us THEN dx
            WHEN event_us = from_us THEN 0
            ELSE CAST(round(dx * ((event_us - from_us) / (at_us - from_us))) AS BIGINT)
        END AS x
    FROM events
)
SELECT
    md5(concat('geofence/', device_id, '/', fence_id, '/', kind, '/', CAST(event_us AS VARCHAR))) AS geofence_event_id,
    device_id, fence_id, fence_name, kind,
    CAST(make_timestamp(event_us) AS TIMESTAMPTZ) AS event_time,
    (y - 900000000) / 1e7 AS latitude,
    ((x + 3600000000) % 3600000000 - 1800000000) / 1e7 AS longitude,
    dwell_s, is_interpolated
FROM located
