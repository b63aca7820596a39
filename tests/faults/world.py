"""One run's world: topics of its own on a broker that all share, a lake of its own, the ingests in it, and what was sent."""

from __future__ import annotations

import pickle
import re
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from py4j.protocol import Py4JJavaError

from fleetlake.broker.settings import KafkaSettings
from fleetlake.broker.topics import ensure_topics
from fleetlake.contracts.events import Event
from fleetlake.contracts.gold import GOLD
from fleetlake.contracts.positions import POSITIONS
from fleetlake.contracts.tables import bronze_of
from fleetlake.ingest.offsets import IngestEngine
from fleetlake.ingest.presence import find_present
from fleetlake.ingest.verify import check_topic
from fleetlake.lake.aws_properties import aws_properties
from fleetlake.lake.catalog import Lake, LakeSettings, open_lake, row_count
from fleetlake.maintain.retention import ExpiryPolicy
from fleetlake.transform.runner import run_transform
from fleetlake.transform.settings import TransformSettings
from tests import aws_server
from tests.faults.driver import INGESTED, Cut, Order, ingest, run, sources_now, topic_of
from tests.faults.ingests import PATIENCE_S, Ingest
from tests.faults.maintainer import MaintainOrder, maintain
from tests.faults.oracle import Place, Places, Verdict, Watcher, check_histories, check_silver, check_snapshot, check_table, gaps_of
from tests.faults.records import Mix, draw_records
from tests.faults.s3_proxy import S3Proxy
from tests.faults.servers import Servers
from tests.faults.spark_host import SparkOrder
from tests.faults.transformer import TransformOrder, transform
from tests.forking import forking
from tests.s3_server import BUCKET, S3Server

PARTITIONS = 2
SETTLING_RUNS = 8
ROWS_A_COMMIT, ROWS_A_COMMIT_ON_S3 = 60, 400  # there a commit takes ten requests
ANY_TIME = {"message.timestamp.after.max.ms": str(2**63 - 1)}  # records of clocks that are far ahead are taken too
RETRYABLE = ("clean", "Retryable")


class World:
    """servers: on whose broker to make topics. on_s3: the warehouse is on their S3 server; ingests reach it through `proxy` only;
    on_glue: with Glue's catalog, of which there is one. on_cluster: the topics, with `topic_config`, are on three brokers instead.
    on_executors: Spark is a cluster, with processes for its tasks. lake: as the oracle sees it; ingest_lake: as the ingests do.
    sparse: not every offset is a record's, so that of those without a row only what plain consumers were given is missed. The
    context ends with nothing left running.
    """

    def __init__(
        self,
        servers: Servers,
        name: str,
        seed: int,
        *,
        lake: Callable[[Path], LakeSettings] | None = None,
        on_s3: bool = False,
        on_glue: bool = False,
        on_cluster: bool = False,
        on_executors: bool = False,
        topic_config: Mapping[str, str] | None = None,
        engine: IngestEngine = IngestEngine.NATIVE,
        sparse: bool = False,
    ) -> None:
        self._servers, self._engine, self._sparse, broker = servers, engine, sparse, servers.broker
        self.name, self.random, self.broker = name, Random(f"{name}/{seed}"), broker
        self.folder = Path(tempfile.mkdtemp(prefix=f"faults-{re.sub('[^a-z0-9]+', '-', name.lower())}-{seed}-"))
        self.run = f"{self.folder.name}"
        self.executors = servers.spark_cluster if on_executors else None
        self.cluster = servers.cluster if on_cluster else None
        kafka = self.cluster.settings if self.cluster else broker.settings
        self.kafka, self._topic_config = KafkaSettings(kafka.bootstrap_servers, partitions=PARTITIONS), topic_config or {}
        self.topics = [topic_of(event, self.run) for event in INGESTED]
        self.stack = ExitStack()
        self.proxy: S3Proxy | None = None
        self.lake = self.ingest_lake = (lake or local_lake)(self.folder)
        if on_s3:
            self._move_to(servers.s3)
        if on_glue:
            self.lake, self.ingest_lake = (in_glue(one, servers) for one in (self.lake, self.ingest_lake))
            servers.aws.reset()
        self.ingests: dict[str, Ingest] = {}
        self.records: dict[str, dict[Place, bytes | None]] = {topic: {} for topic in self.topics}
        self.seen: dict[str, set[Place]] = {topic: set() for topic in self.topics}  # by plain consumers
        self.transactional: dict[str, Producer] = {}
        self.readable: dict[str, dict[int, int]] = {}  # noted by acts
        self.frozen: dict[str, dict[Place, bytes | None]] | None = (
            None  # what the tables have to hold, if later records are not theirs
        )
        self.flush_rows = ROWS_A_COMMIT_ON_S3 if on_s3 else ROWS_A_COMMIT
        self.clock_s = 0  # how far the clocks of processes are ahead that begin from now on
        self.verdict = Verdict()
        self.places = {bronze_of(event).name: Places() for event in INGESTED}
        self._sent, self._started, self._context = 0, 0, forking()
        self._producer: Producer | None = None
        self._loading: tuple[threading.Event, threading.Thread] | None = None

    def _move_to(self, server: S3Server) -> None:
        self.proxy = self.stack.enter_context(S3Proxy(server.port, Random(f"{self.random.random()}")))
        properties = {**self.lake.properties, "warehouse": f"s3://{BUCKET}/{self.run}", **server.properties}
        self.lake = replace(self.lake, properties=properties)
        self.ingest_lake = replace(self.lake, properties={**properties, "s3.endpoint": self.proxy.endpoint})

    def __enter__(self) -> World:
        if self.cluster:
            self.cluster.start_all()
        ensure_topics(self.kafka, self.topics, config={**ANY_TIME, **self._topic_config})
        self.watcher = self.stack.enter_context(Watcher(self.lake, INGESTED, self.places, sparse=self._sparse))
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_load()
        for one in self.ingests.values():
            one.kill()
        self.stack.close()
        with suppress(Exception):
            AdminClient(self.kafka.client_config() | {"log_level": 0}).delete_topics(self.topics)
        if self.verdict.holds:
            shutil.rmtree(self.folder, ignore_errors=True)

    def produce(self, count: int, mix: Mix, *, tombstones: bool = False) -> None:
        """Sends, and waits until the broker has, `count` records to each topic. tombstones: without their values."""
        if self._producer is None:
            self._producer = Producer(
                self.kafka.client_config() | {"enable.idempotence": True, "log_level": 0, "linger.ms": 1, "on_delivery": self._note}
            )
        first = self.take_numbers(count)
        for event, topic in zip(INGESTED, self.topics, strict=True):
            for record in draw_records(self.random, event.kind, first, count, mix):
                value = None if tombstones else record.value
                self._producer.produce(topic, value, record.key, timestamp=record.timestamp_ms)
        left = self._producer.flush(PATIENCE_S)
        assert not left, f"{left} records were not sent"

    def take_numbers(self, count: int) -> int:
        """The first of `count` numbers of records that no other record has."""
        self._sent += count
        return self._sent - count

    def renew_producer(self) -> None:
        """Has the next records sent by a producer that knows nothing yet: of partitions, or of what a broker has lost."""
        self._producer = None

    def _note(self, error: KafkaError | None, message: Message) -> None:
        assert error is None, error
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        assert topic is not None
        assert partition is not None
        assert offset is not None
        self.records[topic][(partition, offset)] = message.value()

    def load(self, mix: Mix, every_s: float) -> None:
        """Sends on and on, until `stop_load`."""
        done = threading.Event()

        def send() -> None:
            while not done.wait(every_s):
                self.produce(10, mix)

        thread = threading.Thread(target=send, name="load")
        thread.start()
        self._loading = done, thread

    def dump_stacks(self) -> None:
        """What runs writes to its stderr.log where it is."""
        for one in self.ingests.values():
            if not one.hosted:
                one.signal(signal.SIGUSR1)

    def stop_load(self) -> None:
        if self._loading:
            done, thread = self._loading
            done.set()
            thread.join()
            self._loading = None

    def start(self, name: str, order: Callable[[Order], Order] = lambda order: order) -> Ingest:
        """Starts an ingest under a name. order: changes what it is told; Spark only knows of `once`."""
        out = self._new_folder("ingest")
        told = order(Order(self.ingest_lake, self.kafka, self.run, out, flush_rows=self.flush_rows, clock_s=self.clock_s))
        if self._engine is IngestEngine.SPARK:
            host = self._servers.spark_on_cluster if self.executors else self._servers.spark
            host.give(SparkOrder(self.ingest_lake, self.kafka, self.run, self.folder, out, told.once))
            self.ingests[name] = Ingest(host.process, out, hosted=True)
            return self.ingests[name]
        return self._begin(name, partial(ingest, told), out)

    def start_maintenance(self, name: str, expiry: ExpiryPolicy, *, rounds: int | None, cuts: tuple[Cut, ...]) -> Ingest:
        """Starts maintenance under a name. From now on readers have but the time that `expiry` gives them."""
        self.watcher.grace_s = min(self.watcher.grace_s, expiry.planning_s, expiry.reading_s)
        out = self._new_folder("maintain")
        return self._begin(name, partial(maintain, MaintainOrder(self.lake, out, expiry, rounds, cuts, self.clock_s)), out)

    def start_transform(self, name: str, cuts: tuple[Cut, ...]) -> Ingest:
        """Starts a transform under a name."""
        out = self._new_folder("transform")
        return self._begin(name, partial(transform, TransformOrder(self.lake, out, cuts, self.clock_s)), out)

    def _new_folder(self, kind: str) -> Path:
        self._started += 1
        out = self.folder / f"{kind}-{self._started}"
        out.mkdir()
        return out

    def _begin(self, name: str, work: Callable[[threading.Event], None], out: Path) -> Ingest:
        process = self._context.Process(target=run, args=(work, out))
        process.start()
        self.ingests[name] = Ingest(process, out)
        return self.ingests[name]

    def end(self, name: str, allowed: tuple[str, ...]) -> None:
        """Waits until the ingest has ended, as one of those allowed."""
        ended, said = self.ingests[name].ended()
        if ended not in allowed:
            self.verdict.wrong.append(f"ingest {name} ended as {ended}, not {' or '.join(allowed)}: {said}")

    def landed(self) -> int:
        """Rows of all tables."""
        return sum(len(self._places_in(bronze_of(event).name)) for event in INGESTED)

    def positions(self, event: Event) -> dict[int, int]:
        """The offset after the last one in the event's table, of each partition that has any."""
        last: dict[int, int] = {}
        for partition, offset in self._places_in(bronze_of(event).name):
            last[partition] = max(last.get(partition, 0), offset + 1)
        return last

    def _places_in(self, name: str) -> list[Place]:
        with self.opened() as lake:
            table = lake.table(name) if lake.has(name) else None
            snapshot = table.current_snapshot() if table else None
            with suppress(FileNotFoundError):  # expired meanwhile
                return self.places[name].of(table, snapshot) if table and snapshot else []
        return []

    def opened(self) -> _Opened:
        return _Opened(self.lake)

    def deliver_late(self) -> None:
        """Requests to the catalog that were on their way arrive. What it does with them is its business."""
        for late in sorted(self.folder.glob("ingest-*/*.late")):
            name, requirements, updates = pickle.loads(late.read_bytes())  # noqa: S301  # our own
            late.unlink()
            with self.opened() as lake, suppress(Exception):
                lake.catalog.commit_table(lake.table(name), requirements, updates)

    def settle(self) -> None:
        """Wakes and ends what runs, delivers what is late, ingests what is left: the supervisor's part."""
        self.stop_load()
        for one in self.ingests.values():
            one.signal(signal.SIGCONT)
            one.signal(signal.SIGTERM)
            one.ended()
        self.deliver_late()
        for _ in range(SETTLING_RUNS):
            ended, said = self.start("settle", lambda order: replace(order, once=True)).ended()
            if ended == "clean":
                return
            if ended not in RETRYABLE:
                break
        self.verdict.wrong.append(f"the ingest did not go on: {ended}: {said}")

    def check_bronze(self) -> None:
        """The oracle: the table and all snapshots in its history against all records there ever were."""
        self.watcher.stop()
        self.verdict.add(self.watcher.verdict)
        with self.opened() as lake:
            for event, topic in zip(INGESTED, self.topics, strict=True):
                table, places = lake.table(bronze_of(event).name), Places()  # all files are read anew: none of them may be gone
                for snapshot in table.metadata.snapshots:
                    self.verdict.add(check_snapshot(places.of(table, snapshot), {}, [*gaps_of(table), *self._holes(topic)]))
                records = (self.frozen or self.records)[topic]
                optional = records.keys() - self.seen[topic] if self._sparse else frozenset[Place]()
                self.verdict.add(check_table(table, records, optional))

    def _holes(self, topic: str) -> list[Place]:
        """Places that no plain consumer was given, where not every offset is a record's."""
        last: dict[int, int] = {}
        for partition, offset in self.records[topic] if self._sparse else ():
            last[partition] = max(last.get(partition, 0), offset)
        return [(p, o) for p, end in last.items() for o in range(end + 1) if (p, o) not in self.seen[topic]]

    def check_with_java(self) -> None:
        """Iceberg's Java reader takes every table, and finds as many rows in it as its summary says."""
        with self.opened() as lake:
            for name in lake.names():
                table = lake.table(name)
                try:
                    counted = self._servers.java.count_rows(table)
                except Py4JJavaError as error:
                    self.verdict.wrong.append(f"Java does not read {name}: {str(error.java_exception)[:500]}")
                    continue
                if counted != (row_count(table), row_count(table)):
                    self.verdict.wrong.append(f"Java finds {counted} rows in {name}, not {row_count(table)}")

    def check_silver_and_gold(self) -> None:
        """Each event once in silver; silver and gold the same as a rebuild from scratch."""
        names = [POSITIONS.name, *(table.name for table in GOLD)]
        with self.opened() as lake:
            run_transform(lake, TransformSettings(threads=1))
            for event in INGESTED:
                self.verdict.add(check_silver(lake, event))
            before = {name: _rows(lake, name) for name in names}
            run_transform(lake, TransformSettings(threads=1), full=True)
            for name in names:
                if _rows(lake, name) != before[name]:
                    self.verdict.wrong.append(f"{name} is not what a rebuild makes")

    def check_verify(self) -> None:
        """What `fleetlake verify` finds of bronze: nothing, also where offsets have no records.

        Of a table that Spark has filled it says that there is no digest to compare its rows with.
        """
        look_up = partial(find_present, self.kafka.client_config())
        with self.opened() as lake:
            for event, source in sources_now(self.kafka, self.run).items():
                found = check_topic(lake, event, source, None, look_up)
                lines = found.problems if self._engine is IngestEngine.SPARK else (*found.problems, *found.notes)
                self.verdict.wrong += [f"verify of {source.topic}: {line}" for line in lines]

    def read_kafka(self) -> None:
        """Adds what a plain consumer is given now to the records there ever were: some may not have been acknowledged."""
        for topic in self.topics:
            given = self.read(topic)
            self.seen[topic] |= given.keys()
            self.records[topic] |= given

    def read(self, topic: str) -> dict[Place, bytes | None]:
        """All that a plain consumer of committed records is given, from the beginning to the end."""
        config = {"group.id": self.run, "enable.auto.commit": False, "enable.partition.eof": True, "auto.offset.reset": "earliest"}
        consumer, given = Consumer(self.kafka.client_config() | config), dict[Place, bytes | None]()
        try:
            left = set(consumer.list_topics(topic, timeout=PATIENCE_S).topics[topic].partitions)
            consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in left])
            while left:
                for message in consumer.consume(1000, 0.2):
                    partition, error = message.partition() or 0, message.error()
                    if error is None:
                        given[(partition, message.offset() or 0)] = message.value()
                    else:
                        assert error.code() == KafkaError._PARTITION_EOF, error
                        left.discard(partition)
        finally:
            consumer.close()
        return given

    def check_after_lost_log(self, last: str) -> None:
        """The oracle where acknowledged records went with a broker: `last`, the last ingest, ended clean, and the table is what the
        brokers have; or it ended with DataLoss, and each partition of it is of one history, that of before or that of now.
        """
        survivors, (ended, said) = {topic: self.read(topic) for topic in self.topics}, self.ingests[last].ended()
        if ended == "clean":
            self.frozen = survivors
            return self.check_bronze()
        if ended != "DataLoss":
            self.verdict.wrong.append(f"ingest {last} ended as {ended}: {said}")
        assert self.frozen is not None
        self.watcher.stop()
        with self.opened() as lake:
            for event, topic in zip(INGESTED, self.topics, strict=True):
                self.verdict.add(check_histories(lake.table(bronze_of(event).name), self.frozen[topic], survivors[topic]))
        return None


class _Opened:
    """The lake, for as long as the context lasts."""

    def __init__(self, settings: LakeSettings) -> None:
        self._settings = settings

    def __enter__(self) -> Lake:
        self._lake = open_lake(self._settings)
        return self._lake

    def __exit__(self, *_: object) -> None:
        self._lake.close()


def in_glue(lake: LakeSettings, servers: Servers) -> LakeSettings:
    """The lake, which is on S3, with the servers' Glue for its catalog."""
    properties = {name: value for name, value in lake.properties.items() if name != "uri"}
    glue = {
        "glue.endpoint": servers.glue.endpoint,
        "glue.access-key-id": aws_server.KEY,
        "glue.secret-access-key": aws_server.SECRET,
    }
    return replace(lake, properties=aws_properties({**properties, "type": "glue", **glue}, region=aws_server.REGION))


def local_lake(folder: Path) -> LakeSettings:
    return LakeSettings(
        re.sub("[^a-z0-9]", "_", folder.name),
        {"type": "sql", "uri": f"sqlite:///{folder}/catalog.db", "warehouse": f"file://{folder}/warehouse"},
    )


def _rows(lake: Lake, name: str) -> list[str]:
    return sorted(map(str, lake.table(name).scan().to_arrow().to_pylist()))
