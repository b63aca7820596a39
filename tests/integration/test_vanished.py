"""Topics and partitions go while they are read, or between two runs: the ingest says what is lost, whichever way it reads."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions
from tests.command_line import GOOD, POLL_S, Cli
from tests.conftest import free_ports

from fleetlake.broker.embedded import EmbeddedBroker
from fleetlake.broker.records_at import find_records
from fleetlake.broker.topics import ensure_topics, watermarks
from fleetlake.contracts.events import EVENTS, GPS
from fleetlake.contracts.tables import bronze_of
from fleetlake.foundation.errors import DataLoss
from fleetlake.ingest import reader
from fleetlake.ingest.arrivals import Trouble
from fleetlake.ingest.by_objects import ByObjects
from fleetlake.ingest.native import IngestSettings, NativeIngest
from fleetlake.ingest.watch import LogWatch
from fleetlake.lake.catalog import Lake, LakeSettings, open_lake, row_count
from fleetlake.workflows.ingest import back_off, sources_now

PARTITIONS, GROWN, RECORDS = 4, 6, 20
PATIENCE_S = 120
ASKS_OFTEN = {"topic.metadata.propagation.max.ms": 500, "topic.metadata.refresh.interval.ms": 500}  # it would take 26 s


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    """With the five topics, RECORDS in each partition of gps_data."""
    made = EmbeddedBroker(tmp_path / "home", free_ports())
    made.start()
    try:
        ensure_topics(made.settings, [event.topic for event in EVENTS])
        send(made, range(PARTITIONS))
        yield made
    finally:
        made.stop()


@pytest.fixture
def lake(broker: EmbeddedBroker) -> Iterator[Lake]:
    """In the broker's home, as the command line has it."""
    properties = {"type": "sql", "uri": f"sqlite:///{broker.home}/catalog.db", "warehouse": f"file://{broker.home}/warehouse"}
    made = open_lake(LakeSettings("local", properties))
    yield made
    made.close()


@pytest.fixture
def cli(broker: EmbeddedBroker) -> Iterator[Cli]:
    made = Cli(broker, broker.home)
    yield made
    made.end()


@pytest.fixture(params=["by columns", "by objects"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "by objects":
        monkeypatch.setattr(reader, "_arriving", lambda consumer, start: ByObjects(consumer))


def send(broker: EmbeddedBroker, partitions: range) -> None:
    producer = Producer(broker.settings.client_config())
    for partition in partitions:
        for number in range(RECORDS):
            value = GOOD | {"id": f"e-{partition}-{number}", "deviceId": "v", "heading": 1.0}
            producer.produce(GPS.topic, json.dumps(value).encode(), b"key", partition)
    assert producer.flush(PATIENCE_S) == 0


def add_partitions(broker: EmbeddedBroker) -> None:
    admin = AdminClient(broker.settings.client_config())
    (added,) = admin.create_partitions([NewPartitions(GPS.topic, GROWN)]).values()
    added.result(PATIENCE_S)
    wait_until(lambda: len(watermarks(broker.settings, [GPS.topic])[GPS.topic]) == GROWN)
    send(broker, range(PARTITIONS, GROWN))


def copy_data(broker: EmbeddedBroker, to: Path) -> None:
    broker.stop()
    shutil.copytree(broker.folder / "data", to)
    broker.start()


def restore_data(broker: EmbeddedBroker, copy: Path) -> None:
    broker.stop()
    shutil.rmtree(broker.folder / "data")
    shutil.copytree(copy, broker.folder / "data")
    broker.start()


def wait_until(holds: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < give_up_at
        time.sleep(POLL_S)


class Running:
    """An ingest of the five topics in a thread of its own, until it fails or the context ends."""

    def __init__(self, broker: EmbeddedBroker, lake: Lake) -> None:
        sources, settings = sources_now(broker.settings), IngestSettings(watch_every_s=0.5)
        self._ingest = NativeIngest(lake, sources, broker.settings.client_config() | ASKS_OFTEN, settings, wait=back_off)
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Running:
        self._thread.start()
        return self

    def __exit__(self, *of: object) -> None:
        self._ingest.stop()
        self._thread.join()

    def is_going_on(self) -> bool:
        return self._thread.is_alive()

    def landed(self) -> int:
        return self._ingest.reports[GPS.topic].landed

    def failure(self) -> Exception | None:
        """Why it ended, once it has."""
        self._thread.join(PATIENCE_S)
        return self._failure

    def _run(self) -> None:
        try:
            self._ingest.run(once=False)
        except Exception as failure:
            self._failure = failure


@pytest.mark.usefixtures("either_way")
def test_a_topic_that_is_deleted_under_an_idle_ingest_ends_it_as_a_loss(broker: EmbeddedBroker, lake: Lake) -> None:
    with Running(broker, lake) as running:
        wait_until(lambda: running.landed() == PARTITIONS * RECORDS)
        delete_topic(broker)
        failure = running.failure()
    assert isinstance(failure, DataLoss)
    assert failure.what == "the topic was deleted or made again while it was read: it is not there any more"
    assert failure.where == f"topic {GPS.topic}"


def test_what_the_client_says_of_a_deleted_topic_does_not_end_the_process(
    broker: EmbeddedBroker, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LogWatch, "_require_not_absent", lambda self, now: None)
    told, is_end = list[int](), reader._is_end

    def noting(trouble: Trouble) -> bool:
        told.append(trouble.error.code())
        return is_end(trouble)

    monkeypatch.setattr(reader, "_is_end", noting)
    with Running(broker, lake) as running:
        wait_until(lambda: running.landed() == PARTITIONS * RECORDS)
        delete_topic(broker)
        wait_until(lambda: not running.is_going_on() or any(code in reader.ABSENT for code in told))
        assert running.is_going_on()
    assert running.failure() is None


def delete_topic(broker: EmbeddedBroker) -> None:
    admin = AdminClient(broker.settings.client_config())
    (deleted,) = admin.delete_topics([GPS.topic]).values()
    deleted.result(PATIENCE_S)


@pytest.mark.usefixtures("either_way")
def test_partitions_that_are_gone_since_the_broker_was_restored_are_a_loss(
    broker: EmbeddedBroker, lake: Lake, cli: Cli, tmp_path: Path
) -> None:
    copy_data(broker, tmp_path / "copy")
    add_partitions(broker)
    with Running(broker, lake) as running:
        wait_until(lambda: running.landed() == GROWN * RECORDS)
        restore_data(broker, tmp_path / "copy")
        failure = running.failure()
    words = "the topic's log went back to before partitions 4, 5 were added: records of them were read"
    assert isinstance(failure, DataLoss)
    assert words in failure.what
    assert failure.where == f"topic {GPS.topic}, partitions 4, 5"
    for more in ((), ("--accept-gaps",)):
        said = cli.run("ingest", "--once", *more, expect=1)
        assert words in said
    said = cli.run("verify", expect=1)
    assert "replicas" not in said
    assert "restore the broker's log" in said
    with pytest.raises(DataLoss, match="before partition 5 was added"):
        find_records(broker.settings.client_config(), GPS.topic, {0: 0, 5: 3}, answer_s=2)
    assert row_count(lake.table(bronze_of(GPS).name)) == GROWN * RECORDS
