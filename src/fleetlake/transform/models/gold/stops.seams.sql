-- Where a device's fixes can be cut in two, just before the fix at seam_time, without changing any stop on either side.
--
-- Reads    fixes. Settings stop_speed_ms.
-- That fix is not at rest, so it ends the run before it and belongs to none, and it is the first of its instant, so nothing of the
-- run before it falls on the other side. However long or crooked a run is, all of it lies between two seams.
SELECT device_id, event_time AS seam_time
FROM (
    SELECT
        device_id, event_time,
        lag(event_time) OVER (PARTITION BY device_id ORDER BY event_time, event_id) AS previous_time,
        coalesce(speed_kmh < $stop_speed_ms * 3.6, false) AS slow
    FROM fixes
) AS ordered
WHERE NOT slow AND (previous_time IS NULL OR previous_time < event_time)
