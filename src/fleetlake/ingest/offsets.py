"""The delivery protocol's decisions, without I/O: what a table says of its topic, where to go on, what a failed commit means.

Each commit of a bronze table writes an IngestMarker into the table's properties, and into the snapshot's summary what it moved.
Rows and marker land together or not at all, so the marker's `next` offsets are the one truth about what has been ingested.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from fleetlake.broker.absence import vanished_partitions
from fleetlake.foundation.errors import BadInput, DataLoss, Retryable
from fleetlake.ingest.fingerprints import Fingerprints
from fleetlake.ingest.packing import pack_partitions, unpack_partitions
from fleetlake.lake.stored_json import read_stored

MOVES_IN_A_SUMMARY = 16  # partitions; every later metadata.json repeats them for as long as the snapshot is kept
PROPERTY = "fleetlake.ingest"
Offsets = Mapping[int, int]  # partition to offset
Watermarks = Mapping[int, tuple[int, int]]  # partition to (lowest offset kept, offset after the last)


class IngestEngine(StrEnum):
    """Who fills bronze tables."""

    NATIVE = "native"
    SPARK = "spark"


@dataclass(frozen=True, slots=True)
class Gap:
    """Records of a partition, [first, after), that the broker no longer had when they were asked for."""

    partition: int
    first: int
    after: int


@dataclass(frozen=True, slots=True)
class IngestMarker:
    """What a bronze table says of its topic.

    epoch: grows by one with each writer that takes the table over. commit_id: unique to a commit. start, next: the commit holds the
    records [start, next) of each partition. ingested_at_us: microseconds UTC, never falls. gaps: losses somebody accepted.
    engine: which one fills the table. Spark keeps its offsets in a checkpoint instead, whose place is its `job` here.
    prints: the last record read of each partition, if it is known; tables of earlier versions lack them. `start` is not stored: the
    commit before has it as its `next`.
    """

    job: str
    epoch: int
    commit_id: str
    cluster_id: str
    topic_id: str
    start: Offsets
    next: Offsets
    ingested_at_us: int = 0
    gaps: tuple[Gap, ...] = ()
    engine: IngestEngine = IngestEngine.NATIVE
    prints: Fingerprints = field(default_factory=dict)

    def properties(self) -> dict[str, str]:
        """Return what the table's properties hold: all of it but `start`, the numbers of the partitions packed (packing.py)."""
        gaps = [asdict(gap) for gap in self.gaps]
        named = self._names() | {"cluster_id": self.cluster_id, "topic_id": self.topic_id, "gaps": gaps}
        return _property(named | {"partitions": pack_partitions(self.next, self.prints)})

    def summary(self) -> dict[str, str]:
        """Return what the snapshot's summary holds: who committed, and which partitions moved from where to where.

        Of MOVES_IN_A_SUMMARY of them: the metadata repeats every summary, so it must not grow with the number of partitions.
        """
        moves = [(p, self.start.get(p, 0), next_) for p, next_ in sorted(self.next.items()) if next_ != self.start.get(p, 0)]
        return _property(self._names() | {"moved_partitions": len(moves), "moves": moves[:MOVES_IN_A_SUMMARY]})

    def _names(self) -> dict[str, Any]:
        return {
            "job": self.job,
            "epoch": self.epoch,
            "commit_id": self.commit_id,
            "ingested_at_us": self.ingested_at_us,
            "engine": self.engine,
        }

    @classmethod
    def of(cls, properties: Mapping[str, str]) -> IngestMarker | None:
        """The marker in a table's properties, None if there is none. Its `start` is not what was committed (see above)."""
        return read_stored(properties, PROPERTY, cls._of)

    @classmethod
    def _of(cls, fields: dict[str, Any]) -> IngestMarker:
        if "partitions" in fields:
            fields["next"], fields["prints"] = unpack_partitions(fields.pop("partitions"))
            fields["start"] = fields["next"]
        else:  # as it was written before
            for name in ("start", "next"):
                fields[name] = {int(partition): offset for partition, offset in fields[name].items()}
        fields["gaps"] = tuple(Gap(**gap) for gap in fields["gaps"])
        fields["engine"] = IngestEngine(fields.get("engine", IngestEngine.NATIVE))
        return cls(**fields)

    def taken_over(self, job: str, commit_id: str) -> IngestMarker:
        """The marker of the empty commit by which a new writer fences the old one."""
        return replace(self, job=job, epoch=self.epoch + 1, commit_id=commit_id, start=self.next)


@dataclass(frozen=True, slots=True)
class KafkaTopicState:
    """A topic as the broker shows it now.

    stable: partition to where its first open transaction begins, or its end; what is not named has none open.
    """

    topic: str
    cluster_id: str
    topic_id: str
    watermarks: Watermarks
    stable: Offsets = field(default_factory=dict)

    def readable_end(self, partition: int) -> int:
        """The offset after the last that a reader of committed records is given now."""
        _, high = self.watermarks[partition]
        return min(high, self.stable.get(partition, high))

    @property
    def size(self) -> int:
        """Offsets between the watermarks."""
        return sum(high - low for low, high in self.watermarks.values())

    @property
    def unreadable(self) -> int:
        """Offsets behind open transactions."""
        return sum(high - self.readable_end(partition) for partition, (_, high) in self.watermarks.items())


def resume(
    stored: IngestMarker | None, source: KafkaTopicState, *, job: str, commit_id: str, accept_gaps: bool = False
) -> IngestMarker:
    """The marker to take a table over with; its `next` is where to read on, for every partition there is.

    DataLoss if the topic is not the one the table was filled from or lacks partitions that were read, or if records that the table
    lacks are gone; with `accept_gaps` the last are written down in the marker instead. A partition unknown to the marker was
    added to the topic after the first commit, so it is read from offset 0: what retention has taken of it was never ingested.
    """
    if unknown := [partition for partition, ends in source.watermarks.items() if min(ends) < 0]:
        raise Retryable(
            f"the broker did not say where partitions {unknown} begin and end", where=f"topic {source.topic}", hint="the same again"
        )
    lows = {partition: low for partition, (low, _) in source.watermarks.items()}
    if stored is None:
        return IngestMarker(job, 1, commit_id, source.cluster_id, source.topic_id, lows, lows)
    check_identity(stored, source)
    if vanished := sorted(p for p, position in stored.next.items() if position and p not in source.watermarks):
        raise vanished_partitions(source.topic, vanished)
    following, gaps = dict(stored.next), list(stored.gaps)
    for partition, (low, high) in sorted(source.watermarks.items()):
        position = stored.next.get(partition, 0)
        where = f"topic {source.topic}, partition {partition}"
        if position > high:
            raise DataLoss(
                f"the table holds offsets up to {position - 1}, the topic ends at {high - 1}",
                where=where,
                hint="the broker lost records (restored from a backup?), which --accept-gaps can't accept; ingest into a new lake",
            )
        if position < low:
            if not accept_gaps:
                raise DataLoss(
                    f"offsets {position} to {low - 1} were deleted by retention before they were ingested",
                    where=where,
                    hint="fleetlake ingest --accept-gaps writes the loss down and goes on",
                )
            gaps.append(Gap(partition, position, low))
            position = low
        following[partition] = position
    return replace(stored.taken_over(job, commit_id), start=following, next=following, gaps=tuple(gaps))


def commit_id_of(summary: Mapping[str, str]) -> str | None:
    """Return the id of the ingest's commit that made a snapshot with this summary, None if another writer did."""
    return read_stored(summary, PROPERTY, lambda fields: str(fields["commit_id"]))


def check_identity(stored: IngestMarker, source: KafkaTopicState) -> None:
    """DataLoss if the topic is not the one the table was filled from."""
    if stored.cluster_id != source.cluster_id:
        raise DataLoss(
            f"the table was filled from Kafka cluster {stored.cluster_id}, this is {source.cluster_id}",
            where=f"topic {source.topic}",
            hint="check kafka.bootstrap_servers, or ingest into a new lake",
        )
    if stored.topic_id != source.topic_id:
        raise DataLoss(
            f"the topic was deleted and made again: it is {source.topic_id}, the table was filled from {stored.topic_id}",
            where=f"topic {source.topic}",
            hint="its offsets mean other records now; ingest into a new lake",
        )


def refuse_other_engine(stored: IngestMarker | None, rows: int, *, ours: IngestEngine, table: str) -> None:
    """BadInput if another engine has filled the table, or nobody knows who: from where to go on is not known then.

    An empty table can be claimed by any engine.
    """
    if stored is None and rows:
        raise BadInput(
            f"the table has {rows:,} rows, but its property {PROPERTY}, which says up to which offsets, is gone:"
            " read from the start, Kafka's records would be in it twice",
            where=table,
            allowed="a table that only the ingest writes to",
            hint="set the property to what an older metadata file of the table has, or a new lake: fleetlake --home DIR",
        )
    if stored is None or stored.engine is ours or not rows:
        return
    place = f", its offsets are in the checkpoint {stored.job}" if stored.engine is IngestEngine.SPARK else ""
    raise BadInput(
        f"the {stored.engine} engine has filled this table ({rows:,} rows{place}); the {ours} engine can't go on where it stopped",
        where=table,
        allowed="another engine on an empty table only",
        hint=f"fleetlake ingest --engine {stored.engine}, or a new lake: fleetlake --home DIR",
    )


class CommitOutcome(StrEnum):
    """What became of a commit that was not confirmed."""

    LANDED = "landed"
    RETRY = "retry"  # not there, and nobody else wrote what it would have written
    FENCED = "fenced"  # another writer owns the table


def settle(ours: IngestMarker, stored: IngestMarker) -> CommitOutcome:
    """What the table's current marker says of a commit under `ours` that was not confirmed."""
    if stored.commit_id == ours.commit_id:
        return CommitOutcome.LANDED
    if stored.epoch == ours.epoch and stored.next == ours.start:
        return CommitOutcome.RETRY
    return CommitOutcome.FENCED


def advance(next_offsets: Offsets, read: Mapping[int, tuple[int, int]]) -> dict[int, int]:
    """Offsets after reading, per partition, records from the first to the last given.

    Raises ValueError if that would go back: the same record read twice.
    """
    following = dict(next_offsets)
    for partition, (first, last) in read.items():
        if first < following.get(partition, 0) or last < first:
            raise ValueError(f"partition {partition}: read {first} to {last}, expected {following.get(partition, 0)} or later")
        following[partition] = last + 1
    return following


def _property(fields: Mapping[str, Any]) -> dict[str, str]:
    return {PROPERTY: json.dumps(fields, separators=(",", ":"))}
