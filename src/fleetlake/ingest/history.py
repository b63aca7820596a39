"""What was read last of each partition, and whether the broker's log still holds it before more is read on top."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from fleetlake.broker.records_at import FoundRecord, find_records
from fleetlake.foundation.errors import Retryable
from fleetlake.ingest.fingerprints import UNKNOWN_EPOCH, Fingerprint, Fingerprints, digest_value, require_same_records
from fleetlake.ingest.offsets import Offsets


class FindPrints(Protocol):
    """Looks at the broker's log: of each partition of a topic, the fingerprint of the first record at or after the offset."""

    def __call__(self, topic: str, offsets: Offsets) -> Fingerprints: ...


def prints_on(client_config: Mapping[str, str | int | float | bool]) -> FindPrints:
    """Return how to look at the logs of a cluster. It raises Retryable while the broker does not answer."""

    def find(topic: str, offsets: Offsets) -> Fingerprints:
        return {partition: print_of(record) for partition, record in find_records(client_config, topic, offsets).items()}

    return find


def print_of(record: FoundRecord) -> Fingerprint:
    epoch = UNKNOWN_EPOCH if record.leader_epoch is None else record.leader_epoch
    return Fingerprint(record.offset, record.timestamp_ms, digest_value(record.value), epoch)


class History:
    """The fingerprints of the records read last, by topic and partition.

    Where a log may have been replaced, it is compared with what was read before anything more of it is used. That is after a
    connection was lost, and where the leader's epoch is another one. `take` and `doubt` belong to the reading thread.
    """

    def __init__(self, prints: Mapping[str, Fingerprints], find: FindPrints) -> None:
        self._prints = {topic: dict(of) for topic, of in prints.items()}
        self._find = find
        self._doubted: set[tuple[str, int]] = set()

    def doubt(self) -> None:
        """Has every partition compared before its next record is taken: the connection to a broker was lost."""
        self._doubted = {(topic, partition) for topic, of in self._prints.items() for partition in of}

    def take(self, topic: str, last: Fingerprints, *, stopped: Callable[[], bool]) -> None:
        """Takes note of the last records of a topic that arrived. last: by partition.

        DataLoss if the log that they came from is not the one that was read before. Waits while the broker does not answer;
        Retryable if `stopped` says so meanwhile.
        """
        known = self._prints[topic]
        suspects = {p: of for p, new in last.items() if (of := known.get(p)) and self._is_suspect(topic, p, of, new)}
        while suspects:
            try:
                self._require_same(topic, suspects)
                break
            except Retryable:
                if stopped():
                    raise
        self._doubted.difference_update((topic, partition) for partition in suspects)
        known.update(last)

    def compare(self, partitions: Iterable[tuple[str, int]]) -> None:
        """DataLoss if a partition's log does not hold the record read last; Retryable if the broker does not answer.

        For any thread.
        """
        by_topic: dict[str, dict[int, Fingerprint]] = {}
        for topic, partition in partitions:
            if known := self._prints[topic].get(partition):
                by_topic.setdefault(topic, {})[partition] = known
        for topic, of in by_topic.items():
            self._require_same(topic, of)

    def now(self) -> dict[str, dict[int, Fingerprint]]:
        """Return the fingerprints as they are, as values that stay."""
        return {topic: dict(of) for topic, of in self._prints.items()}

    def _is_suspect(self, topic: str, partition: int, known: Fingerprint, new: Fingerprint) -> bool:
        changed = known.leader_epoch != new.leader_epoch and UNKNOWN_EPOCH not in (known.leader_epoch, new.leader_epoch)
        return changed or (topic, partition) in self._doubted

    def _require_same(self, topic: str, known: Fingerprints) -> None:
        require_same_records(topic, known, self._find(topic, offsets_of(known)))


def offsets_of(prints: Fingerprints) -> dict[int, int]:
    """Return the records' offsets, by partition."""
    return {partition: of.offset for partition, of in prints.items()}
