"""Offsets of partitions whose leader is not settled yet."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest
from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec

from fleetlake.broker.log_ends import _ask
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


class BrokenConnection(RestartedBroker):
    """What the client makes of a connection that broke before its answer came: no error, and an offset that is none."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self._times = times

    def list_offsets(self, wanted: dict[TopicPartition, OffsetSpec], **more: object) -> dict[TopicPartition, Future[Any]]:
        self._times -= 1
        if self._times < 0:
            return super().list_offsets(wanted, **more)
        answers = {partition: Future[Any]() for partition in wanted}
        for number, answer in enumerate(answers.values()):
            answer.set_result(Answer(-1001 if number == 0 else 7))
        return answers


TWO = [TopicPartition("gps_data", 0), TopicPartition("gps_data", 1)]


def test_an_offset_that_is_none_is_asked_for_again() -> None:
    assert _offsets(BrokenConnection(2), TWO, OffsetSpec.latest()) == [7, 7]  # type: ignore[arg-type]


def test_a_broker_that_never_says_an_offset_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleetlake.broker.topics.TIMEOUT_S", 0.1)
    with pytest.raises(KafkaException, match="not all partitions were answered for"):
        _offsets(BrokenConnection(1000), TWO, OffsetSpec.latest())  # type: ignore[arg-type]


def test_the_ends_of_a_log_lack_an_offset_that_is_none() -> None:
    asked = _ask(BrokenConnection(1), TWO, OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED)  # type: ignore[arg-type]
    assert asked == {("gps_data", 1): 7}


class Silent(RestartedBroker):
    def list_offsets(self, wanted: dict[TopicPartition, OffsetSpec], **_: object) -> dict[TopicPartition, Future[Any]]:
        return {partition: Future() for partition in wanted}


def test_a_client_that_says_nothing_is_a_broker_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleetlake.broker.topics.TIMEOUT_S", 0.05)
    monkeypatch.setattr("fleetlake.broker.log_ends.ANSWER_S", 0.05)
    with pytest.raises(KafkaException, match="no answer"):
        _offsets(Silent(), TWO, OffsetSpec.latest())  # type: ignore[arg-type]
    assert _ask(Silent(), TWO, OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED) == {}  # type: ignore[arg-type]


def test_what_is_refused_is_not_asked_again() -> None:
    broker = RestartedBroker(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    with pytest.raises(KafkaException):
        _offsets(broker, [TopicPartition("gps_data", 0)], OffsetSpec.latest())  # type: ignore[arg-type]
