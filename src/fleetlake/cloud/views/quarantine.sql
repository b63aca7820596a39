SELECT
    'vehicle_data' AS topic, kafka_partition, kafka_offset, kafka_timestamp, ingested_at, split_part(reject_reason, ':', 1) AS rule,
    reject_reason, payload
FROM bronze.vehicle
WHERE reject_reason IS NOT NULL
UNION ALL
SELECT
    'gps_data' AS topic, kafka_partition, kafka_offset, kafka_timestamp, ingested_at, split_part(reject_reason, ':', 1) AS rule,
    reject_reason, payload
FROM bronze.gps
WHERE reject_reason IS NOT NULL
UNION ALL
SELECT
    'traffic_data' AS topic, kafka_partition, kafka_offset, kafka_timestamp, ingested_at, split_part(reject_reason, ':', 1) AS rule,
    reject_reason, payload
FROM bronze.traffic_camera
WHERE reject_reason IS NOT NULL
UNION ALL
SELECT
    'weather_data' AS topic, kafka_partition, kafka_offset, kafka_timestamp, ingested_at, split_part(reject_reason, ':', 1) AS rule,
    reject_reason, payload
FROM bronze.weather
WHERE reject_reason IS NOT NULL
UNION ALL
SELECT
    'emergency_data' AS topic, kafka_partition, kafka_offset, kafka_timestamp, ingested_at, split_part(reject_reason, ':', 1) AS rule,
    reject_reason, payload
FROM bronze.emergency
WHERE reject_reason IS NOT NULL
