"""Looks now and then, beside the reading, whether the topics' logs are still what the reading takes them for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from confluent_kafka import KafkaException

from fleetlake.broker.absence import made_anew, name_partitions, vanished_partitions
from fleetlake.broker.log_ends import LogEnds
from fleetlake.foundation.errors import DataLoss, Retryable
from fleetlake.ingest.offsets import Offsets

LOG = logging.getLogger(__name__)  # its warnings reach stderr, a line each
ABSENT_LOOKS = 3  # in a row: a broker that has just started does not know all of its topics yet
STALLED_LOOKS = 5  # after so many in which nothing arrived, the client does not find its way back by itself
Key = tuple[str, int]  # topic and partition
Ask = Callable[[Collection[Key]], Mapping[str, Mapping[int, LogEnds]]]


class TopicReading(Protocol):
    """What is looked at: the reading of topics."""

    def positions(self) -> Mapping[str, Offsets]:
        """Return where the reading is, as values that stay."""
        ...

    def caught_up(self) -> int:
        """Return how often, so far, all that the client had was taken from it."""
        ...

    def compare(self, partitions: Iterable[Key]) -> None:
        """DataLoss if a log does not hold the record read last; Retryable if the broker does not answer."""
        ...

    def add(self, topic: str, partitions: Iterable[int]) -> None:
        """Has new partitions read from offset 0 on."""
        ...


@dataclass(frozen=True, slots=True)
class Look:
    """What one look saw. positions: of the reading, just before the brokers were asked. caught_up: see Reading, after it."""

    positions: Mapping[Key, int]
    ends: Mapping[Key, LogEnds]
    caught_up: int

    def behind(self) -> Iterator[Key]:
        """Yield the partitions that end before the position: a log never does, unless it went back."""
        return (key for key, position in self.positions.items() if (high := self._ends(key).high) is not None and high < position)

    def absent(self) -> Iterator[Key]:
        """Yield the partitions that were read and are not shown, and all partitions of a topic of which none is."""
        shown = {topic for topic, _ in self.ends}
        return (key for key, position in self.positions.items() if key not in self.ends and (position or key[0] not in shown))

    def added(self) -> dict[str, list[int]]:
        """Return the partitions, by topic, that nobody reads yet."""
        found: dict[str, list[int]] = {}
        for topic, partition in sorted(self.ends.keys() - self.positions.keys()):
            found.setdefault(topic, []).append(partition)
        return found

    def _ends(self, key: Key) -> LogEnds:
        return self.ends.get(key, LogEnds())


def find_stalled(before: Look, now: Look) -> list[Key]:
    """Return the partitions of which nothing arrived between two looks, though the first one saw that there was more.

    None if the reading was busy all the time: then the client may not have asked for it yet.
    """
    if now.caught_up == before.caught_up:
        return []
    return [
        key
        for key, position in now.positions.items()
        if before.positions.get(key) == position and (before.ends.get(key, LogEnds()).high or 0) > position
    ]


def find_waiting(before: Mapping[Key, int], now: Look) -> set[Key]:
    """Return the partitions that have records to be read, and did not move from the positions before."""
    return {
        key
        for key, position in now.positions.items()
        if before.get(key) == position and (now.ends.get(key, LogEnds()).stable or 0) > position
    }


def is_catching_up(before: Look, waiting: Collection[Key], now: Look) -> bool:
    """Return whether the reading works on a backlog, so that partitions may wait for their turn.

    A partition moved that had been waiting until the look before, or that is not yet where it ended then.
    """
    return any(
        key in before.positions
        and before.positions[key] < position
        and (key in waiting or position < (before.ends.get(key, LogEnds()).high or 0))
        for key, position in now.positions.items()
    )


class LogWatch:
    """Asks the brokers every `every_s` seconds and compares with the reading.

    New partitions are added to it. DataLoss if a log went back, if it holds other records than those read, if records of a new
    partition were removed before it was seen, or if a topic, or partitions that were read, are not shown in ABSENT_LOOKS looks in
    a row. A partition that nothing arrives from though it has records is named once, at the second look that finds it so; Retryable
    if it is still so STALLED_LOOKS looks later and no open transaction is the reason. While the reading works on a backlog its log
    is compared only: an answer brings a batch of one partition, and there may be thousands.
    ask: asks the brokers, and for the low of those partitions that it is not given; KafkaException while none answers, which the
    reading says by itself.
    """

    def __init__(self, reading: TopicReading, ask: Ask, *, every_s: float) -> None:
        self._reading, self._ask, self._every_s = reading, ask, every_s
        self._start = _by_key(reading.positions())
        self._before: Look | None = None
        self._waiting: set[Key] = set()  # at the look before
        self._stalled: dict[Key, int] = {}  # in how many looks in a row
        self._absent: dict[Key, int] = {}  # likewise

    def run(self, ended: threading.Event) -> None:
        while not ended.wait(self._every_s):
            try:
                self.look()
            except (KafkaException, _NoAnswer):
                continue

    def look(self) -> None:
        """Looks once."""
        positions = _by_key(self._reading.positions())
        ends = {(topic, p): of for topic, parts in self._ask(positions.keys()).items() for p, of in parts.items()}
        now = Look(positions, ends, self._reading.caught_up())
        self._require_not_behind(now)
        self._require_not_absent(now)
        for topic, partitions in now.added().items():
            self._add(topic, partitions, now)
        if self._before:
            stalled = find_stalled(self._before, now)
            if is_catching_up(self._before, self._waiting, now):
                self._stalled.clear()
                self._compare(stalled)
            else:
                self._judge_stalled(stalled, now)
        self._waiting = find_waiting(self._before.positions if self._before else self._start, now)
        self._before = now

    def _require_not_behind(self, now: Look) -> None:
        """At the second look in a row: a new leader may not know for a moment how far its log is acknowledged."""
        before = set(self._before.behind()) if self._before else set()
        for topic, partition in now.behind():
            if (topic, partition) not in before:
                continue
            position, high = now.positions[topic, partition], now.ends[topic, partition].high
            raise DataLoss(
                f"the topic's log went back: records up to offset {position - 1} were read, it ends at {(high or 0) - 1} now",
                where=f"topic {topic}, partition {partition}",
                hint="the broker lost records (a restored disk, an unclean leader election?), which --accept-gaps can't accept; "
                "restore its log, or ingest into a new lake: fleetlake --home DIR",
            )

    def _require_not_absent(self, now: Look) -> None:
        self._absent = {key: self._absent.get(key, 0) + 1 for key in now.absent()}
        lost = sorted(key for key, looks in self._absent.items() if looks >= ABSENT_LOOKS)
        if not lost:
            return
        topic = lost[0][0]
        if any(shown == topic for shown, _ in now.ends):
            raise vanished_partitions(topic, [partition for of, partition in lost if of == topic])
        raise made_anew(topic, "it is not there any more")

    def _add(self, topic: str, partitions: list[int], now: Look) -> None:
        """Those whose first record is known: of one that has just been made, there is not always an answer."""
        ready = [p for p in partitions if now.ends[topic, p].low is not None]
        for partition in ready:
            if low := now.ends[topic, partition].low:
                raise removed_before_it_was_read(topic, partition, low)
        if ready:
            LOG.warning("topic %s has new partitions, read from their beginning: %s", topic, name_partitions(ready))
            self._reading.add(topic, ready)

    def _judge_stalled(self, stalled: list[Key], now: Look) -> None:
        self._stalled = {key: self._stalled.get(key, 0) + 1 for key in stalled}
        new = [key for key, looks in self._stalled.items() if looks == 1]
        if new:
            self._say(new, now)
        self._compare(stalled)
        stuck = [key for key, looks in self._stalled.items() if looks >= STALLED_LOOKS and not _is_held_back(key, now)]
        if stuck:
            topic, partition = stuck[0]
            raise Retryable(
                f"the Kafka client reads nothing more of {len(stuck)} partitions, though they have records",
                where=f"topic {topic}, partition {partition}, offset {now.positions[stuck[0]]}",
                hint="nothing is lost: run the ingest again",
            )

    def _say(self, stalled: list[Key], now: Look) -> None:
        topic, partition = stalled[0]
        others = f" (and {len(stalled) - 1} partitions more)" if len(stalled) > 1 else ""
        reason = "a transaction is open there" if _is_held_back(stalled[0], now) else "the broker is asked what became of its log"
        LOG.warning(
            "nothing arrives of topic %s, partition %d%s from offset %d on, though it has records up to %d: %s",
            topic, partition, others, now.positions[stalled[0]], (now.ends.get(stalled[0], LogEnds()).high or 0) - 1, reason,
        )  # fmt: skip

    def _compare(self, stalled: list[Key]) -> None:
        if not stalled:
            return
        try:
            self._reading.compare(stalled)
        except Retryable as error:
            raise _NoAnswer from error


class _NoAnswer(Exception):
    """The broker did not answer while its log was compared."""


def removed_before_it_was_read(topic: str, partition: int, low: int) -> DataLoss:
    """The error for a partition that was added to a topic and lost its first records before they were read."""
    return DataLoss(
        f"offsets 0 to {low - 1} of a partition that was added to the topic were deleted by retention before they were ingested",
        where=f"topic {topic}, partition {partition}",
        hint="fleetlake ingest --accept-gaps writes the loss down and goes on",
    )


def _by_key(positions: Mapping[str, Offsets]) -> dict[Key, int]:
    return {(topic, partition): at for topic, of in positions.items() for partition, at in of.items()}


def _is_held_back(key: Key, now: Look) -> bool:
    ends = now.ends.get(key, LogEnds())
    return ends.stable is None or ends.stable <= now.positions[key]
