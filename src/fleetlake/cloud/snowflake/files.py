"""The migrations as files, with placeholders where an account, a bucket or a role would be."""

from __future__ import annotations

from fleetlake.cloud.snowflake.migrations import linked_name, migrations
from fleetlake.cloud.snowflake.statements import Migration
from fleetlake.cloud.snowflake.target import LINKED, LISTED, PLACEHOLDERS, SnowflakeTarget


def migration_files() -> dict[str, str]:
    """Text by name (`listed/001_warehouse_and_database.sql`) of all files in deploy/snowflake, both modes."""
    found = {}
    for mode in (LISTED, LINKED):
        target = PLACEHOLDERS.in_mode(mode)
        for migration in migrations(target):
            found[f"{mode}/{migration.file_name}"] = _file(migration, mode)
        found[f"{mode}/time_travel.sql"] = time_travel(target)
    return found


def _file(migration: Migration, mode: str) -> str:
    head = (
        f"-- {migration.note}\n"
        f"-- Pass {migration.pass_number} of `fleetlake deploy snowflake apply`, tables {mode}. "
        "Generated from the contracts; do not edit.\n"
    )
    return head + "\n" + "\n\n".join(f"{statement.sql};" for statement in migration.statements) + "\n"


def time_travel(target: SnowflakeTarget) -> str:
    """Examples, never applied."""
    listed = target.tables == LISTED
    trips = target.name_of("gold.trips") if listed else linked_name(target, "gold.trips")
    return f"""\
-- Time travel: examples, not applied by anything. Generated from the contracts; do not edit.
-- Snowflake reaches back as far as the table's history.expire.max-snapshot-age-ms (5 days unless set), at most 1 day in Standard
-- Edition and 5 days above it, and only to what it had refreshed by then; Iceberg's own maintenance must have kept the snapshot.
-- A snapshot's own id is for Athena or `fleetlake query --as-of`: here it is a time, an offset or a statement.

ALTER SESSION SET TIMEZONE = 'UTC';

SELECT count(*) AS trips, sum(distance_km) AS km
FROM {trips} AT(TIMESTAMP => '2026-01-01 12:00:00 +0000'::TIMESTAMP_TZ);

-- an hour ago
SELECT count(*) AS trips, sum(distance_km) AS km
FROM {trips} AT(OFFSET => -3600);

-- what the last hour changed
SELECT trips.trip_id, was.distance_km AS km_then, trips.distance_km AS km_since
FROM {trips} AS trips
LEFT JOIN {trips} AT(OFFSET => -3600) AS was ON was.trip_id = trips.trip_id
WHERE was.trip_id IS NULL OR was.distance_km <> trips.distance_km;

-- how old the table is that Snowflake knows
SELECT SYSTEM$AUTO_REFRESH_STATUS('{trips}');
"""
