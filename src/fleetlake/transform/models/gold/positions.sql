-- positions, what gold is made of: silver.positions with the times of each device's last fix and of its last row, those with a wrong
-- clock left out.
--
-- Reads    silver.positions.
SELECT stored.*, latest.latest_time, latest.last_time
FROM silver.positions AS stored
LEFT JOIN (
    SELECT
        device_id,
        max(CASE WHEN coalesce(quality, 'no_fix') = 'no_fix' AND latitude IS NOT NULL THEN event_time END) AS latest_time,
        max(CASE WHEN coalesce(quality, '') NOT IN ('future', 'stale') THEN event_time END) AS last_time
    FROM silver.positions
    GROUP BY device_id
) AS latest ON latest.device_id = stored.device_id
