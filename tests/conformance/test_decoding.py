"""Spark's decoder agrees with the reference rules, as the native one does, whatever a record holds."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleetlake.contracts.events import EVENTS, VEHICLE, Event
from fleetlake.ingest.decode import RAW_SCHEMA
from fleetlake.ingest.spark.decode import bronze_rows
from tests.event_documents import batches, check_rows, every_kind
from tests.other_producers import EXPECTED, records_of_other_producers

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
Payloads = Sequence[bytes | None]


def check(spark: SparkSession, folder: Path, event: Event, records: Payloads) -> list[dict[str, Any]]:
    """Decodes and compares every row with the reference; returns the rows in the order of their offsets."""
    from pyspark.sql import functions as sf

    n = len(records)
    file = folder / f"{datetime.now(UTC).timestamp()}.parquet"
    pq.write_table(pa.table([[0] * n, list(range(n)), [NOW] * n, list(records)], schema=RAW_SCHEMA), file)
    decoded = bronze_rows(event, spark.read.parquet(str(file)), sf.lit(NOW)).toArrow()
    return check_rows(event, records, decoded, NOW)


@pytest.mark.parametrize("event", EVENTS, ids=[event.kind for event in EVENTS])
def test_records_of_every_kind(spark: SparkSession, tmp_path: Path, event: Event) -> None:
    rows = check(spark, tmp_path, event, every_kind())
    assert {row["reject_reason"] is None for row in rows} == {True, False}


def test_records_of_other_producers(spark: SparkSession, tmp_path: Path) -> None:
    """As the native engine has them: test_schema_evolution.py."""
    rows = check(spark, tmp_path, VEHICLE, records_of_other_producers())
    assert [row["reject_reason"] for row in rows] == list(EXPECTED.values())


@given(batches(40, 80))
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_decoder_and_reference_agree(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, made: tuple[Event, list[bytes]]
) -> None:
    check(spark, tmp_path_factory.mktemp("raw"), *made)


@given(st.lists(st.none() | st.binary(max_size=40) | st.text(max_size=40).map(str.encode), min_size=50, max_size=100))
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_bytes_break_a_batch(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, records: Payloads) -> None:
    check(spark, tmp_path_factory.mktemp("raw"), VEHICLE, records)


def test_spark_runs_on_our_lz4_and_its_workers_import_nothing_of_the_working_folder(spark: SparkSession) -> None:
    from pyspark.sql import functions as sf

    loader = spark._jvm.java.lang.Thread.currentThread().getContextClassLoader()  # type: ignore[union-attr]
    lz4 = loader.loadClass("net.jpountz.lz4.LZ4Factory").getProtectionDomain().getCodeSource().getLocation().toString()
    assert re.search(r"/lz4-java-1\.1[0-9]\.", lz4), lz4  # pyspark's own is 1.8.0
    safe = sf.udf(lambda _: str(sys.flags.safe_path), "string")
    rows = spark.range(100).repartition(2).select(safe("id").alias("safe")).distinct().collect()  # shuffled, so compressed
    assert [row.safe for row in rows] == ["True"]


def test_only_suspects_are_looked_at_in_python() -> None:
    from fleetlake.ingest.spark.decode import judge

    judged = judge(VEHICLE, pa.array([None, b"{", None], pa.binary()), pa.array([False, True, True]))
    assert judged.is_null().to_pylist() == [True, False, False]
    assert [row["reject_reason"].split(":")[0] for row in judged.to_pylist()[1:]] == ["not_json", "null_value"]
    assert judge(VEHICLE, pa.nulls(2, pa.binary()), pa.array([False, False])).null_count == 2


def test_a_time_of_kafka_that_is_no_date_is_null(spark: SparkSession) -> None:
    """As arrivals.make_chunk has it; up to the last that Spark's own source can read."""
    from pyspark.sql import functions as sf

    from fleetlake.ingest.spark.engine import date_of

    dates = [0, 1, 1_767_600_000_000, 253_402_300_799_999]
    strange = [-1, -2, -62_135_596_800_001, 253_402_300_800_000, 1_767_600_000_000_000, 2**63 // 1000 - 1]
    times = spark.createDataFrame([(time,) for time in dates + strange], "ms long")
    rows = times.select("ms", sf.unix_millis(date_of(sf.timestamp_millis("ms"))).alias("shown")).collect()
    assert {row["ms"]: row["shown"] for row in rows} == dict.fromkeys(strange) | {time: time for time in dates}
