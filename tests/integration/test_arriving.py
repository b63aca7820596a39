"""Both ways to take records from the client keep the same promises, against a real broker."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from tests.conftest import free_ports

from fleetlake.broker import librdkafka
from fleetlake.broker.embedded import EmbeddedBroker
from fleetlake.broker.topics import SILENT, ensure_topics
from fleetlake.config.settings import Settings
from fleetlake.contracts.events import EVENTS
from fleetlake.foundation.errors import BadInput, DataLoss, Retryable
from fleetlake.ingest import arrivals, by_columns, by_objects, native
from fleetlake.ingest import reader as reader_module
from fleetlake.ingest.arrivals import Arrivals, Arriving, Trouble
from fleetlake.ingest.by_columns import ByColumns
from fleetlake.ingest.by_objects import ByObjects
from fleetlake.ingest.offsets import Offsets
from fleetlake.ingest.reader import TUNING, Reader
from fleetlake.runtime import compiled
from fleetlake.workflows.ingest import open_ingest

SEED = 7
SENT_AT = datetime(2026, 1, 5, 6, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIMEOUT_S = 30
UNKNOWN = KafkaError._UNKNOWN_PARTITION
WAYS = {"by columns": ByColumns, "by objects": lambda consumer, start: ByObjects(consumer)}
Way = Callable[[Consumer, Mapping[str, Offsets]], Arriving]
Record = tuple[str, int, int, datetime, bytes | None]  # topic, partition, offset, time, value
numbers = count()


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    return WAYS[request.param]


@pytest.fixture(params=WAYS)
def ways_of_reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "_arriving", WAYS[request.param])


@pytest.fixture
def topic(broker: EmbeddedBroker) -> str:
    """New, with four partitions."""
    name = f"arriving-{next(numbers)}"
    ensure_topics(broker.settings, [name])
    return name


class Opened(NamedTuple):
    arriving: Arriving
    errors: list[KafkaError]


@pytest.fixture
def opened(way: Way) -> Iterator[Callable[..., Opened]]:
    """Opens a client the tested way; closes it after the test."""
    closing = []

    def make(servers: str, start: Mapping[str, Offsets]) -> Opened:
        errors: list[KafkaError] = []
        consumer = Consumer(
            {"bootstrap.servers": servers, "group.id": "g", "error_cb": errors.append} | dict(TUNING), logger=SILENT
        )
        arriving = way(consumer, start)
        consumer.assign([TopicPartition(t, partition, offset) for t, of in start.items() for partition, offset in of.items()])
        closing.append(arriving)
        return Opened(arriving, errors)

    yield make
    for arriving in closing:
        arriving.close()


def send(broker: EmbeddedBroker, topic: str, values: list[tuple[int, bytes | None]]) -> list[Record]:
    """Sends values to partitions, a second apart by their times; what has to arrive, ordered as it lies there."""
    sent, ends = [], dict.fromkeys(range(broker.settings.partitions), 0)
    producer = Producer(broker.settings.client_config() | {"enable.idempotence": True})  # a retry keeps its place
    for second, (partition, value) in enumerate(values):
        sent_at = SENT_AT + timedelta(seconds=second)
        producer.produce(
            topic, value, b"key", partition, timestamp=(sent_at - EPOCH) // timedelta(milliseconds=1), headers={"h": b"1"}
        )
        producer.poll(0)
        sent.append((topic, partition, ends[partition], sent_at, value))
        ends[partition] += 1
    assert producer.flush(TIMEOUT_S) == 0
    return sorted(sent, key=lambda record: record[:3])


def from_start(*topics: str) -> dict[str, Offsets]:
    return {topic: dict.fromkeys(range(4), 0) for topic in topics}


def arrivals_until(arriving: Arriving, done: Callable[[list[Arrivals]], bool], limit: int = 500) -> list[Arrivals]:
    taken: list[Arrivals] = []
    give_up_at = time.monotonic() + TIMEOUT_S
    while not done(taken):
        assert time.monotonic() < give_up_at, taken
        taken.append(arriving.take(limit, 0.1))
    return taken


def take_records(arriving: Arriving, wanted: int, limit: int = 500) -> list[Record]:
    """In the order of their arrival within a topic and partition."""
    taken = arrivals_until(arriving, lambda taken: sum(one.records for one in taken) >= wanted, limit)
    rows = [(chunk.topic, row) for one in taken for chunk in one.chunks for row in chunk.rows.to_pylist()]
    records = [(t, r["kafka_partition"], r["kafka_offset"], r["kafka_timestamp"], r["payload"]) for t, r in rows]
    return sorted(records, key=lambda record: record[:2])


def any_values(number: int) -> list[tuple[int, bytes | None]]:
    chosen = random.Random(SEED)
    sizes = [0, 1, 7, 400, 4_000]
    return [
        (chosen.randrange(4), chosen.choice([chosen.randbytes(chosen.choice(sizes)), "é€".encode(), None])) for _ in range(number)
    ]


def test_records_of_several_topics_arrive_as_they_were_sent(broker: EmbeddedBroker, opened: Callable[..., Opened]) -> None:
    topics = [f"arriving-{next(numbers)}" for _ in range(2)]
    ensure_topics(broker.settings, topics)
    sent = [record for topic in topics for record in send(broker, topic, any_values(3_000))]
    arriving = opened(broker.settings.bootstrap_servers, from_start(*topics)).arriving
    assert take_records(arriving, 6_000) == sent


def test_each_chunk_says_what_it_has_read(broker: EmbeddedBroker, topic: str, opened: Callable[..., Opened]) -> None:
    send(broker, topic, [(n % 2, b"v") for n in range(10)])
    arriving = opened(broker.settings.bootstrap_servers, {topic: {0: 2, 1: 3}}).arriving
    taken = arrivals_until(arriving, lambda taken: sum(one.records for one in taken) == 5)
    read = [(partition, span) for one in taken for chunk in one.chunks for partition, span in chunk.read.items()]
    assert sorted(read) == [(0, (2, 4)), (1, (3, 4))]


def test_the_end_of_a_partition_is_told_with_its_offset(broker: EmbeddedBroker, topic: str, opened: Callable[..., Opened]) -> None:
    send(broker, topic, [(0, b"a"), (0, b"b"), (2, b"c")])
    arriving = opened(broker.settings.bootstrap_servers, from_start(topic)).arriving
    taken = arrivals_until(arriving, lambda taken: sum(len(one.troubles) for one in taken) >= 4)
    troubles = [trouble for one in taken for trouble in one.troubles]
    assert sorted((t.topic, t.partition, t.offset) for t in troubles) == [
        (topic, 0, 2),
        (topic, 1, 0),
        (topic, 2, 1),
        (topic, 3, 0),
    ]
    assert {t.error.code() for t in troubles} == {KafkaError._PARTITION_EOF}


def test_no_more_than_the_limit_is_taken_at_a_time(broker: EmbeddedBroker, topic: str, opened: Callable[..., Opened]) -> None:
    sent = send(broker, topic, any_values(50))
    arriving = opened(broker.settings.bootstrap_servers, from_start(topic)).arriving
    taken = arrivals_until(arriving, lambda taken: sum(one.records for one in taken) >= 50, limit=7)
    assert max(one.records + len(one.troubles) for one in taken) == 7
    assert sum(one.records for one in taken) == len(sent)


def test_what_a_broker_has_not_is_told_with_its_place(broker: EmbeddedBroker, topic: str, opened: Callable[..., Opened]) -> None:
    send(broker, topic, [(1, b"a")])
    arriving = opened(broker.settings.bootstrap_servers, {topic: {1: 99}}).arriving
    trouble = arrivals_until(arriving, lambda taken: any(one.troubles for one in taken))[-1].troubles[0]
    assert (trouble.topic, trouble.partition, trouble.error.code()) == (topic, 1, KafkaError._AUTO_OFFSET_RESET)
    assert "out of range" in trouble.error.str()


def test_a_partition_that_the_topic_has_not_is_told_and_the_others_are_read(
    broker: EmbeddedBroker, topic: str, opened: Callable[..., Opened]
) -> None:
    """By columns as a trouble of its place, by objects to the client's callback. It had ended the process."""
    sent = send(broker, topic, [(0, b"a")])
    arriving, errors = opened(broker.settings.bootstrap_servers, {topic: {0: 0, 7: 0}})
    told: list[tuple[str, int]] = []

    def are_all_there(taken: list[Arrivals]) -> bool:
        told[:] = [(t.topic, t.partition) for one in taken for t in one.troubles if t.error.code() == UNKNOWN]
        return bool(told or any(error.code() == UNKNOWN for error in errors)) and sum(one.records for one in taken) == len(sent)

    arrivals_until(arriving, are_all_there)
    assert told == ([(topic, 7)] if isinstance(arriving, ByColumns) else [])


def test_a_reader_goes_on_beside_a_partition_that_is_not_shown(broker: EmbeddedBroker, topic: str, ways_of_reader: None) -> None:
    """Whether it is lost is asked by watch.py."""
    send(broker, topic, [(0, b"a")])
    reader, read = Reader(broker.settings.client_config(), group="g", start={topic: {0: 0, 7: 0}}), 0
    try:
        for _ in range(20):
            read += sum(chunk.rows.num_rows for chunk in reader.poll(0.1).chunks)
    finally:
        reader.close()
    assert read == 1


def test_a_topic_that_we_may_not_read_is_told_so(broker: EmbeddedBroker, topic: str) -> None:
    error = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "Broker: Topic authorization failed")
    with pytest.raises(BadInput, match=r"Kafka does not let us read: .*topic t; try: .*kafka-acls\.sh"):
        reader_module._is_end(Trouble("t", 0, 5, error))
    reader = Reader(broker.settings.client_config(), group="g", start=from_start(topic))
    try:
        reader._on_error(error)
        with pytest.raises(BadInput, match="Kafka does not let us read"):
            reader.poll(0.1)
    finally:
        reader.close()


def test_the_callbacks_of_the_client_are_called(opened: Callable[..., Opened]) -> None:
    arriving, errors = opened(f"127.0.0.1:{free_ports()}", {"gps_data": {0: 0}})
    arrivals_until(arriving, lambda taken: any(error.code() == KafkaError._ALL_BROKERS_DOWN for error in errors))


def test_more_bytes_than_an_arrow_array_holds(
    broker: EmbeddedBroker, topic: str, opened: Callable[..., Opened], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (by_columns, by_objects):
        monkeypatch.setattr(module, "MAX_ARRAY_BYTES", 1_000)
    sent = send(broker, topic, any_values(300))
    assert take_records(opened(broker.settings.bootstrap_servers, from_start(topic)).arriving, 300) == sent


def test_memory_of_records_is_given_back(broker: EmbeddedBroker, topic: str, opened: Callable[..., Opened]) -> None:
    send(broker, topic, [(n % 4, bytes(20_000)) for n in range(20_000)])  # 400 MB, which compress well
    arriving = opened(broker.settings.bootstrap_servers, from_start(topic)).arriving
    before = psutil.Process().memory_info().rss
    seen = peak = 0
    give_up_at = time.monotonic() + 2 * TIMEOUT_S
    while seen < 20_000:
        assert time.monotonic() < give_up_at, seen
        seen += arriving.take(500, 0.1).records
        peak = max(peak, psutil.Process().memory_info().rss - before)
    assert peak < 300e6  # what the client reads ahead, 64 MB a broker and a response more, and a batch


LARGE, FEW = 50_000, 60
PARTS_OF_A_RECORD: dict[str, dict[str, Any]] = {
    "key": {"value": b"small", "key": b"k" * LARGE},
    "key of a tombstone": {"value": None, "key": b"k" * LARGE},
    "one header": {"value": b"small", "headers": {"h": b"h" * LARGE}},
    "many headers": {"value": b"small", "headers": [("h", b"h" * 5)] * (LARGE // 50)},
    "headers of a record without key and value": {"value": None, "headers": {"h": b"h" * LARGE}},
    "all of them": {"value": b"v" * (LARGE // 2), "key": b"k" * (LARGE // 4), "headers": {"h": b"h" * (LARGE // 4)}},
}


@pytest.mark.parametrize("large", PARTS_OF_A_RECORD)
@pytest.mark.parametrize("batch", [1, 1_000_000], ids=["batches of one", "large batches"])
def test_whatever_is_large_of_a_record_bounds_what_is_taken(
    broker: EmbeddedBroker, topic: str, opened: Callable[..., Opened], large: str, batch: int
) -> None:
    """Keys and headers take memory as long as the record lives, as values do. They were not counted: 20,000 were held at a time."""
    sizes = {"batch.size": batch, "linger.ms": 200, "compression.type": "zstd"}
    producer = Producer(broker.settings.client_config() | sizes)
    for _ in range(FEW):
        producer.produce(topic, partition=0, **PARTS_OF_A_RECORD[large])
    assert producer.flush(TIMEOUT_S) == 0
    arriving, taken = opened(broker.settings.bootstrap_servers, from_start(topic)).arriving, list[Arrivals]()
    while sum(one.records for one in taken) < FEW:
        taken.append(arriving.take(500, 1.0, enough_bytes=4 * LARGE))
    assert max(one.records for one in taken) <= 16  # by objects, so many are asked for before it is known what they are
    assert sum(one.is_full for one in taken) >= FEW // 16


@pytest.mark.parametrize("large", [{"key": b"k" * 900_000}, {"headers": {"h": b"h" * 900_000}}], ids=["keys", "headers"])
def test_what_the_client_holds_of_large_keys_is_bounded_while_nobody_takes_it(
    broker: EmbeddedBroker, topic: str, ways_of_reader: None, large: dict[str, Any]
) -> None:
    """It counts values alone, so it would read on to the end of the log. A slow poll is one of a machine that has other work."""
    count, config = 1_500, {"compression.type": "zstd", "message.max.bytes": 1_000_000}
    producer = Producer(broker.settings.client_config() | config)
    for number in range(count):
        producer.produce(topic, b"%d" % number, partition=0, **large)
        producer.flush(TIMEOUT_S) if number % 50 == 49 else producer.poll(0)
    assert producer.flush(TIMEOUT_S) == 0
    before, peak, read = psutil.Process().memory_info().rss, 0, list[bytes]()
    reader = Reader(broker.settings.client_config(), group="g", start=from_start(topic))
    try:
        give_up_at = time.monotonic() + 2 * TIMEOUT_S
        while len(read) < count and time.monotonic() < give_up_at:
            read += [payload for chunk in reader.poll(0.05).chunks for payload in chunk.rows["payload"].to_pylist()]
            time.sleep(0.1)
            peak = max(peak, psutil.Process().memory_info().rss - before)
    finally:
        reader.close()
    assert read == [b"%d" % number for number in range(count)]
    assert peak < 900e6  # an answer or two, of 150 MB each; it was 1.4 GB, all there is


def test_a_client_that_rests_at_any_time_gives_each_record_once(broker: EmbeddedBroker, topic: str, ways_of_reader: None) -> None:
    """Also where it has not given any of a partition before, and beside aborted records."""
    sent, chosen = send(broker, topic, any_values(4_000)), random.Random(SEED)
    producer = Producer(broker.settings.client_config() | {"transactional.id": topic})
    producer.init_transactions(TIMEOUT_S)
    for kept in (False, True, False):
        producer.begin_transaction()
        for number in range(200):
            producer.produce(topic, b"in a transaction %d" % number, partition=number % 4)
        assert producer.flush(TIMEOUT_S) == 0
        producer.commit_transaction() if kept else producer.abort_transaction()
    reader = Reader(broker.settings.client_config(), group="g", start=from_start(topic), fetch_bytes=5_000)
    read, ends = list[tuple[int, int, bytes | None]](), dict[tuple[str, int], int]()
    try:
        give_up_at = time.monotonic() + 2 * TIMEOUT_S
        while (len(read) < 4_200 or len(ends) < 4) and time.monotonic() < give_up_at:
            batch = reader.poll(chosen.choice([0.001, 0.02, 0.1]))
            for chunk in batch.chunks:
                read += [(r["kafka_partition"], r["kafka_offset"], r["payload"]) for r in chunk.rows.to_pylist()]
            ends |= batch.ends
            time.sleep(chosen.choice([0, 0.01, 0.05]))
            if chosen.random() < 0.5:
                reader.rest()
    finally:
        reader.close()
    assert len(read) == len({place[:2] for place in read}) == 4_200
    by_partition = sorted(read, key=lambda one: one[0])  # stable: the order of arrival is kept
    assert [(p, o) for p, o, _ in by_partition] == sorted((p, o) for p, o, _ in read)
    first = [(p, o, v) for p, o, v in sorted(read, key=lambda one: one[:2]) if not (v or b"").startswith(b"in a transaction")]
    assert first == [(partition, offset, value) for _, partition, offset, _, value in sent]
    assert len(ends) == 4


def test_small_records_are_taken_as_many_as_asked_for(broker: EmbeddedBroker, topic: str, opened: Callable[..., Opened]) -> None:
    send(broker, topic, [(n % 4, b"v" * 100) for n in range(2_000)])
    arriving = opened(broker.settings.bootstrap_servers, from_start(topic)).arriving
    first = arriving.take(1_000, 5.0, enough_bytes=1_000 * 400)
    assert (first.records + len(first.troubles), first.is_full) == (1_000, True)


def test_records_that_take_another_way_are_not_dropped_in_silence(broker: EmbeddedBroker, topic: str) -> None:
    send(broker, topic, [(0, b"a")])
    consumer = Consumer(broker.settings.client_config() | {"group.id": "g"} | dict(TUNING), logger=SILENT)
    arriving = ByColumns(consumer, {})  # it leads no partition to its own queue
    consumer.assign([TopicPartition(topic, 0, 0)])
    try:
        with pytest.raises(Retryable, match="gave records where it gives errors only"):
            arrivals_until(arriving, lambda taken: False)
    finally:
        arriving.close()


def test_offsets_that_do_not_ascend_are_refused() -> None:
    numbers_of = arrivals.np.array
    with pytest.raises(Retryable, match="out of order"):
        arrivals.make_chunk(
            "t", numbers_of([0, 0]), numbers_of([5, 5]), numbers_of([1, 1]), arrivals.pa.array([b"a", b"b"]), lambda i: 0
        )


def test_where_nothing_compiled_is_there_the_reader_goes_the_slow_way_and_says_so(
    broker: EmbeddedBroker, topic: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    send(broker, topic, [(0, b"a")])
    monkeypatch.setattr(compiled, "PATH", Path("/nowhere/_compiled.so"))
    compiled.compiled.cache_clear()
    try:
        reader = Reader(broker.settings.client_config(), group="g", start=from_start(topic))
        found = [chunk.rows.num_rows for _ in range(4) for chunk in reader.poll(0.5).chunks]
        reader.close()
    finally:
        compiled.compiled.cache_clear()
    assert sum(found) == 1
    (said,) = [record.message for record in caplog.records]
    assert said.startswith("records are taken one by one, which costs three times the CPU: _compiled.so can't be loaded: ")


def test_a_client_of_another_version_is_not_reached_into(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(librdkafka, "KNOWN_CLIENTS", {"1.0"})
    with pytest.raises(compiled.NotPossible, match=r"confluent-kafka is [\d.]+, known are 1\.0"):
        librdkafka.require_possible()


def test_the_locked_client_is_known() -> None:
    librdkafka.require_possible()


def test_the_reader_tells_lost_records_from_other_trouble(broker: EmbeddedBroker, topic: str) -> None:
    reader = Reader(broker.settings.client_config(), group="g", start={topic: {1: 99}})
    try:
        with pytest.raises(DataLoss, match="has not got the offset to read on from") as raised:
            arrivals_until_error(reader)
    finally:
        reader.close()
    assert f"topic {topic}, partition 1, offset" in str(raised.value.where)


@pytest.mark.parametrize("fetch_bytes", [1_000, 10**9])
def test_records_larger_and_smaller_than_an_answer_are_read(broker: EmbeddedBroker, topic: str, fetch_bytes: int) -> None:
    """The least and the most that the configuration takes, as the client does too."""
    sizes = [10, 5_000, 10, 500_000, 10]
    send(broker, topic, [(0, random.Random(SEED).randbytes(size)) for size in sizes])
    reader, read = Reader(broker.settings.client_config(), group="g", start=from_start(topic), fetch_bytes=fetch_bytes), list[int]()
    try:
        give_up_at = time.monotonic() + TIMEOUT_S
        while len(read) < len(sizes) and time.monotonic() < give_up_at:
            read += [len(payload) for chunk in reader.poll(0.1).chunks for payload in chunk.rows["payload"].to_pylist()]
    finally:
        reader.close()
    assert read == sizes


def test_the_ingest_asks_for_answers_as_large_as_configured(
    broker: EmbeddedBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    class Noted(Reader):
        def __init__(self, *args: Any, **more: Any) -> None:
            asked.append(more["fetch_bytes"])
            super().__init__(*args, **more)

    monkeypatch.setattr(native, "Reader", Noted)
    ensure_topics(broker.settings, [event.topic for event in EVENTS])
    told = {"home": tmp_path, "kafka": {"bootstrap_servers": broker.settings.bootstrap_servers}, "ingest": {"fetch_bytes": 2_000}}
    open_ingest(Settings.model_validate(told)).run(once=True)
    assert asked == [2_000]


def arrivals_until_error(reader: Reader) -> None:
    give_up_at = time.monotonic() + TIMEOUT_S
    while time.monotonic() < give_up_at:
        reader.poll(0.1)
