-- Trips and distance of each vehicle at a snapshot of gold.trips; time travel by version. snapshots_of_trips lists them.
-- parameter snapshot: the snapshot's id, such as 4358109269898732000
SELECT device_id, count(*) AS trips, max(end_time) AS last_end_time, max(distance_km) AS longest_km
FROM "gold"."trips" FOR VERSION AS OF {snapshot}
GROUP BY device_id
ORDER BY device_id
