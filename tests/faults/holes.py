"""Acts that leave offsets without records: transactions that end in every way, retention behind them, and compaction."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from fleetlake.broker.topics import stable_ends, watermarks
from fleetlake.contracts.tables import bronze_of
from fleetlake.ingest.offsets import IngestMarker
from tests.faults.driver import INGESTED
from tests.faults.ingests import PATIENCE_S, wait_for
from tests.faults.records import Mix, draw_records
from tests.faults.world import PARTITIONS, World

TIMEOUT_MS = 1_000  # the broker looks every ten seconds for transactions that have been open for longer
LONG_MS = 600_000
BROKER_ID = "1"


class Ending(StrEnum):
    """How a transaction ends."""

    COMMIT = "commit"
    ABORT = "abort"
    FENCE = "fence"  # another producer takes its id over, and the broker aborts it
    TIME_OUT = "time out"  # its producer says nothing more, and the broker aborts it after a while


@dataclass(frozen=True, slots=True)
class Transact:
    """A transaction of `count` records to each topic. It stays open if it has no ending."""

    name: str
    count: int
    ending: Ending | None

    def do(self, world: World) -> None:
        producer = world.transactional.get(self.name) or _new_producer(world, self.name, LONG_MS)
        world.transactional[self.name] = producer
        producer.begin_transaction()
        _send(world, producer, self.count)
        if self.ending:
            EndTransaction(self.name, self.ending).do(world)


@dataclass(frozen=True, slots=True)
class TransactAndVanish:
    """A transaction whose producer says nothing more: returns when the broker has aborted it, and it was the only one open."""

    count: int

    def do(self, world: World) -> None:
        producer = _new_producer(world, "vanishing", TIMEOUT_MS)
        producer.begin_transaction()
        _send(world, producer, self.count)
        high = {topic: {p: end for p, (_, end) in of.items()} for topic, of in watermarks(world.kafka, world.topics).items()}
        wait_for(lambda: all(_reaches(now, high[topic]) for topic, now in _stable(world).items()), "the broker to abort it")


@dataclass(frozen=True, slots=True)
class EndTransaction:
    """Ends what was left open."""

    name: str
    ending: Ending

    def do(self, world: World) -> None:
        producer = world.transactional[self.name]
        if self.ending is Ending.COMMIT:
            producer.commit_transaction(PATIENCE_S)
        elif self.ending is Ending.ABORT:
            producer.abort_transaction(PATIENCE_S)
        else:
            world.transactional[self.name] = _new_producer(world, self.name, LONG_MS)


@dataclass(frozen=True, slots=True)
class NoteReadable:
    """Notes how far a reader of committed records gets now: what retention may take once an ingest has read it."""

    def do(self, world: World) -> None:
        world.readable = _stable(world)


@dataclass(frozen=True, slots=True)
class AwaitPassed:
    """Until the tables say that all that was noted was read, records or not."""

    def do(self, world: World) -> None:
        def passed() -> bool:
            with world.opened() as lake:
                for event, topic in zip(INGESTED, world.topics, strict=True):
                    name = bronze_of(event).name
                    marker = IngestMarker.of(lake.table(name).properties) if lake.has(name) else None
                    if marker is None or not _reaches(marker.next, world.readable[topic]):
                        return False
            return True

        wait_for(passed, "the offsets without records to be committed")


@dataclass(frozen=True, slots=True)
class ReadKafka:
    """A plain consumer reads all that is committed: what the tables have to have, and all they may have of transactions."""

    def do(self, world: World) -> None:
        world.read_kafka()


@dataclass(frozen=True, slots=True)
class Retain:
    """Retention takes what was noted, or the first half of it."""

    half: bool

    def do(self, world: World) -> None:
        wanted = [TopicPartition(t, p, end // 2 if self.half else end) for t, of in world.readable.items() for p, end in of.items()]
        admin = AdminClient(world.kafka.client_config())
        for future in admin.delete_records(wanted).values():
            future.result(PATIENCE_S)


@dataclass(frozen=True, slots=True)
class CompactTopics:
    """From now on the broker keeps the last record of each key only, and looks for others every tenth of a second."""

    def do(self, world: World) -> None:
        topic = {"cleanup.policy": "compact", "segment.ms": 100, "min.cleanable.dirty.ratio": 0.01, "delete.retention.ms": 100}
        _configure(world, ResourceType.BROKER, BROKER_ID, {"log.cleaner.backoff.ms": 100})
        for name in world.topics:
            _configure(world, ResourceType.TOPIC, name, topic)


@dataclass(frozen=True, slots=True)
class ProduceTombstones:
    """Records without a value, whose keys compaction forgets."""

    count: int

    def do(self, world: World) -> None:
        world.produce(self.count, Mix(), tombstones=True)


@dataclass(frozen=True, slots=True)
class AwaitCompaction:
    """Until compaction has removed records of each topic."""

    def do(self, world: World) -> None:
        wait_for(lambda: all(len(world.read(topic)) < len(world.records[topic]) for topic in world.topics), "compaction")


def _new_producer(world: World, name: str, timeout_ms: int) -> Producer:
    """A producer under the world's name for it; what an earlier one has left open is aborted."""
    config = {"transactional.id": f"{world.run}-{name}", "transaction.timeout.ms": timeout_ms, "log_level": 0, "linger.ms": 1}
    producer = Producer(world.kafka.client_config() | config)
    producer.init_transactions(PATIENCE_S)
    return producer


def _send(world: World, producer: Producer, count: int) -> None:
    """Sends records that nobody may count on before the transaction is committed. Every partition gets some now and then."""
    for event, topic in zip(INGESTED, world.topics, strict=True):
        for record in draw_records(world.random, event.kind, world.take_numbers(count), count, Mix()):
            producer.produce(topic, record.value, record.key, world.random.randrange(PARTITIONS), timestamp=record.timestamp_ms)
    assert producer.flush(PATIENCE_S) == 0


def _stable(world: World) -> dict[str, dict[int, int]]:
    return stable_ends(world.kafka, dict.fromkeys(world.topics, range(PARTITIONS)))


def _reaches(now: dict[int, int], wanted: dict[int, int]) -> bool:
    return all(now.get(partition, 0) >= end for partition, end in wanted.items())


def _configure(world: World, kind: ResourceType, name: str, config: dict[str, object]) -> None:
    entries = [ConfigEntry(key, str(value), incremental_operation=AlterConfigOpType.SET) for key, value in config.items()]
    admin = AdminClient(world.kafka.client_config())
    for future in admin.incremental_alter_configs([ConfigResource(kind, name, incremental_configs=entries)]).values():
        future.result(PATIENCE_S)
