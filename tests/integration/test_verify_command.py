"""verify against a real broker: offsets that are no record's are no loss, and what is taken out of the lake is one."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path

import pytest
from confluent_kafka import Consumer, IsolationLevel, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec
from tests.command_line import GOOD, Cli

from fleetlake.broker.embedded import EmbeddedBroker
from fleetlake.broker.topics import SILENT, watermarks
from fleetlake.contracts.events import GPS
from fleetlake.contracts.tables import bronze_of
from fleetlake.ingest import presence
from fleetlake.ingest.presence import find_present
from fleetlake.ingest.ranges import Ranges
from fleetlake.lake.catalog import LakeSettings, open_lake
from fleetlake.lake.commits import commit

PATIENCE_S = 60
SEEDS = 20  # a partition each
numbers = count()


@pytest.fixture
def cli(broker: EmbeddedBroker, home: Path) -> Iterator[Cli]:
    made = Cli(broker, home)
    yield made
    made.end()


def transactional(broker: EmbeddedBroker) -> Producer:
    config = broker.settings.client_config() | {"transactional.id": f"verify-{next(numbers)}", "linger.ms": 0}
    made = Producer(config, logger=SILENT)
    made.init_transactions(PATIENCE_S)
    return made


def make_topic(broker: EmbeddedBroker, name: str, partitions: int, config: dict[str, str]) -> None:
    admin = AdminClient(broker.settings.client_config())
    admin.create_topics([NewTopic(name, partitions, config=config)])[name].result(PATIENCE_S)


def stable_ends(broker: EmbeddedBroker, topic: str, partitions: int) -> dict[int, int]:
    asked = {TopicPartition(topic, partition): OffsetSpec.latest() for partition in range(partitions)}
    admin = AdminClient(broker.settings.client_config())
    answers = admin.list_offsets(asked, isolation_level=IsolationLevel.READ_COMMITTED)
    return {part.partition: int(answer.result(PATIENCE_S).offset) for part, answer in answers.items()}


def test_records_are_told_from_aborted_ones_and_from_markers(broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each partition: transactions committed and aborted in any order, the last one perhaps left open."""
    monkeypatch.setattr(presence, "READ_THROUGH", 3)  # so that most holes are jumped to
    make_topic(broker, "transactions", SEEDS, {})
    producer, records = transactional(broker), dict[int, set[int]]()
    for seed in range(SEEDS):
        draw, records[seed] = random.Random(seed), set()
        for _ in range(draw.randrange(2, 7)):
            sent = _transaction(producer, seed, draw.randrange(1, 12))
            if draw.random() < 0.5:
                producer.commit_transaction()
                records[seed] |= sent
            else:
                producer.abort_transaction()
    open_ones = random.Random("open").sample(range(SEEDS), 5)
    hanging = transactional(broker)
    hanging.begin_transaction()
    for seed in open_ones:
        hanging.produce("transactions", b"open", partition=seed)
    assert hanging.flush(PATIENCE_S) == 0
    ends = stable_ends(broker, "transactions", SEEDS)
    highs = {p: high for p, (_, high) in watermarks(broker.settings, ["transactions"])["transactions"].items()}
    assert {p for p in highs if ends[p] < highs[p]} == set(open_ones)
    everything = {seed: Ranges.of([(0, ends[seed])]) for seed in range(SEEDS)}
    assert _offsets(find_present(broker.settings.client_config(), "transactions", everything)) == records
    some = {seed: _some_of(ends[seed], random.Random(f"some {seed}")) for seed in range(SEEDS)}
    expected = {
        seed: {offset for first, after in ranges for offset in range(first, after)} & records[seed] for seed, ranges in some.items()
    }
    assert _offsets(find_present(broker.settings.client_config(), "transactions", some)) == expected
    hanging.abort_transaction()


def _transaction(producer: Producer, partition: int, size: int) -> set[int]:
    """Begins a transaction of so many records; returns their offsets."""
    sent = set[int]()

    def note(error: object, message: Message) -> None:
        assert error is None
        sent.add(message.offset() or 0)

    producer.begin_transaction()
    for _ in range(size):
        producer.produce("transactions", b"record", partition=partition, on_delivery=note)
    assert producer.flush(PATIENCE_S) == 0
    assert len(sent) == size
    return sent


def _some_of(end: int, draw: random.Random) -> Ranges:
    starts = [draw.randrange(end) for _ in range(3)]
    return Ranges.of((start, min(end, start + draw.randrange(1, 4))) for start in starts)


def _offsets(looked: Mapping[int, presence.Looked]) -> dict[int, set[int]]:
    return {p: {offset for first, after in one.found for offset in range(first, after)} for p, one in looked.items()}


def test_of_many_records_it_is_enough_that_some_are_there(broker: EmbeddedBroker) -> None:
    make_topic(broker, "many", 1, {})
    producer = Producer(broker.settings.client_config())
    for _ in range(30_000):
        producer.produce("many", b"x")
    assert producer.flush(PATIENCE_S) == 0
    looked = find_present(broker.settings.client_config(), "many", {0: Ranges.of([(5, 30_000)])})[0]
    assert presence.MOST_FOUND <= looked.found.size <= looked.up_to - 5 < 30_000 - 5


def test_what_compaction_took_is_no_loss(broker: EmbeddedBroker) -> None:
    config = {
        "cleanup.policy": "compact",
        "segment.ms": "100",
        "min.cleanable.dirty.ratio": "0.001",
        "max.compaction.lag.ms": "100",
    }
    make_topic(broker, "compacted", 1, config)
    producer = Producer(broker.settings.client_config() | {"linger.ms": 0})
    left, round_ = list[int](), 0
    while not left or len(left) == left[-1] + 1:  # the broker compacts when it likes to
        for key in range(5):
            producer.produce("compacted", b"x" * 100, key=f"{key}" if key else f"{key}-{round_}")
        assert producer.flush(PATIENCE_S) == 0
        left, round_ = _read_all(broker), round_ + 1
    end = left[-1] + 1
    found = find_present(broker.settings.client_config(), "compacted", {0: Ranges.of([(0, end)])})
    assert _offsets(found)[0] <= set(left)  # it may have been compacted further
    assert set(_read_all(broker)) & set(range(end)) <= _offsets(found)[0]
    assert len(_offsets(found)[0]) < end


def _read_all(broker: EmbeddedBroker) -> list[int]:
    consumer = Consumer(broker.settings.client_config() | {"group.id": "reads-all", "enable.partition.eof": True})
    consumer.assign([TopicPartition("compacted", 0, 0)])
    offsets = list[int]()
    while (message := consumer.poll(PATIENCE_S)) is not None and message.error() is None:
        offsets.append(message.offset() or 0)
    consumer.close()
    return offsets


def send(broker: EmbeddedBroker, first: int, after: int) -> None:
    producer = Producer(broker.settings.client_config())
    for number in range(first, after):
        producer.produce(GPS.topic, json.dumps(GOOD | {"id": f"e-{number}", "deviceId": "veh-1"}), b"veh-1", 0)
    assert producer.flush(PATIENCE_S) == 0


def test_a_file_taken_out_of_a_partition_with_a_gap(broker: EmbeddedBroker, cli: Cli, home: Path) -> None:
    """And neither transactions nor the gap are taken for losses; what can't help is not advised."""
    send(broker, 0, 50)
    cli.run("ingest", "--once")
    send(broker, 50, 100)
    admin = AdminClient(broker.settings.client_config())
    for future in admin.delete_records([TopicPartition(GPS.topic, 0, 60)]).values():
        future.result(PATIENCE_S)
    cli.run("ingest", "--once", expect=1)
    cli.run("ingest", "--once", "--accept-gaps")
    cli.run("verify")
    producer = transactional(broker)
    for is_committed in (True, False, True):
        producer.begin_transaction()
        for number in range(10):
            producer.produce(GPS.topic, json.dumps(GOOD | {"id": f"t-{number}-{is_committed}", "deviceId": "veh-1"}), b"veh-1", 0)
        assert producer.flush(PATIENCE_S) == 0  # so that the broker has what is aborted
        producer.commit_transaction() if is_committed else producer.abort_transaction()
    cli.run("ingest", "--once")
    (check,) = (check for check in json.loads(cli.run("verify", "--json")) if check["topic"] == GPS.topic)
    assert (check["problems"], check["landed"], check["no_record"]) == ([], 50 + 40 + 20, 10 + 3)
    lake = open_lake(
        LakeSettings("local", {"type": "sql", "uri": f"sqlite:///{home}/catalog.db", "warehouse": f"file://{home}/warehouse"})
    )
    table = lake.table(bronze_of(GPS).name)
    (oldest, *_) = sorted((task.file for task in table.scan().plan_files()), key=lambda file: file.record_count, reverse=True)
    commit(table, removed=[oldest], properties={})
    lake.close()
    process = cli.start("verify")
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert "50 rows fewer than its commits wrote" in out
    assert "ingest --once" not in err.replace("--home DIR ingest --once", "")
