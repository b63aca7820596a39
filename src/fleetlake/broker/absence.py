"""Partitions and topics that were read, and that the brokers do not show any more."""

from __future__ import annotations

from collections.abc import Sequence

from fleetlake.foundation.errors import DataLoss


def vanished_partitions(topic: str, partitions: Sequence[int]) -> DataLoss:
    """Return the error for partitions that records were read of, ascending, where the topic is shown without them."""
    several = len(partitions) > 1
    these = f"partition{'s' * several} {name_partitions(partitions)}"
    return DataLoss(
        f"the topic's log went back to before {these} {'were' if several else 'was'} added: records of "
        f"{'them' if several else 'it'} were read, and the broker has no such partition now",
        where=f"topic {topic}, {these}",
        hint="the same again if a broker has just started; else it lost records (restored from a backup?), which "
        "--accept-gaps can't accept; restore its log, or ingest into a new lake: fleetlake --home DIR",
    )


def made_anew(topic: str, how: str) -> DataLoss:
    """Return the error for a topic that is another one by now, or none."""
    return DataLoss(
        f"the topic was deleted or made again while it was read: {how}",
        where=f"topic {topic}",
        hint="its offsets mean other records now; ingest into a new lake",
    )


def name_partitions(partitions: Sequence[int]) -> str:
    """Return `3, 7 and 8` as `3, 7, 8`, and a run as `3 to 8`."""
    if len(partitions) > 2 and partitions[-1] - partitions[0] == len(partitions) - 1:
        return f"{partitions[0]} to {partitions[-1]}"
    return ", ".join(map(str, partitions))
