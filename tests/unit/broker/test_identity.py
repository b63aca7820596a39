"""What a topic's id, asked for after reading, says of what was read."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from fleetlake.broker.identity import LOOKS_AT_ABSENT, TopicWatch
from fleetlake.foundation.errors import DataLoss, Retryable

NO_ANSWER = KafkaException(KafkaError(KafkaError._TRANSPORT))
Answer = dict[str, str | None] | KafkaException


class Answers(TopicWatch):
    """A watch whose broker answers as told; the last answer is given for ever."""

    def __init__(self, *answers: Answer) -> None:
        self.waited: list[int] = []
        super().__init__({"bootstrap.servers": "127.0.0.1:1"}, {"t": "a", "u": "b"}, wait=self.waited.append)
        self._answers = list(answers)

    def _connect(self) -> None:
        self.connected = getattr(self, "connected", 0) + 1

    def _look(self) -> dict[str, str | None]:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, KafkaException):
            raise answer
        return answer


def running() -> bool:
    return False


def test_the_same_topics_are_let_through_at_once() -> None:
    watch = Answers({"t": "a", "u": "b"})
    watch.require_same(stopped=running)
    assert watch.waited == []


def test_another_id_is_data_loss() -> None:
    with pytest.raises(DataLoss, match="it is c, the table was filled from b"):
        Answers({"t": "a", "u": "c"}).require_same(stopped=running)


def test_a_broker_that_is_away_or_does_not_know_its_topics_yet_is_waited_for() -> None:
    watch = Answers(NO_ANSWER, {"t": None, "u": "b"}, {"t": "a", "u": "b"})
    watch.require_same(stopped=running)
    assert watch.waited == [1, 2]


def test_each_failure_is_followed_by_another_client_and_the_second_one_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """A client that knows its brokers asks the one it has chosen, even if that one has ended and others lead: for five minutes."""
    watch = Answers(NO_ANSWER, NO_ANSWER, NO_ANSWER, {"t": "a", "u": "b"})
    watch.require_same(stopped=running)
    assert watch.connected == 1 + 3
    assert [record.getMessage().split(":")[0] for record in caplog.records if record.levelname == "WARNING"][-1] == (
        "Kafka says that its topics are the same"
    )
    assert len(caplog.records) == 2


def test_a_topic_that_stays_away_is_data_loss() -> None:
    watch = Answers({"t": None, "u": "b"})
    with pytest.raises(DataLoss, match="it is not there any more"):
        watch.require_same(stopped=running)
    assert len(watch.waited) == LOOKS_AT_ABSENT - 1


def test_who_is_asked_to_stop_does_not_wait_for_a_broker() -> None:
    with pytest.raises(Retryable, match="what was read last is not committed"):
        Answers(NO_ANSWER).require_same(stopped=lambda: True)
