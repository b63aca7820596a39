-- Where a device's fixes can be cut in two, just before the fix at seam_time, without changing any stop on either side.
--
-- Reads    fixes. Settings stop_speed_ms.
-- Neither that fix nor the one before it is at rest: no run reaches from one side to the other, and the run before the cut has the
-- fix that follows it on its own side, as the run after it has the one before. However long or crooked a run is, all of it lies
-- between two seams.
SELECT device_id, event_time AS seam_time, previous_time AS settled_from, event_time AS settled_until
FROM (
    SELECT
        device_id, event_time,
        lag(event_time) OVER device AS previous_time,
        coalesce(speed_kmh < $stop_speed_ms * 3.6, false) AS slow,
        lag(coalesce(speed_kmh < $stop_speed_ms * 3.6, false)) OVER device AS was_slow
    FROM fixes
    WINDOW device AS (PARTITION BY device_id ORDER BY event_time, event_id)
) AS ordered
WHERE NOT slow AND NOT was_slow AND previous_time < event_time
