"""Reading the lake: SQL, snapshots, reports, rejects."""
