-- How many records broke which rule, by topic, and when the first and the last of them came.
SELECT topic, rule, count(*) AS records, min(ingested_at) AS first_ingested_at, max(ingested_at) AS last_ingested_at
FROM quarantine
GROUP BY topic, rule
ORDER BY records DESC, topic, rule
