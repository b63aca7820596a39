-- Where a device's positions can be cut in two, just before seam_time, without changing any driving event on either side.
--
-- Reads    positions. Settings event_gap_s, gps_braking_ms2, gps_braking_gap_s, overspeed_factor, and the harsh thresholds.
-- Nothing of any kind was reported in the event_gap_s before it: no episode spans that, and no peak from there on says that a loss of
-- speed before it does not count. (Braking by GPS is taken to be reported more often than it is; that only leaves out seams.) Whether a
-- fix at the beginning of that time shows a loss of speed, the one up to gps_braking_gap_s before it says.
WITH fallen AS (
    SELECT
        *,
        coalesce(
            seconds_between(lag(event_time) OVER device, event_time) <= $gps_braking_gap_s
            AND (-speed_kmh + lag(speed_kmh) OVER device) / 3.6
                / nullif(seconds_between(lag(event_time) OVER device, event_time), 0) >= $gps_braking_ms2, false
        ) AS is_braking
    FROM positions
    WHERE coalesce(quality, '') NOT IN ('future', 'stale', 'duplicate_time')
    WINDOW device AS (PARTITION BY device_id, quality IS NULL ORDER BY event_time, event_id)
),
ordered AS (
    SELECT
        device_id, event_time,
        max(CASE
            WHEN is_braking OR max_acceleration_ms2 >= $harsh_acceleration_ms2 OR max_braking_ms2 >= $harsh_braking_ms2
                OR max_cornering_ms2 >= $harsh_cornering_ms2 OR speed_kmh > speed_limit_kmh * $overspeed_factor
            THEN event_time
        END) OVER (PARTITION BY device_id ORDER BY event_time, event_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS held_at
    FROM fallen
)
SELECT
    device_id, event_time AS seam_time,
    event_time - ($event_gap_s + $gps_braking_gap_s) * INTERVAL 1 SECOND AS settled_from, event_time AS settled_until
FROM ordered
WHERE coalesce(seconds_between(held_at, event_time) > $event_gap_s, true)
