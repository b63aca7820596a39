-- Where a device's positions can be cut in two, just before seam_time, without changing a row of gold.fuel on either side.
--
-- Reads    positions.
-- The first report of a level of a day: steps belong to the day they begin in. The one that leads here needs this report, and that it
-- is over shows the report after it.
SELECT device_id, event_time AS seam_time, date_trunc('day', event_time) AS settled_from, next_time AS settled_until
FROM (
    SELECT
        device_id, event_time,
        lag(event_time) OVER device AS last_time,
        lead(event_time) OVER device AS next_time
    FROM positions
    WHERE fuel_level_percent IS NOT NULL AND coalesce(quality, '') NOT IN ('future', 'stale', 'duplicate_time')
    WINDOW device AS (PARTITION BY device_id ORDER BY event_time, event_id)
) AS levels
WHERE next_time > event_time AND coalesce(CAST(last_time AS DATE) < CAST(event_time AS DATE), true)
