-- The snapshots of gold.trips: when each was committed and what it did. "layer"."table$history" and "...$files" can be asked too.
SELECT committed_at, snapshot_id, parent_id, operation
FROM "gold"."trips$snapshots"
ORDER BY committed_at
