"""What is made for Athena, word for word."""

from __future__ import annotations

import re

import pytest

from fleetlake.cloud.athena.named import literal, named
from fleetlake.cloud.athena.naming import hive_comment, hive_name, hive_text, trino_name
from fleetlake.cloud.athena.plan import AthenaObjectKind, plan_for, target_of
from fleetlake.contracts.events import EVENTS
from fleetlake.contracts.tables import RAW, all_tables, bronze_of
from fleetlake.foundation.errors import BadInput
from fleetlake.ingest.spark.engine import LANDING_PARTITION

PLAN = plan_for(target_of("fleet", "my-bucket", None))
STATEMENTS = {statement.name: statement for statement in PLAN.statements}
LANDING_WEATHER = r"""CREATE EXTERNAL TABLE IF NOT EXISTS `fleet`.`landing_weather` (
  `kafka_partition` int COMMENT 'Partition of the topic',
  `kafka_offset` bigint COMMENT 'Offset in the partition',
  `kafka_timestamp` timestamp COMMENT 'Time the producer or broker gave the record, null where it is no date of 1970 to 9999',
  `ingested_at` timestamp COMMENT 'When the ingest decoded the record, never falls from commit to commit',
  `reject_reason` string COMMENT 'rule: field: what was seen. Null for a good record',
  `payload` binary COMMENT 'The record\'s bytes, kept only where it was rejected',
  `event_id` string COMMENT 'Unique id of the event, a copy with the same id is a duplicate',
  `device_id` string COMMENT 'The vehicle\'s device, also the message key',
  `latitude` double COMMENT 'WGS 84 latitude (deg)',
  `longitude` double COMMENT 'WGS 84 longitude (deg)',
  `event_time` timestamp COMMENT 'When the device measured it: ISO 8601, UTC, milliseconds, Z',
  `temperature_c` double COMMENT 'Air temperature (degC)',
  `weather_condition` string COMMENT 'Weather in a word',
  `precipitation_mmh` double COMMENT 'Rain or melted snow (mm/h)',
  `wind_speed_kmh` double COMMENT 'Mean wind (km/h)',
  `humidity_percent` double COMMENT 'Relative humidity (%)',
  `air_quality_index` double COMMENT 'Air quality index (US EPA scale)'
)
COMMENT 'Raw landing of topic weather_data, Parquet. Weather where the vehicle is'
PARTITIONED BY (`ingest_date` date COMMENT 'Day (UTC) of ingested_at')
STORED AS PARQUET
LOCATION 's3://my-bucket/landing/weather_data/'
TBLPROPERTIES (
  'projection.enabled'='true',
  'projection.ingest_date.type'='date',
  'projection.ingest_date.format'='yyyy-MM-dd',
  'projection.ingest_date.range'='2025-01-01,NOW+1DAY',
  'projection.ingest_date.interval'='1',
  'projection.ingest_date.interval.unit'='DAYS',
  'storage.location.template'='s3://my-bucket/landing/weather_data/ingest_date=${ingest_date}/'
)"""
LANDING_JSON_EMERGENCY = r"""CREATE EXTERNAL TABLE IF NOT EXISTS `fleet`.`landing_json_emergency` (
  `event_id` string COMMENT 'Unique id of the event, a copy with the same id is a duplicate',
  `device_id` string COMMENT 'The vehicle\'s device, also the message key',
  `incident_id` string COMMENT 'The incident, one id for as long as it lasts',
  `incident_type` string COMMENT 'What happened',
  `event_time` string COMMENT 'When the device measured it: ISO 8601, UTC, milliseconds, Z',
  `location` array<double> COMMENT 'WGS 84 position as [latitude, longitude]',
  `status` string COMMENT 'Whether it is still going on',
  `description` string COMMENT 'Free text'
)
COMMENT 'Raw landing of topic emergency_data, JSON lines as on the wire. The nearest incident, type None where there is none'
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
WITH SERDEPROPERTIES (
  'case.insensitive'='false',
  'ignore.malformed.json'='true',
  'use.null.for.invalid.data'='true',
  'mapping.event_id'='id',
  'mapping.device_id'='deviceId',
  'mapping.incident_id'='incidentId',
  'mapping.incident_type'='type',
  'mapping.event_time'='timestamp'
)
LOCATION 's3://my-bucket/landing/emergency_data/json/'"""
DRIVER_WEEKS = """CREATE OR REPLACE VIEW "fleet"."driver_weeks" AS
SELECT
  "device_id",
  CAST("week_start_time" AT TIME ZONE 'UTC' AS timestamp(6)) AS "week_start_time",
  "distance_km",
  "score",
  "fleet_rank",
  "score_before",
  "harsh_acceleration_events",
  "harsh_braking_events",
  "harsh_cornering_events",
  "overspeed_events"
FROM (
  SELECT
    device_id,
    start_time AS week_start_time,
    distance_km,
    score,
    RANK() OVER (PARTITION BY start_time ORDER BY score DESC) AS fleet_rank,
    LAG(score) OVER (PARTITION BY device_id ORDER BY start_time) AS score_before,
    harsh_acceleration_events,
    harsh_braking_events,
    harsh_cornering_events,
    overspeed_events
  FROM "gold"."driver_scores"
  WHERE
    period = 'week'
)"""


@pytest.mark.parametrize(
    ("name", "sql"),
    [
        ("landing_weather", LANDING_WEATHER),
        ("landing_json_emergency", LANDING_JSON_EMERGENCY),
        ("driver_weeks", DRIVER_WEEKS),
    ],
)
def test_a_statement_word_for_word(name: str, sql: str) -> None:
    assert STATEMENTS[name].sql == sql


def test_the_order_is_tables_then_views() -> None:
    kinds = [event.kind for event in EVENTS]
    assert list(STATEMENTS) == [
        *(f"landing_{kind}" for kind in kinds), *(f"landing_json_{kind}" for kind in kinds),
        "fleet_state", "trips", "quarantine", "driver_weeks",
    ]  # fmt: skip
    assert [statement.kind for statement in PLAN.statements] == [AthenaObjectKind.TABLE] * 10 + [AthenaObjectKind.VIEW] * 4


def test_a_landing_table_has_every_column_of_bronze_and_the_folder_the_ingest_writes() -> None:
    for event in EVENTS:
        found = re.findall(r"^  `(\w+)` ", STATEMENTS[f"landing_{event.kind}"].sql, re.MULTILINE)
        assert found == [column.name for column in bronze_of(event).columns]
        assert f"PARTITIONED BY (`{LANDING_PARTITION}` date" in STATEMENTS[f"landing_{event.kind}"].sql


def test_a_json_table_maps_every_wire_name_that_is_no_column() -> None:
    for event in EVENTS:
        sql = STATEMENTS[f"landing_json_{event.kind}"].sql
        columns = re.findall(r"^  `(\w+)` ", sql, re.MULTILINE)
        mapping = dict(re.findall(r"'mapping\.(\w+)'='(\w+)'", sql))
        assert [mapping.get(name, name) for name in columns] == [field.name for field in event.fields]
        assert all(name == name.lower() for name in columns)


def test_glue_takes_every_comment() -> None:
    for statement in PLAN.statements:
        for comment in re.findall(r"COMMENT '((?:[^'\\]|\\.)*)'", statement.sql):
            assert len(comment) <= 255
            assert ";" not in comment


def test_no_column_of_a_view_has_a_zone() -> None:
    for statement in PLAN.statements[10:]:
        outer = statement.sql.partition("FROM (")[0]
        assert "AT TIME ZONE 'UTC' AS timestamp(6))" in outer
        assert "with time zone" not in statement.sql.lower()


def test_a_table_keeps_the_digest_of_its_statement() -> None:
    for name in ("landing_gps", "landing_json_gps"):
        statement = STATEMENTS[name]
        assert f"'fleetlake.digest'='{statement.digest}'" in statement.signed
        assert statement.signed.count("TBLPROPERTIES") == 1
    other = plan_for(target_of("fleet", "other-bucket", None)).statements[0]
    assert other.digest != PLAN.statements[0].digest
    assert STATEMENTS["trips"].signed == STATEMENTS["trips"].sql


@pytest.mark.parametrize(
    ("bucket", "landing", "found"),
    [
        ("", None, "s3://<bucket>/landing"),
        ("b-1", None, "s3://b-1/landing"),
        ("b-1", "/srv/landing", "s3://b-1/landing"),
        ("b-1", "s3a://other/raw/zone/", "s3://other/raw/zone"),
    ],
)
def test_where_the_landing_is(bucket: str, landing: str | None, found: str) -> None:
    assert target_of("fleet", bucket, landing).landing == found


def test_quoting() -> None:
    assert hive_name("a`b") == "`a``b`"
    assert hive_text("it's a \\") == r"'it\'s a \\'"
    assert hive_comment("one; it's two") == r"'one, it\'s two'"
    assert trino_name('a"b') == '"a""b"'


def test_every_table_has_its_maintenance() -> None:
    found = {query.name: query.sql for query in PLAN.named}
    for table in (*RAW, *all_tables()):
        assert found[f"optimize_{table.layer}_{table.kind}"] == f"OPTIMIZE {table.name} REWRITE DATA USING BIN_PACK"
        assert found[f"vacuum_{table.layer}_{table.kind}"] == f"VACUUM {table.name}"
    assert len(found) == len(PLAN.named) == 2 * len((*RAW, *all_tables())) + 9


def test_what_athena_takes_of_a_named_query() -> None:
    for query in PLAN.named:
        assert 1 <= len(query.title) <= 128
        assert 1 <= len(query.text) <= 1024
        assert ";" not in query.saved
        assert "{" not in query.saved
        assert query.database == "fleet"


def test_a_query_with_parameters_of_both_kinds() -> None:
    day = named("trips_of_a_day", "fleet")
    assert [(p.name, p.example) for p in day.parameters] == [("day", "2026-01-31")]
    assert day.bound(["2026-02-01"]) == (day.sql, ("'2026-02-01'",))
    assert day.saved.count("?") == 1
    then = named("fleetlake_distances_at_a_time", "fleet")
    sql, literals = then.bound(["2026-02-01T00:00:00Z"])
    assert "FOR TIMESTAMP AS OF from_iso8601_timestamp('2026-02-01T00:00:00Z')" in sql
    assert literals == ()
    assert "from_iso8601_timestamp('2026-01-31T12:00:00Z')" in then.saved
    assert then.text.endswith("Parameters: 1. time: ISO 8601 with a zone, such as 2026-01-31T12:00:00Z.")


@pytest.mark.parametrize("values", [(), ("a", "b")])
def test_too_few_or_too_many_parameters(values: tuple[str, ...]) -> None:
    with pytest.raises(BadInput, match=rf"has 1 parameters, {len(values)} are given.*--parameter 2026-01-31"):
        named("trips_of_a_day", "fleet").bound(values)


def test_a_query_there_is_none_of() -> None:
    with pytest.raises(BadInput) as caught:
        named("trip", "fleet")
    assert str(caught.value).startswith("there is no named query trip; allowed: distances_at_a_snapshot, ")
    assert str(caught.value).endswith(", optimize_<layer>_<table>, vacuum_<layer>_<table>")


@pytest.mark.parametrize(
    ("value", "sql"),
    [
        ("5", "5"), ("-1.5e3", "-1.5e3"), ("NULL", "NULL"), ("true", "true"), ("sim-1", "'sim-1'"), ("it's", "'it''s'"),
        ("'a'", "'a'"), ("'it''s'", "'it''s'"), ("DATE '2026-01-01'", "DATE '2026-01-01'"), ("2026-01-01", "'2026-01-01'"),
        ("'a' OR 'b'", "'''a'' OR ''b'''"), ("DATE '1' OR '2'", "'DATE ''1'' OR ''2'''"), ("INTERVAL '1' DAY", "INTERVAL '1' DAY"),
        ("'a'; DROP", "'''a''; DROP'"), ("", "''"),
    ],
)  # fmt: skip
def test_a_value_as_sql(value: str, sql: str) -> None:
    assert literal(value) == sql


def test_a_reader_knows_what_it_reads() -> None:
    assert STATEMENTS["trips"].reads == ("gold.driving_events", "gold.trips")
    assert STATEMENTS["landing_gps"].reads == ()
