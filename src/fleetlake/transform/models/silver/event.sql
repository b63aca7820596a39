-- silver.<kind>, for every kind of event: the first arrival of each event_id, rejects left out, late rows marked.
--
-- Reads    arrived: bronze rows no earlier run has read; seen (event_id): those of them silver has already;
--          latest (device_id, event_time): the latest time silver has of a device, where it could matter.
-- Settings lateness_s.
-- Arrival order is (ingested_at, kafka_partition, kafka_offset). Duplicates don't count as arrivals of their device: whether a row
-- is late then follows from silver's own rows, however the arrivals were divided into runs.
WITH candidates AS (
    SELECT
        kafka_partition, kafka_offset, ingested_at, event_id, device_id, event_time,
        row_number() OVER (PARTITION BY event_id ORDER BY ingested_at, kafka_partition, kafka_offset) AS arrival
    FROM arrived
    WHERE reject_reason IS NULL
),
accepted AS (
    SELECT
        candidates.kafka_partition, candidates.kafka_offset, candidates.event_time,
        greatest(
            latest.event_time,
            max(candidates.event_time) OVER (
                PARTITION BY candidates.device_id
                ORDER BY candidates.ingested_at, candidates.kafka_partition, candidates.kafka_offset
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            )
        ) AS reported_before
    FROM candidates
    LEFT JOIN latest ON latest.device_id = candidates.device_id
    WHERE candidates.arrival = 1 AND NOT EXISTS (SELECT 1 FROM seen WHERE seen.event_id = candidates.event_id)
),
timed AS (
    SELECT
        kafka_partition, kafka_offset,
        coalesce(greatest(seconds_between(event_time, reported_before), 0.0), 0.0) AS late_by_s
    FROM accepted
)
SELECT
    timed.late_by_s > $lateness_s AS is_late,
    timed.late_by_s,
    {columns}
FROM timed
JOIN arrived ON arrived.kafka_partition = timed.kafka_partition AND arrived.kafka_offset = timed.kafka_offset
