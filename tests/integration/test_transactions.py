"""Transactions of producers: what is aborted never lands and is never taken for lost, what is open is not waited for."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from tests.command_line import GOOD, Cli
from tests.faults.ingests import wait_for

from fleetlake.broker.embedded import EmbeddedBroker
from fleetlake.broker.topics import stable_ends, watermarks
from fleetlake.contracts.events import GPS
from fleetlake.contracts.tables import bronze_of
from fleetlake.ingest.flush import FlushPolicy
from fleetlake.ingest.native import IngestSettings, NativeIngest
from fleetlake.ingest.offsets import IngestMarker
from fleetlake.lake.catalog import LakeSettings, open_lake
from fleetlake.workflows.ingest import sources_now

PATIENCE_S = 60
numbers = count()


@pytest.fixture
def cli(broker: EmbeddedBroker, home: Path) -> Iterator[Cli]:
    made = Cli(broker, home)
    yield made
    made.end()


@pytest.fixture
def producer(broker: EmbeddedBroker) -> Iterator[Producer]:
    """Transactional, the only one of its test; what it leaves open is aborted in the end."""
    name = f"transactional-{next(numbers)}"
    made = Producer(broker.settings.client_config() | {"transactional.id": name, "transaction.timeout.ms": 600_000})
    made.init_transactions(PATIENCE_S)
    yield made
    again = Producer(broker.settings.client_config() | {"transactional.id": name})
    again.init_transactions(PATIENCE_S)  # the broker aborts what the one before it has left open


def send(producer: Producer, records: int) -> None:
    """Begins a transaction of so many records, which the broker has when this returns."""
    producer.begin_transaction()
    for _ in range(records):
        producer.produce(GPS.topic, json.dumps(GOOD | {"id": f"e-{next(numbers)}", "deviceId": "veh-1"}), b"veh-1", 0)
    assert producer.flush(PATIENCE_S) == 0


def delete_all(broker: EmbeddedBroker) -> None:
    """Retention takes all that is there."""
    admin = AdminClient(broker.settings.client_config())
    ends = [TopicPartition(GPS.topic, p, end) for p, (_, end) in watermarks(broker.settings, [GPS.topic])[GPS.topic].items()]
    for future in admin.delete_records(ends).values():
        future.result(PATIENCE_S)


def settings_of(home: Path) -> LakeSettings:
    return LakeSettings("local", {"type": "sql", "uri": f"sqlite:///{home}/catalog.db", "warehouse": f"file://{home}/warehouse"})


def committed(home: Path) -> int:
    """The offset of partition 0 up to which the table says it was read."""
    lake = open_lake(settings_of(home))
    try:
        marker = IngestMarker.of(lake.table(bronze_of(GPS).name).properties) if lake.has(bronze_of(GPS).name) else None
        return marker.next.get(0, 0) if marker else 0
    finally:
        lake.close()


def end_of(broker: EmbeddedBroker) -> int:
    return watermarks(broker.settings, [GPS.topic])[GPS.topic][0][1]


def test_what_was_aborted_and_then_deleted_is_no_loss(broker: EmbeddedBroker, cli: Cli, producer: Producer, home: Path) -> None:
    send(producer, 10)
    producer.commit_transaction()
    cli.run("ingest", "--once")
    for _ in range(3):
        send(producer, 5)
        producer.abort_transaction()
    cli.run("ingest", "--once")
    assert cli.rows(GPS) == 10
    assert committed(home) == end_of(broker)
    delete_all(broker)
    cli.run("ingest", "--once")
    send(producer, 7)
    producer.commit_transaction()
    cli.run("ingest", "--once")
    assert cli.rows(GPS) == 17


def test_what_was_aborted_and_deleted_before_it_was_read_is_a_loss(broker: EmbeddedBroker, cli: Cli, producer: Producer) -> None:
    send(producer, 1)
    producer.commit_transaction()
    cli.run("ingest", "--once")
    send(producer, 5)
    producer.abort_transaction()
    delete_all(broker)
    assert "were deleted by retention before they were ingested" in cli.run("ingest", "--once", expect=1)


def test_once_leaves_an_open_transaction_for_later_and_says_so(broker: EmbeddedBroker, cli: Cli, producer: Producer) -> None:
    send(producer, 10)
    producer.commit_transaction()
    send(producer, 20)
    assert end_of(broker) - stable_ends(broker.settings, {GPS.topic: [0]})[GPS.topic][0] == 20
    process = cli.start("ingest", "--once")
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, said
    assert "topic gps_data: 20 offsets are behind a transaction that is still open; left for a later run" in said
    assert cli.rows(GPS) == 10
    producer.commit_transaction()
    cli.run("ingest", "--once")
    assert cli.rows(GPS) == 30


def test_a_running_ingest_commits_offsets_without_rows(broker: EmbeddedBroker, producer: Producer, home: Path) -> None:
    delete_all(broker)
    home.mkdir()
    lake = open_lake(settings_of(home))
    source = {GPS: sources_now(broker.settings)[GPS]}
    policy = FlushPolicy(age_s=0.05, offsets_age_s=0.2)
    ingest = NativeIngest(
        lake, source, broker.settings.client_config(), IngestSettings(flush=policy), wait=lambda attempt: time.sleep(0.05)
    )
    running = threading.Thread(target=lambda: ingest.run(once=False))
    running.start()
    try:
        for _ in range(2):
            send(producer, 5)
            producer.abort_transaction()
            wait_for(lambda: committed(home) == end_of(broker), "the offsets of what was aborted to be committed")
        assert ingest.reports[GPS.topic].landed == 0
    finally:
        ingest.stop()
        running.join(PATIENCE_S)
        lake.close()
