"""What arrives from Kafka, whichever way it is taken from the client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from confluent_kafka import KafkaError

from fleetlake.contracts.tables import LATEST_TIME_MS
from fleetlake.foundation.errors import Retryable
from fleetlake.ingest.buffers import Numbers
from fleetlake.ingest.decode import RAW_SCHEMA
from fleetlake.ingest.fingerprints import Fingerprint, Fingerprints, digest_value

ENOUGH_BYTES = 8 * 1024 * 1024  # of records taken at a time, keys and headers included; more than a full batch of usual ones
MOSTLY_DROPPED = 8  # times what is kept
NO_TIME_MS = -1  # Kafka's, of a record that has none


@dataclass(frozen=True, slots=True)
class StrangeTime:
    """A record whose producer gave it a time that is no date: before 1970 or after LATEST_TIME_MS."""

    partition: int
    offset: int
    time_ms: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """Records of one topic, in the order of their partitions' offsets.

    rows: a table of decode.RAW_SCHEMA. read: partition to (first, last) offset in it. last: the last record of each partition.
    strange_time: the first record whose time is no date; its kafka_timestamp, and that of all others like it, is null.
    """

    topic: str
    rows: pa.Table
    read: Mapping[int, tuple[int, int]]
    last: Fingerprints
    strange_time: StrangeTime | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """What the client says of a place instead of giving its record: the end of the partition (_PARTITION_EOF), or an error."""

    topic: str
    partition: int
    offset: int
    error: KafkaError


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What was taken at a time: records, a chunk for each topic, and troubles, also of topics that have no chunk.

    is_full: whether it was as much as was asked for, in number or in bytes, so that there is more. weight: the bytes of keys,
    values and headers, about.
    """

    chunks: Sequence[Chunk]
    troubles: Sequence[Trouble]
    is_full: bool
    weight: int

    def __add__(self, later: Arrivals) -> Arrivals:
        chunks, troubles = [*self.chunks, *later.chunks], [*self.troubles, *later.troubles]
        return Arrivals(chunks, troubles, self.is_full or later.is_full, self.weight + later.weight)

    @property
    def records(self) -> int:
        return sum(chunk.rows.num_rows for chunk in self.chunks)

    @property
    def bytes(self) -> int:
        """What is kept of it."""
        return sum(chunk.rows.nbytes for chunk in self.chunks)

    @property
    def is_mostly_dropped(self) -> bool:
        """Whether by far most of it are keys and headers, which the client does not count as what it holds."""
        return self.weight > MOSTLY_DROPPED * self.bytes + ENOUGH_BYTES // 4


class Arriving(Protocol):
    """A way to take records from a client. Belongs to one thread."""

    def take(self, limit: int, timeout_s: float, *, enough_bytes: int = ENOUGH_BYTES) -> Arrivals:
        """At most `limit` records and troubles, waiting up to `timeout_s` for as many. Calls the client's callbacks.

        Ends early once keys, values and headers are `enough_bytes`; they are hardly ever twice as many.
        """
        ...

    def add(self, topic: str, partitions: Iterable[int]) -> None:
        """Prepares for partitions that the client is about to be assigned as well."""
        ...

    def close(self) -> None:
        """Closes the client; takes up to its session.timeout.ms where no broker answers."""
        ...


def make_chunk(
    topic: str,
    partitions: Numbers,
    offsets: Numbers,
    times_ms: Numbers,
    payload: pa.Array | pa.ChunkedArray,
    epoch_of: Callable[[int], int],
) -> Chunk:
    """All of n records. times_ms: since 1970, any number. Retryable if a partition's offsets do not ascend.

    epoch_of: the leader epoch of the i-th, UNKNOWN_EPOCH if the client does not say; asked for the last record of each partition.
    """
    is_date = (times_ms >= 0) & (times_ms <= LATEST_TIME_MS)
    times = pa.array(np.where(is_date, times_ms, 0) * 1000, pa.timestamp("us", tz="UTC"), mask=~is_date)
    rows = pa.table([pa.array(partitions), pa.array(offsets), times, payload], schema=RAW_SCHEMA)
    strange = np.flatnonzero(~is_date & (times_ms != NO_TIME_MS))
    first = StrangeTime(*(int(column[strange[0]]) for column in (partitions, offsets, times_ms))) if len(strange) else None
    read, last = dict[int, tuple[int, int]](), dict[int, Fingerprint]()
    for first_at, last_at in zip(*_ends_of_partitions(partitions, offsets), strict=True):
        partition, offset = int(partitions[last_at]), int(offsets[last_at])
        value = payload[last_at].as_buffer()
        read[partition] = int(offsets[first_at]), offset
        last[partition] = Fingerprint(offset, int(times_ms[last_at]), digest_value(value), epoch_of(last_at))
    return Chunk(topic, rows, read, last, first)


def keep_before(chunk: Chunk, trouble: Trouble) -> Chunk | None:
    """The chunk without what follows the trouble in its partition; None if nothing is left.

    After a corrupt batch the client may take any bytes for records. The last of those that are left has no fingerprint.
    """
    if chunk.topic != trouble.topic or trouble.partition not in chunk.read:
        return chunk
    partitions, offsets = chunk.rows["kafka_partition"], chunk.rows["kafka_offset"]
    rows = chunk.rows.filter(pc.or_(pc.not_equal(partitions, trouble.partition), pc.less(offsets, trouble.offset)))
    if not rows.num_rows:
        return None
    left, places = rows["kafka_offset"].to_numpy(), rows["kafka_partition"].to_numpy()
    ends = zip(*_ends_of_partitions(places, left), strict=True)
    read = {int(places[last_at]): (int(left[first_at]), int(left[last_at])) for first_at, last_at in ends}
    return Chunk(chunk.topic, rows, read, {p: known for p, known in chunk.last.items() if p != trouble.partition})


def _ends_of_partitions(partitions: Numbers, offsets: Numbers) -> tuple[list[int], list[int]]:
    """Where each partition's first and last record are. Retryable if its offsets do not ascend."""
    order = np.argsort(partitions, kind="stable")
    changes = np.flatnonzero(np.diff(partitions[order]))
    if not np.delete(np.diff(offsets[order]) > 0, changes).all():
        raise Retryable("the Kafka client returned records out of order", hint="run the ingest again")
    firsts, lasts = np.append(0, changes + 1), np.append(changes, len(order) - 1)
    return order[firsts].tolist(), order[lasts].tolist()
