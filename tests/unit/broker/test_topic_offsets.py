"""Offsets of partitions whose leader is not settled yet."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec

from fleetlake.broker.topics import SETTLING, _offsets


class Answer:
    def __init__(self, offset: int) -> None:
        self.offset = offset


class RestartedBroker:
    """Answers with an error at first, as a broker does that has just come to lead its partitions again."""

    def __init__(self, *errors: int) -> None:
        self._errors = list(errors)

    def list_offsets(self, wanted: dict[TopicPartition, OffsetSpec], **_: object) -> dict[TopicPartition, Future[Any]]:
        answers: dict[TopicPartition, Future[Any]] = {}
        for partition in wanted:
            answers[partition] = Future()
            if self._errors:
                answers[partition].set_exception(KafkaException(KafkaError(self._errors.pop(0))))
            else:
                answers[partition].set_result(Answer(7))
        return answers


@pytest.mark.parametrize("error", SETTLING)
def test_a_partition_whose_leader_is_not_settled_is_asked_again(error: int) -> None:
    assert _offsets(RestartedBroker(error), [TopicPartition("gps_data", 0)], OffsetSpec.latest()) == [7]  # type: ignore[arg-type]


def test_what_is_refused_is_not_asked_again() -> None:
    broker = RestartedBroker(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    with pytest.raises(KafkaException):
        _offsets(broker, [TopicPartition("gps_data", 0)], OffsetSpec.latest())  # type: ignore[arg-type]
