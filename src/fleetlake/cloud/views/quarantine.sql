WITH rejects AS (
    SELECT 'vehicle_data' AS topic, kafka_partition, kafka_offset, kafka_timestamp, ingested_at, reject_reason, payload
    FROM bronze.vehicle
    WHERE reject_reason IS NOT NULL
    UNION ALL
    SELECT 'gps_data' AS topic, kafka_partition, kafka_offset, kafka_timestamp, ingested_at, reject_reason, payload
    FROM bronze.gps
    WHERE reject_reason IS NOT NULL
    UNION ALL
    SELECT 'traffic_data' AS topic, kafka_partition, kafka_offset, kafka_timestamp, ingested_at, reject_reason, payload
    FROM bronze.traffic_camera
    WHERE reject_reason IS NOT NULL
    UNION ALL
    SELECT 'weather_data' AS topic, kafka_partition, kafka_offset, kafka_timestamp, ingested_at, reject_reason, payload
    FROM bronze.weather
    WHERE reject_reason IS NOT NULL
    UNION ALL
    SELECT 'emergency_data' AS topic, kafka_partition, kafka_offset, kafka_timestamp, ingested_at, reject_reason, payload
    FROM bronze.emergency
    WHERE reject_reason IS NOT NULL
)
SELECT
    topic, kafka_partition, kafka_offset, kafka_timestamp, ingested_at, CAST(split_part(reject_reason, ':', 1) AS VARCHAR) AS rule,
    reject_reason, payload
FROM rejects
