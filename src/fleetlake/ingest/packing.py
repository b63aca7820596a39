"""A marker's numbers for each partition as a short text: some twenty characters a partition, so that 10,000 fit into a property."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping

import numpy as np

from fleetlake.ingest.fingerprints import Fingerprint, Fingerprints

NO_RECORD = 0  # as the distance from a partition's next offset back to its last record, which is 1 at least
COLUMNS = 6


def pack_partitions(following: Mapping[int, int], prints: Fingerprints) -> str:
    """Return the partitions with their next offset and the fingerprint of the record before it, as base64 of deflated columns.

    Each column is 64-bit integers, little endian, byte by byte (all lowest bytes first), after the differences between neighbours
    were taken of what resembles its neighbour. The format stands in tables' properties: a change needs another name there.
    """
    partitions = sorted(following)
    known = [prints.get(partition) for partition in partitions]
    rows = [
        (p, following[p], following[p] - of.offset, of.timestamp_ms, of.leader_epoch, of.digest - 2**63)
        if of
        else (p, following[p], NO_RECORD, 0, 0, 0)
        for p, of in zip(partitions, known, strict=True)
    ]
    table = np.ascontiguousarray(np.array(rows, "<i8").reshape(-1, COLUMNS).T)
    table[[0, 1, 3]] = np.diff(table[[0, 1, 3]], axis=1, prepend=0)
    plain = table.view(np.uint8).reshape(COLUMNS, -1, 8).transpose(0, 2, 1).tobytes()
    return base64.b64encode(zlib.compress(plain)).decode()


def unpack_partitions(text: str) -> tuple[dict[int, int], dict[int, Fingerprint]]:
    """Return what `pack_partitions` was given."""
    plain = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(COLUMNS, 8, -1)
    table = np.ascontiguousarray(plain.transpose(0, 2, 1)).view("<i8").reshape(COLUMNS, -1).astype(np.int64)
    table[[0, 1, 3]] = np.cumsum(table[[0, 1, 3]], axis=1)
    following, prints = dict[int, int](), dict[int, Fingerprint]()
    for partition, next_, back, timestamp_ms, leader_epoch, digest in table.T.tolist():
        following[partition] = next_
        if back != NO_RECORD:
            prints[partition] = Fingerprint(next_ - back, timestamp_ms, digest + 2**63, leader_epoch)
    return following, prints
