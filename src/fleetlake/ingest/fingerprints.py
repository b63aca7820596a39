"""What is remembered of the last record of a partition that was read, to tell later whether the broker still holds that record.

An offset alone does not tell: a log that went back (a restored disk, an unclean leader election) and grew again has other records
at the same offsets. Pure: values in, values out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fleetlake.foundation.errors import DataLoss

UNKNOWN_EPOCH = -1
HINT = (
    "records that are in the table are missing on the broker and others were never read, and --accept-gaps can't say which; "
    "restore the broker's log, or ingest into a new lake: fleetlake --home DIR"
)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A record, as far as it is remembered.

    timestamp_ms: Kafka's, since 1970. digest: see `digest_value`. leader_epoch: under which the broker appended it, UNKNOWN_EPOCH
    if the client did not say; it is not compared, since a copied log may have another one.
    """

    offset: int
    timestamp_ms: int
    digest: int
    leader_epoch: int = UNKNOWN_EPOCH


Fingerprints = Mapping[int, Fingerprint]  # by partition


def digest_value(value: Any) -> int:
    """Return a number from 0 to 2^64 - 1 for a record's value: BLAKE2b of 8 bytes, big endian; 0 for a record without a value.

    value: bytes or another buffer, or None.

    It stands in the tables' properties, so it has to stay as it is.
    """
    return 0 if value is None else int.from_bytes(hashlib.blake2b(value, digest_size=8).digest(), "big")


def find_other_records(remembered: Fingerprints, found: Fingerprints) -> Iterator[tuple[int, Fingerprint, Fingerprint]]:
    """Yield each partition whose log holds another record where the remembered one was, with both.

    found: of each partition the first record at or after the remembered offset. One further on proves nothing: retention or
    compaction may have removed the remembered record, and so does a partition that has none.
    """
    for partition, known in remembered.items():
        now = found.get(partition)
        if now is not None and now.offset == known.offset and (now.timestamp_ms, now.digest) != (known.timestamp_ms, known.digest):
            yield partition, known, now


def require_same_records(topic: str, remembered: Fingerprints, found: Fingerprints) -> None:
    """Raise DataLoss if a partition's log holds another record where the remembered one was."""
    for partition, known, now in find_other_records(remembered, found):
        raise DataLoss(
            f"the topic's log went back and grew again: the record at offset {known.offset} that was read is of "
            f"{_time(known.timestamp_ms)}, the one that the broker has there now is another, of {_time(now.timestamp_ms)}",
            where=f"topic {topic}, partition {partition}, offset {known.offset} and some before it",
            hint=HINT,
        )


def _time(timestamp_ms: int) -> str:
    try:
        return datetime.fromtimestamp(timestamp_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        return f"{timestamp_ms} ms since 1970"
