"""A bit flips in a segment on the broker's disk: the record batch it is in is refused by name, and nothing of it lands."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from tests.command_line import GOOD, Cli
from tests.conftest import free_ports

from fleetlake.broker.embedded import EmbeddedBroker
from fleetlake.broker.records_at import find_records
from fleetlake.broker.topics import ensure_topics
from fleetlake.contracts.events import EVENTS, GPS
from fleetlake.contracts.tables import bronze_of
from fleetlake.foundation.errors import DataLoss
from fleetlake.ingest import reader
from fleetlake.ingest.by_objects import ByObjects
from fleetlake.ingest.presence import find_present
from fleetlake.ingest.ranges import Ranges
from fleetlake.ingest.reader import Reader
from fleetlake.ingest.spark.engine import Sink, SparkIngest, SparkIngestSettings
from fleetlake.lake.catalog import LakeSettings, open_lake, row_count
from fleetlake.lake.spark import attach
from fleetlake.runtime.compiled import NotPossible
from fleetlake.workflows.ingest import sources_now

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

BATCH = 50  # records of each of three batches; the second is the one that rots
CODECS = ("none", "lz4", "zstd")
PATIENCE_S = 30


@pytest.fixture(scope="module")
def rotten(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    """A broker with a topic for each codec and our five, of a partition each. A bit was flipped in some while it was down."""
    broker = EmbeddedBroker(tmp_path_factory.mktemp("rotten"), free_ports())
    broker.start()
    try:
        kafka = replace(broker.settings, partitions=1)
        ensure_topics(kafka, [*(event.topic for event in EVENTS), *CODECS])
        for topic, codec in {**{codec: codec for codec in CODECS}, GPS.topic: "none"}.items():
            _send(broker, topic, codec)
        broker.stop()
        for topic in (*CODECS, GPS.topic):
            _flip_a_bit(broker.folder / "data" / f"{topic}-0" / f"{0:020d}.log")
        broker.start()
        yield broker
    finally:
        broker.stop()


def _send(broker: EmbeddedBroker, topic: str, codec: str) -> None:
    producer = Producer(broker.settings.client_config() | {"compression.type": codec, "linger.ms": 500})
    for number in range(3 * BATCH):
        value = json.dumps(GOOD | {"id": f"e-{number}", "deviceId": "veh-1", "speed": 50})
        producer.produce(topic, value.encode(), b"veh-1", 0)
        if number % BATCH == BATCH - 1:
            assert producer.flush(PATIENCE_S) == 0


def _flip_a_bit(segment: Path) -> None:
    """In the last record of the second batch: in its speed, where it is not compressed."""
    data = bytearray(segment.read_bytes())
    second = 12 + int.from_bytes(data[8:12], "big")
    after = second + 12 + int.from_bytes(data[second + 8 : second + 12], "big")
    speed = data.rfind(b'"speed": 50', second, after)
    data[speed + 9 if speed > 0 else after - 20] ^= 1
    segment.write_bytes(data)


@pytest.mark.parametrize("way", ["by columns", "by objects"])
@pytest.mark.parametrize("codec", CODECS)
def test_what_precedes_a_corrupt_batch_is_read_and_nothing_else(
    rotten: EmbeddedBroker, codec: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "by objects":
        monkeypatch.setattr(reader, "require_possible", _not_possible)
    reading, rows, failure = Reader(rotten.settings.client_config(), group="g", start={codec: {0: 0}}), 0, None
    try:
        assert isinstance(reading._arriving, ByObjects) is (way == "by objects")
        give_up_at = time.monotonic() + PATIENCE_S
        while failure is None:
            assert time.monotonic() < give_up_at
            batch = reading.poll(0.2)
            rows, failure = rows + sum(chunk.rows.num_rows for chunk in batch.chunks), batch.failure
    finally:
        reading.close()
    assert isinstance(failure, DataLoss)
    assert failure.where == f"topic {codec}, partition 0, offset {BATCH}"
    assert rows == BATCH


@pytest.mark.parametrize("codec", CODECS)
def test_a_record_in_a_corrupt_batch_is_no_other_record(rotten: EmbeddedBroker, codec: str) -> None:
    found = find_records(rotten.settings.client_config(), codec, {0: 2 * BATCH - 1})
    assert found == {}  # what landed of it before it rotted has nothing to be compared with
    assert find_records(rotten.settings.client_config(), codec, {0: BATCH - 1})[0].offset == BATCH - 1


@pytest.mark.parametrize("codec", CODECS)
def test_whether_a_corrupt_batch_has_a_record_is_not_guessed(rotten: EmbeddedBroker, codec: str) -> None:
    with pytest.raises(DataLoss, match="is corrupt on the broker's disk") as raised:
        find_present(rotten.settings.client_config(), codec, {0: Ranges.of([(BATCH, BATCH + 1)])})
    assert raised.value.where == f"topic {codec}, partition 0, offset {BATCH}"


def _not_possible() -> None:
    raise NotPossible("for a test")


def test_spark_ends_with_the_place_at_once(rotten: EmbeddedBroker, spark: SparkSession, tmp_path: Path) -> None:
    settings = LakeSettings("rot", {"type": "sql", "uri": f"sqlite:///{tmp_path}/c.db", "warehouse": f"file://{tmp_path}/w"})
    attach(spark, settings)
    lake = open_lake(settings)
    try:
        ingest = SparkIngest(
            spark, lake, {GPS: sources_now(rotten.settings)[GPS]}, rotten.settings.java_config(),
            SparkIngestSettings(Sink.ICEBERG, f"{tmp_path}/checkpoints", f"{tmp_path}/landing", tmp_path / "lock"),
            wait=lambda attempt: pytest.fail("it was tried again"),
            find=partial(find_records, rotten.settings.client_config()),
        )  # fmt: skip
        with pytest.raises(DataLoss, match="is corrupt on the broker's disk") as raised:
            ingest.run(once=True)
        assert raised.value.where == f"topic gps_data, partition 0, offset {BATCH}"
        assert row_count(lake.table(bronze_of(GPS).name)) == 0
    finally:
        lake.close()


def test_an_ingest_ends_with_the_place_lands_what_precedes_it_and_goes_on_as_its_hint_says(
    rotten: EmbeddedBroker, home: Path
) -> None:
    cli = Cli(rotten, home)
    for _ in range(2):  # the same at each start, and nothing twice
        said = cli.run("ingest", "--once", expect=1)
        assert f"corrupt on the broker's disk: MessageSet at offset {BATCH}" in said
        assert f"topic gps_data, partition 0, offset {BATCH}" in said
        assert "--accept-gaps" in said
        assert said.count("\n") == 1
        assert cli.rows(GPS) == BATCH
    admin = AdminClient(rotten.settings.client_config())
    (deleted,) = admin.delete_records([TopicPartition(GPS.topic, 0, 2 * BATCH)]).values()
    deleted.result(PATIENCE_S)
    cli.run("ingest", "--once", "--accept-gaps")
    assert cli.rows(GPS) == 2 * BATCH
    cli.run("verify")
