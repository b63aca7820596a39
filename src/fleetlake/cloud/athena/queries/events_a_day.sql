-- Good events by day (UTC) of measurement and kind, and how many of them were late.
SELECT kind, event_day, count(*) AS events, count_if(is_late) AS late_events
FROM (
  SELECT 'vehicle' AS kind, CAST(event_time AT TIME ZONE 'UTC' AS date) AS event_day, is_late FROM "silver"."vehicle"
  UNION ALL
  SELECT 'gps' AS kind, CAST(event_time AT TIME ZONE 'UTC' AS date) AS event_day, is_late FROM "silver"."gps"
  UNION ALL
  SELECT 'traffic_camera' AS kind, CAST(event_time AT TIME ZONE 'UTC' AS date) AS event_day, is_late FROM "silver"."traffic_camera"
  UNION ALL
  SELECT 'weather' AS kind, CAST(event_time AT TIME ZONE 'UTC' AS date) AS event_day, is_late FROM "silver"."weather"
  UNION ALL
  SELECT 'emergency' AS kind, CAST(event_time AT TIME ZONE 'UTC' AS date) AS event_day, is_late FROM "silver"."emergency"
)
GROUP BY kind, event_day
ORDER BY event_day, kind
