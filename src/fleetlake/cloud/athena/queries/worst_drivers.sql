-- The twenty vehicles with the lowest score of the last week that has scores.
SELECT device_id, week_start_time, score, score_before, fleet_rank, distance_km
FROM driver_weeks
WHERE
  score IS NOT NULL
  AND week_start_time = (SELECT max(week_start_time) FROM driver_weeks WHERE score IS NOT NULL)
ORDER BY score, device_id
LIMIT 20
