"""The same topics through both engines: bronze, silver and gold hold the same rows, on a local disk and on S3."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Producer

from fleetlake.broker.embedded import EmbeddedBroker
from fleetlake.broker.producer import EventProducer
from fleetlake.broker.queueing import ByRecord
from fleetlake.broker.records_at import find_records
from fleetlake.contracts.columns import Column, Type
from fleetlake.contracts.events import EVENTS, GPS, TRAFFIC, Event
from fleetlake.contracts.tables import all_tables, bronze_of, silver_of
from fleetlake.contracts.validation import parse
from fleetlake.foundation.errors import BadInput
from fleetlake.ingest.native import IngestSettings, NativeIngest
from fleetlake.ingest.offsets import Offsets
from fleetlake.ingest.spark.engine import Sink, SparkIngest, SparkIngestSettings
from fleetlake.ingest.verify import check_topic
from fleetlake.lake.catalog import Lake, LakeSettings, open_lake
from fleetlake.lake.spark import attach
from fleetlake.maintain.erase import erase_device
from fleetlake.transform.marker import read_marker
from fleetlake.transform.runner import run_transform
from fleetlake.transform.settings import TransformSettings
from fleetlake.workflows.erase import erase_wiring
from fleetlake.workflows.ingest import sources_now
from tests.event_documents import GOOD, every_kind
from tests.s3_server import BUCKET, S3Server

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

T0 = datetime(2026, 1, 1, 8, tzinfo=UTC)
LATER_COLUMN = Column("battery_v", Type.DOUBLE, "Voltage of the battery", "V")
ARRIVAL = "ingested_at"  # when an engine decoded a record is its own business


@pytest.fixture(scope="module")
def topics(broker: EmbeddedBroker) -> EmbeddedBroker:
    """Every kind of record, then drives with duplicates and late fixes, in each topic."""
    kinds = every_kind()
    with EventProducer(broker.settings, queueing=ByRecord) as producer:
        for event in EVENTS:
            producer.send(event, [b"kinds"] * len(kinds), kinds)  # type: ignore[arg-type]  # one has no value: a tombstone
            drives = [value for device in range(3) for value in drive(f"veh-{device}")]
            producer.send(event, [json.loads(value)["deviceId"].encode() for value in drives], drives)
    return broker


def drive(device: str) -> Iterator[bytes]:
    """Ten minutes at speed, then a stand of four; every 20th event twice, every 30th ten minutes late."""
    late = []
    for i in range(280):
        at = T0 + timedelta(seconds=3 * i)
        moving = i < 200
        event = GOOD | {
            "id": f"{device}/{i}", "deviceId": device, "timestamp": f"{at:%Y-%m-%dT%H:%M:%S}.000Z", "speed": 60 if moving else 0,
            "location": [51.5 + min(i, 200) * 0.0005, -0.1], "ignition": True, "incidentId": "i",
        }  # fmt: skip
        value = json.dumps(event).encode()
        if i % 30 == 7:
            late.append(value)
            continue
        yield value
        if i % 20 == 0:
            yield value
    yield from late


def native(topics: EmbeddedBroker, lake: Lake) -> None:
    NativeIngest(
        lake, sources_now(topics.settings), topics.settings.client_config(), IngestSettings(), wait=lambda attempt: time.sleep(0.05)
    ).run(once=True)


def on_spark(
    session: SparkSession, topics: EmbeddedBroker, lake: Lake, folder: Path, events: Sequence[Event] = EVENTS, **more: Any
) -> SparkIngest:
    settings = SparkIngestSettings(
        **{"sink": Sink.ICEBERG, "checkpoints": f"{folder}/checkpoints", "landing": f"{folder}/landing", "lock": folder / "lock"}
        | more
    )
    sources = {event: source for event, source in sources_now(topics.settings).items() if event in events}
    find = partial(find_records, topics.settings.client_config())
    java = topics.settings.java_config()
    return SparkIngest(session, lake, sources, java, settings, wait=lambda attempt: time.sleep(0.05), find=find)


@contextmanager
def new_lake(name: str, folder: Path, warehouse: str | None = None, **properties: str) -> Iterator[Lake]:
    folder.mkdir(parents=True)
    settings = lake_settings(name, folder, warehouse, **properties)
    made = open_lake(settings)
    yield made
    made.close()


def lake_settings(name: str, folder: Path, warehouse: str | None, **properties: str) -> LakeSettings:
    warehouse = warehouse or f"file://{folder}/warehouse"
    return LakeSettings(name, {"type": "sql", "uri": f"sqlite:///{folder}/catalog.db", "warehouse": warehouse, **properties})


def contents(lake: Lake) -> dict[str, list[str]]:
    """Every table's rows, in a fixed order, without the time of their arrival."""
    found = {}
    for table in all_tables():
        if lake.has(table.name):
            rows = lake.table(table.name).scan().to_arrow().to_pylist()
            found[table.name] = sorted(repr(sorted((k, v) for k, v in row.items() if k != ARRIVAL)) for row in rows)
    return found


def silver_read(lake: Lake, event: Event) -> Offsets | None:
    marker = read_marker(lake.table(silver_of(event).name))
    return marker.sources[bronze_of(event).name].offsets if marker else None


@pytest.mark.parametrize("place", ["local", "s3"])
def test_both_engines_fill_the_same_tables(
    spark: SparkSession, topics: EmbeddedBroker, s3: S3Server, tmp_path: Path, place: str
) -> None:
    on_s3 = dict(s3.properties) if place == "s3" else {}
    warehouses = {name: f"s3://{BUCKET}/{name}" if on_s3 else None for name in (f"n_{place}", f"s_{place}")}
    (first, first_warehouse), (second, second_warehouse) = warehouses.items()
    with (
        new_lake(first, tmp_path / "n", first_warehouse, **on_s3) as one,
        new_lake(second, tmp_path / "s", second_warehouse, **on_s3) as two,
    ):
        attach(spark, lake_settings(second, tmp_path / "s", second_warehouse, **on_s3))
        for lake in (one, two):  # a later version has been here: both engines write beside its column
            lake.ensure([replace(bronze_of(GPS), columns=(*bronze_of(GPS).columns, LATER_COLUMN))])
        native(topics, one)
        checkpoints = {"checkpoints": f"s3a://{BUCKET}/{second}/checkpoints"} if on_s3 else {}
        landed = on_spark(spark, topics, two, tmp_path / "s", **checkpoints).run(once=True)
        again = on_spark(spark, topics, two, tmp_path / "s", **checkpoints).run(once=True)
        for lake in (one, two):
            run_transform(lake, TransformSettings(threads=1))
            checks = [
                check_topic(lake, event, source, silver_read(lake, event)) for event, source in sources_now(topics.settings).items()
            ]
            assert [check.problems for check in checks] == [()] * len(EVENTS)
            assert {event.topic: landed[event.topic].landed for event in EVENTS} == {check.topic: check.kafka for check in checks}
            assert {report.landed for report in again.values()} == {0}
        native_rows, spark_rows = contents(one), contents(two)
        assert native_rows.keys() == spark_rows.keys()
        assert all("('battery_v', None)" in row for row in native_rows["bronze.gps"])
        for table, rows in native_rows.items():
            assert rows == spark_rows[table], table
        assert (len(native_rows["gold.trips"]), len(native_rows["gold.stops"])) == (4, 3), (
            "three drives, and the device of every kind"
        )
        if on_s3:
            erase_from(two)
            after = on_spark(spark, topics, two, tmp_path / "s", **checkpoints).run(once=True)
            assert {report.landed for report in after.values()} == {0}
            checks = [
                check_topic(two, event, source, silver_read(two, event)) for event, source in sources_now(topics.settings).items()
            ]
            assert [(check.problems, check.erased) for check in checks] == [((), 294)] * len(EVENTS)
        with pytest.raises(BadInput, match="the spark engine has filled this table"):
            native(topics, two)
        with pytest.raises(BadInput, match="the native engine has filled this table"):
            on_spark(spark, topics, one, tmp_path / "elsewhere").run(once=True)


def erase_from(lake: Lake) -> None:
    """A device, out of files that Spark wrote, and nothing else."""
    before = contents(lake)
    assert erase_device(lake, "veh-1", erase_wiring()).remaining == ()
    assert contents(lake) == {table: [row for row in rows if "'veh-1'" not in row] for table, rows in before.items()}


def test_the_landing_on_s3_has_every_record_once(spark: SparkSession, topics: EmbeddedBroker, s3: S3Server, tmp_path: Path) -> None:
    place = {"sink": Sink.PARQUET, "checkpoints": f"s3a://{BUCKET}/raw/checkpoints", "landing": f"s3a://{BUCKET}/raw/data"}
    with new_lake("unlanded", tmp_path / "lake") as lake:
        for _ in range(2):
            on_spark(spark, topics, lake, tmp_path, [GPS, TRAFFIC], **place).run(once=True)
        assert lake.names() == []
    for event in (GPS, TRAFFIC):
        source = sources_now(topics.settings)[event]
        rows = spark.read.parquet(f"s3a://{BUCKET}/raw/data/{event.topic}")
        kafka = sum(high - low for low, high in source.watermarks.values())
        assert rows.count() == rows.select("kafka_partition", "kafka_offset").distinct().count() == kafka


def test_a_deduplicated_landing_keeps_each_event_and_every_reject(
    spark: SparkSession, topics: EmbeddedBroker, tmp_path: Path
) -> None:
    with new_lake("deduplicated", tmp_path / "lake") as lake:
        on_spark(spark, topics, lake, tmp_path, [GPS], sink=Sink.PARQUET, deduplicate=True).run(once=True)
    rows = spark.read.parquet(f"{tmp_path}/landing/gps_data").select("event_id", "reject_reason").toArrow().to_pylist()
    ids = [row["event_id"] for row in rows if row["reject_reason"] is None]
    drives = [event_id for event_id in ids if event_id.startswith("veh-")]
    assert len(drives) == len(set(ids)) - 1 == len(ids) - 1 == 3 * 280, "each once; every good record of the kinds has the id a"
    assert len(rows) - len(ids) == sum(parse(GPS, value).reject_reason is not None for value in every_kind())


def test_neither_engine_lands_what_is_aborted_or_still_open(spark: SparkSession, topics: EmbeddedBroker, tmp_path: Path) -> None:
    """Last in this module: the broker's topics have records of transactions from here on."""
    patient = topics.settings.client_config() | {"transaction.timeout.ms": 600_000}
    producers = [Producer(patient | {"transactional.id": f"conforming-{n}"}) for n in range(2)]
    for producer in producers:
        producer.init_transactions(60)
    transact(producers[0], "committed").commit_transaction()
    transact(producers[0], "aborted").abort_transaction()
    transact(producers[0], "committed-later").commit_transaction()
    transact(producers[1], "open")
    transact(producers[0], "behind-it").commit_transaction()
    try:
        with new_lake("n_tx", tmp_path / "n") as one, new_lake("s_tx", tmp_path / "s") as two:
            attach(spark, lake_settings("s_tx", tmp_path / "s", None))
            native(topics, one)
            on_spark(spark, topics, two, tmp_path / "s", [GPS]).run(once=True)
            native_rows, spark_rows = (contents(lake)["bronze.gps"] for lake in (one, two))
        assert native_rows == spark_rows
        names = ("committed", "aborted", "committed-later", "open", "behind-it")
        assert [name for name in names if any(f"('event_id', '{name}')" in row for row in native_rows)] == [
            "committed",
            "committed-later",
        ]
    finally:
        producers[1].abort_transaction()


def transact(producer: Producer, name: str) -> Producer:
    """A transaction of one fix with this id, which the broker has when this returns."""
    producer.begin_transaction()
    producer.produce(GPS.topic, json.dumps(GOOD | {"id": name, "deviceId": "veh-1"}), b"veh-1", 0)
    assert producer.flush(60) == 0
    return producer
