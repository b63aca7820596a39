"""The reading of topics: where each partition is, what was read of it last, and which partitions have been added meanwhile."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from fleetlake.ingest.fingerprints import Fingerprints
from fleetlake.ingest.history import FindPrints, History
from fleetlake.ingest.offsets import Offsets, advance
from fleetlake.ingest.reader import PolledBatch, Reader


class TopicsReading:
    """Reads topics with `reader`, which was made with the same `start`. `poll` and `prints` belong to one thread.

    prints: the last record before `start` of each partition, where it is known. find: looks at the broker's log.
    """

    def __init__(self, reader: Reader, start: Mapping[str, Offsets], prints: Mapping[str, Fingerprints], find: FindPrints) -> None:
        self._reader, self._history = reader, History(prints, find)
        self._positions = {topic: dict(offsets) for topic, offsets in start.items()}
        self._new: queue.SimpleQueue[tuple[str, tuple[int, ...]]] = queue.SimpleQueue()
        self._caught_up = 0

    def poll(self, timeout_s: float, *, stopped: Callable[[], bool]) -> PolledBatch:
        """The records that have arrived, as `Reader.poll` says, after which the positions are; of the `ends` those that moved one.

        DataLoss if they are of a log that was replaced; see `History.take`, also for `stopped`.
        """
        self._begin_new()
        batch = self._reader.poll(timeout_s)
        if batch.interrupted:
            self._history.doubt()
        for chunk in batch.chunks:
            self._history.take(chunk.topic, chunk.last, stopped=stopped)
            self._positions[chunk.topic] = advance(self._positions[chunk.topic], chunk.read)
        moved = {(topic, p): offset for (topic, p), offset in batch.ends.items() if offset > self._positions[topic][p]}
        for (topic, partition), offset in moved.items():
            self._positions[topic][partition] = offset
        self._caught_up += not batch.is_full
        return replace(batch, ends=moved)

    def rest(self) -> None:
        """See `Reader.rest`."""
        self._reader.rest()

    def prints(self) -> Mapping[str, Fingerprints]:
        """Return the last record read of each partition, as values that stay."""
        return self._history.now()

    def positions(self) -> dict[str, dict[int, int]]:
        """Return where each partition is, as values that stay."""
        return {topic: dict(offsets) for topic, offsets in self._positions.items()}

    def caught_up(self) -> int:
        """Return how often, so far, all that the client had was taken from it."""
        return self._caught_up

    def compare(self, partitions: Iterable[tuple[str, int]]) -> None:
        """DataLoss if a log does not hold the record read last; Retryable if the broker does not answer."""
        self._history.compare(partitions)

    def add(self, topic: str, partitions: Iterable[int]) -> None:
        """Has new partitions read from offset 0 on, from the next `poll` on."""
        self._new.put((topic, tuple(partitions)))

    def _begin_new(self) -> None:
        while not self._new.empty():
            topic, partitions = self._new.get()
            offsets = {partition: 0 for partition in partitions if partition not in self._positions[topic]}
            if offsets:
                self._reader.add(topic, offsets)
                self._positions[topic] |= offsets
