-- Where each vehicle was last, and whether it is on a trip.
SELECT device_id, last_seen_time, latitude, longitude, speed_kmh, road, weather_condition, trip_start_time
FROM fleet_state
ORDER BY device_id
