"""What the looks at the topics' logs, beside the reading, lead to."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import pytest
from confluent_kafka import KafkaError, KafkaException

from fleetlake.broker.log_ends import LogEnds
from fleetlake.foundation.errors import DataLoss, Retryable
from fleetlake.ingest.watch import ABSENT_LOOKS, STALLED_LOOKS, Key, LogWatch

TOPIC = "gps_data"


@dataclass
class FakeReading:
    """A reading that a test moves."""

    at: dict[int, int]
    rounds: int = 0
    compared: list[Key] = field(default_factory=list)
    added: dict[str, tuple[int, ...]] = field(default_factory=dict)
    fails: Exception | None = None

    def positions(self) -> dict[str, dict[int, int]]:
        return {TOPIC: dict(self.at)}

    def caught_up(self) -> int:
        return self.rounds

    def compare(self, partitions: Iterable[Key]) -> None:
        self.compared += partitions
        if self.fails:
            raise self.fails

    def add(self, topic: str, partitions: Iterable[int]) -> None:
        self.added[topic] = tuple(partitions)


@dataclass
class FakeBroker:
    """A broker whose logs a test moves."""

    ends: dict[int, LogEnds]

    def __call__(self, known: Collection[Key]) -> Mapping[str, Mapping[int, LogEnds]]:
        return {TOPIC: dict(self.ends)}


def ends(high: int, *, stable: int | None = None, low: int | None = None) -> LogEnds:
    return LogEnds(low, high if stable is None else stable, high)


def watching(at: dict[int, int], logs: dict[int, LogEnds]) -> tuple[FakeReading, FakeBroker, LogWatch]:
    reading, broker = FakeReading(at), FakeBroker(logs)
    return reading, broker, LogWatch(reading, broker, every_s=0.001)


def look(reading: FakeReading, watch: LogWatch, times: int = 1) -> None:
    """Looks, with a reading that has taken all there was in between."""
    for _ in range(times):
        reading.rounds += 1
        watch.look()


def test_a_new_partition_is_read_from_its_beginning() -> None:
    reading, broker, watch = watching({0: 5}, {0: ends(5), 1: LogEnds(), 2: ends(9, low=0), 3: ends(0, low=0)})
    look(reading, watch)
    assert reading.added == {TOPIC: (2, 3)}  # of 1 there was no answer yet
    reading.at |= {2: 0, 3: 0}
    broker.ends[1] = ends(4, low=0)
    look(reading, watch)
    assert reading.added == {TOPIC: (1,)}


def test_what_retention_took_of_a_new_partition_is_a_loss() -> None:
    reading, _, watch = watching({0: 5}, {0: ends(5), 1: ends(9, low=3)})
    with pytest.raises(DataLoss, match="offsets 0 to 2 of a partition that was added"):
        look(reading, watch)
    assert reading.added == {}


def test_a_log_that_ends_before_what_was_read_went_back_if_it_still_does_at_the_next_look() -> None:
    reading, broker, watch = watching({0: 150}, {0: ends(100)})
    look(reading, watch)
    broker.ends[0] = ends(150)  # a new leader did not know at once what was acknowledged
    look(reading, watch, 2)
    broker.ends[0] = ends(100)
    look(reading, watch)
    with pytest.raises(DataLoss, match="up to offset 149 were read, it ends at 99 now") as raised:
        look(reading, watch)
    assert raised.value.where == f"topic {TOPIC}, partition 0"


def test_a_partition_that_nothing_arrives_from_is_named_once_compared_and_given_up_at_last(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reading, _, watch = watching({0: 100, 1: 7}, {0: ends(160), 1: ends(7)})
    look(reading, watch)
    assert not caplog.records
    look(reading, watch, STALLED_LOOKS - 1)
    assert [record.getMessage() for record in caplog.records] == [
        f"nothing arrives of topic {TOPIC}, partition 0 from offset 100 on, though it has records up to 159: "
        "the broker is asked what became of its log"
    ]
    assert set(reading.compared) == {(TOPIC, 0)}
    with pytest.raises(Retryable, match="reads nothing more of 1 partitions"):
        look(reading, watch)


def test_a_log_found_replaced_while_nothing_arrives_ends_the_reading() -> None:
    reading, _, watch = watching({0: 100}, {0: ends(160)})
    look(reading, watch)
    reading.fails = DataLoss("the topic's log went back and grew again")
    with pytest.raises(DataLoss, match="went back"):
        look(reading, watch)


def test_records_behind_an_open_transaction_are_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    reading, _, watch = watching({0: 100}, {0: ends(160, stable=100)})
    look(reading, watch, 3 * STALLED_LOOKS)
    assert [record.getMessage().rpartition(": ")[2] for record in caplog.records] == ["a transaction is open there"]


def test_a_reading_that_is_busy_or_moves_is_not_stalled(caplog: pytest.LogCaptureFixture) -> None:
    reading, _, watch = watching({0: 100}, {0: ends(10_000)})
    for _ in range(2 * STALLED_LOOKS):
        watch.look()  # the client has more than was taken from it so far
    for _ in range(2 * STALLED_LOOKS):
        reading.at[0] += 1
        look(reading, watch)
    assert not caplog.records
    assert not reading.compared


def test_a_partition_that_waits_for_its_turn_in_a_backlog_is_compared_and_not_given_up(caplog: pytest.LogCaptureFixture) -> None:
    reading, _, watch = watching({0: 100, 1: 0}, {0: ends(160), 1: ends(10_000)})
    look(reading, watch)
    for _ in range(2 * STALLED_LOOKS):
        reading.at[1] += 100
        look(reading, watch)
    assert not caplog.records
    assert set(reading.compared) == {(TOPIC, 0)}
    reading.at[1] = 10_000
    look(reading, watch)
    assert ["partition 0 from offset 100" in record.getMessage() for record in caplog.records] == [True]


def test_partitions_that_are_read_one_after_the_other_are_not_given_up(caplog: pytest.LogCaptureFixture) -> None:
    partitions = range(4 * STALLED_LOOKS)
    reading, _, watch = watching(dict.fromkeys(partitions, 0), dict.fromkeys(partitions, ends(10)))
    for partition in partitions[:-1]:
        look(reading, watch)
        reading.at[partition] = 10  # all it has, by one answer
    look(reading, watch)
    assert not caplog.records
    with pytest.raises(Retryable, match="reads nothing more of 1 partitions"):
        look(reading, watch, STALLED_LOOKS)


def test_a_partition_that_goes_on_does_not_hide_one_that_nothing_arrives_from(caplog: pytest.LogCaptureFixture) -> None:
    reading, broker, watch = watching({0: 100, 1: 0}, {0: ends(160), 1: ends(5)})
    reading.at[1] = 3  # before the first look
    for _ in range(STALLED_LOOKS):
        look(reading, watch)
        reading.at[1] += 100  # past all that the look saw
        broker.ends[1] = ends(reading.at[1] + 2)
    assert len(caplog.records) == 1
    with pytest.raises(Retryable, match="reads nothing more of 1 partitions"):
        look(reading, watch)


@pytest.mark.parametrize("silence", ["of all brokers", "of the log's leader"])
def test_brokers_that_do_not_answer_end_nothing(silence: str) -> None:
    reading, broker, ended = FakeReading({0: 100}), FakeBroker({0: ends(160)}), threading.Event()
    looks = 0

    def ask(known: Collection[Key]) -> Mapping[str, Mapping[int, LogEnds]]:
        nonlocal looks
        looks, reading.rounds = looks + 1, reading.rounds + 1
        if looks > STALLED_LOOKS + 3:
            ended.set()
        if silence == "of all brokers":
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return broker(known)

    reading.fails = Retryable("the broker did not show the records that were read last")
    LogWatch(reading, ask, every_s=0.001).run(ended)
    assert looks > STALLED_LOOKS


def test_partitions_that_are_not_shown_any_more_are_a_loss_if_they_stay_away(caplog: pytest.LogCaptureFixture) -> None:
    shown = {0: ends(5), 1: ends(7), 2: ends(3), 3: ends(0)}
    reading, broker, watch = watching({0: 5, 1: 7, 2: 3, 3: 0}, dict(shown))
    look(reading, watch)
    broker.ends = {0: ends(5)}
    look(reading, watch, ABSENT_LOOKS - 1)
    broker.ends = shown  # it had just started
    look(reading, watch)
    broker.ends = {0: ends(5)}
    look(reading, watch, ABSENT_LOOKS - 1)
    with pytest.raises(DataLoss, match=r"before partitions 1, 2 were added: records of them were read") as raised:
        look(reading, watch)
    assert raised.value.where == f"topic {TOPIC}, partitions 1, 2"
    assert not caplog.records


def test_a_partition_without_records_that_is_not_shown_is_no_loss() -> None:
    reading, _, watch = watching({0: 5, 1: 0}, {0: ends(5)})
    look(reading, watch, 2 * ABSENT_LOOKS)


def test_a_topic_that_is_not_shown_any_more_was_deleted_also_without_records() -> None:
    reading, _, watch = watching({0: 0, 1: 0}, {})
    look(reading, watch, ABSENT_LOOKS - 1)
    with pytest.raises(DataLoss, match="deleted or made again while it was read: it is not there any more"):
        look(reading, watch)
