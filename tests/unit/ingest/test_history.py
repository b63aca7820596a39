"""When what was read last is compared with the broker's log, and what follows."""

from __future__ import annotations

import pytest

from fleetlake.foundation.errors import DataLoss, Retryable
from fleetlake.ingest.fingerprints import UNKNOWN_EPOCH, Fingerprint, Fingerprints
from fleetlake.ingest.history import History
from fleetlake.ingest.offsets import Offsets

TOPIC = "gps_data"
LAST = Fingerprint(99, 1_000, 0xA, leader_epoch=3)


class FakeLog:
    """A broker that has one record at every offset asked for, and does not answer the first times."""

    def __init__(self, record: Fingerprint | None, *, silent: int = 0) -> None:
        self.record, self.silent, self.asked = record, silent, list[dict[int, int]]()

    def __call__(self, topic: str, offsets: Offsets) -> Fingerprints:
        self.asked.append(dict(offsets))
        if len(self.asked) <= self.silent:
            raise Retryable("the broker did not show the records that were read last")
        return {partition: self.record for partition in offsets if self.record}


def going_on() -> bool:
    return False


def after(epoch: int) -> Fingerprint:
    return Fingerprint(120, 2_000, 0xB, leader_epoch=epoch)


def test_nothing_is_asked_while_leader_and_connection_stay() -> None:
    log = FakeLog(LAST)
    history = History({TOPIC: {0: LAST}}, log)
    history.take(TOPIC, {0: after(3), 1: after(3)}, stopped=going_on)
    assert log.asked == []
    assert history.now() == {TOPIC: {0: after(3), 1: after(3)}}


@pytest.mark.parametrize("known", [LAST, Fingerprint(99, 1_000, 0xA, leader_epoch=2)])
def test_a_new_leader_that_has_the_record_is_believed_and_asked_once(known: Fingerprint) -> None:
    log = FakeLog(LAST)
    history = History({TOPIC: {0: known}}, log)
    for offset in (120, 130):
        history.take(TOPIC, {0: Fingerprint(offset, 2_000, 0xB, leader_epoch=4)}, stopped=going_on)
    assert log.asked == [{0: 99}]


@pytest.mark.parametrize("other", [Fingerprint(99, 1_000, 0xC, 4), Fingerprint(99, 1_001, 0xA, 4)])
def test_another_record_at_its_offset_is_a_loss_and_nothing_is_noted(other: Fingerprint) -> None:
    history = History({TOPIC: {0: LAST}}, FakeLog(other))
    with pytest.raises(DataLoss, match="went back and grew again") as raised:
        history.take(TOPIC, {0: after(4)}, stopped=going_on)
    assert raised.value.where == f"topic {TOPIC}, partition 0, offset 99 and some before it"
    assert history.now() == {TOPIC: {0: LAST}}


@pytest.mark.parametrize("found", [None, Fingerprint(105, 1_500, 0xD, 4)])
def test_a_record_that_retention_or_compaction_removed_proves_nothing(found: Fingerprint | None) -> None:
    history = History({TOPIC: {0: LAST}}, FakeLog(found))
    history.take(TOPIC, {0: after(4)}, stopped=going_on)
    assert history.now() == {TOPIC: {0: after(4)}}


def test_after_a_lost_connection_each_partition_is_compared_once_when_its_next_record_comes() -> None:
    log = FakeLog(LAST)
    history = History({TOPIC: {0: LAST, 1: LAST}}, log)
    history.doubt()
    history.take(TOPIC, {1: after(3)}, stopped=going_on)
    history.take(TOPIC, {1: after(3)}, stopped=going_on)
    history.take(TOPIC, {0: after(3)}, stopped=going_on)
    assert log.asked == [{1: 99}, {0: 99}]


def test_an_epoch_that_the_client_does_not_say_is_no_change() -> None:
    log = FakeLog(LAST)
    History({TOPIC: {0: LAST}}, log).take(TOPIC, {0: after(UNKNOWN_EPOCH)}, stopped=going_on)
    assert log.asked == []


def test_a_broker_that_does_not_answer_is_waited_for_until_the_reading_is_stopped() -> None:
    log = FakeLog(LAST, silent=3)
    History({TOPIC: {0: LAST}}, log).take(TOPIC, {0: after(4)}, stopped=going_on)
    assert len(log.asked) == 4
    with pytest.raises(Retryable, match="did not show"):
        History({TOPIC: {0: LAST}}, FakeLog(LAST, silent=3)).take(TOPIC, {0: after(4)}, stopped=lambda: True)


def test_partitions_are_compared_on_demand_as_far_as_they_are_known() -> None:
    log = FakeLog(LAST)
    history = History({TOPIC: {0: LAST}}, log)
    history.compare([(TOPIC, 0), (TOPIC, 7)])
    assert log.asked == [{0: 99}]
    log.record = Fingerprint(99, 5, 0xE)
    with pytest.raises(DataLoss):
        history.compare([(TOPIC, 0)])
