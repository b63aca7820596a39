"""Where logs begin and end, asked of a real broker."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from fleetlake.broker.embedded import EmbeddedBroker
from fleetlake.broker.log_ends import LogEnds, find_log_ends
from fleetlake.contracts.events import EVENTS

FIRST, SECOND = (event.topic for event in EVENTS[:2])


def test_ends_are_told_of_every_partition_there_is(broker: EmbeddedBroker) -> None:
    config = broker.settings.client_config()
    fill(Producer(config), FIRST, 5)
    admin = AdminClient(config)
    admin.delete_records([TopicPartition(FIRST, 0, 2)])[TopicPartition(FIRST, 0)].result(30)
    undecided = Producer(config | {"transactional.id": "undecided"})
    undecided.init_transactions(30)
    undecided.begin_transaction()
    fill(undecided, FIRST, 3)

    ends = find_log_ends(config, [FIRST, SECOND, "nowhere"], known=[(FIRST, 1)])

    assert set(ends) == {FIRST, SECOND}
    assert ends[FIRST][0] == LogEnds(low=2, stable=5, high=8)
    assert ends[FIRST][1] == LogEnds(low=None, stable=0, high=0)
    assert set(ends[SECOND].values()) == {LogEnds(low=0, stable=0, high=0)}
    assert len(ends[SECOND]) == len(admin.list_topics(timeout=30).topics[SECOND].partitions)

    undecided.abort_transaction(30)
    ended = LogEnds(low=2, stable=9, high=9)  # the marker of the abort has an offset too
    give_up_at = time.monotonic() + 30
    while find_log_ends(config, [FIRST], known=())[FIRST][0] != ended:  # written after the abort was answered
        assert time.monotonic() < give_up_at


def test_no_broker_is_told() -> None:
    with pytest.raises(KafkaException):
        find_log_ends({"bootstrap.servers": "127.0.0.1:1"}, [FIRST], known=())


def fill(producer: Producer, topic: str, count: int) -> None:
    for _ in range(count):
        producer.produce(topic, b"x", partition=0)
    assert producer.flush(30) == 0
