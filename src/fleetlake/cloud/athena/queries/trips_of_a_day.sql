-- Trips that set out on a day (UTC), with what happened on them.
-- parameter day: the day, such as 2026-01-31
SELECT *
FROM trips
WHERE CAST(start_time AS date) = CAST(? AS date)
ORDER BY device_id, start_time
