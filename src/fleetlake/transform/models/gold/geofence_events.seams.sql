-- Where a device's fixes can be cut in two, just before the fix at seam_time, without changing any geofence event on either side.
--
-- Reads    fixes, fence_edges.
-- The way to that fix from the one before keeps clear of every fence: no event is on it, and no visit spans it. A device's first fix
-- is no seam: what came before it is not known.
-- Clear    of what lies between the westernmost and easternmost edge of a fence in a row of cells, 1/100 degree high. That is more
--          than the fence, so there are seams that are not found, but it takes one comparison a fence and row. Nor are those found
--          whose way is longer than two rows, or crosses the antimeridian.
WITH ordered AS (
    SELECT
        device_id, event_time, x, y,
        lag(event_time) OVER device AS from_time,
        lag(x) OVER device AS from_x,
        lag(y) OVER device AS from_y
    FROM (
        SELECT
            device_id, event_time, event_id,
            (CAST(round(longitude * 1e7) AS BIGINT) + 1800000000) % 3600000000 AS x,
            CAST(round(latitude * 1e7) AS BIGINT) + 900000000 AS y
        FROM fixes
    ) AS placed
    WINDOW device AS (PARTITION BY device_id ORDER BY event_time, event_id)
),
legs AS (
    SELECT
        device_id, from_time, event_time, least(from_x, x) AS west, greatest(from_x, x) AS east,
        least(from_y, y) // 100000 AS south_row, greatest(from_y, y) // 100000 AS north_row
    FROM ordered
    WHERE from_time < event_time AND abs(x - from_x) < 1800000000
),
spans AS (
    SELECT fence_id, cell_row, min(row_west) AS west, max(row_east) AS east
    FROM fence_edges
    WHERE is_first_in_row
    GROUP BY fence_id, cell_row
),
covered AS (
    SELECT cell_row, west, east FROM spans
    UNION ALL
    SELECT cell_row, west - 3600000000 AS west, east - 3600000000 AS east FROM spans
)
SELECT device_id, event_time AS seam_time, from_time AS settled_from, event_time AS settled_until
FROM legs
WHERE north_row - south_row <= 1
    AND NOT EXISTS (
        SELECT 1 FROM covered
        WHERE covered.cell_row = legs.south_row AND covered.west <= legs.east AND covered.east >= legs.west
    )
    AND NOT EXISTS (
        SELECT 1 FROM covered
        WHERE covered.cell_row = legs.north_row AND covered.west <= legs.east AND covered.east >= legs.west
    )
