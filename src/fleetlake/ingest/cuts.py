"""A commit cut into several where its rows are of too many days, each of which is a file."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fleetlake.ingest.buffers import Numbers
from fleetlake.ingest.offsets import Offsets

MOST_DAYS = 1_000  # of a commit: so many files are written in a few seconds, and their entries are a manifest of some 200 kB


def cut_by_days(rows: pa.Table, start: Offsets, following: Offsets, *, most: int = MOST_DAYS) -> Iterator[tuple[pa.Table, Offsets]]:
    """Parts of `rows` of at most `most` days of event_time each, and the offsets that follow each part, for a commit of its own.

    rows: bronze rows, the records from `start` up to `following`. Each part goes on where the one before it ends, partition by
    partition, so that a table holds no gap whichever of them was committed last. Rows of few days are one part, as they are.
    """
    if len(rows) <= most or len(pc.unique(_days(rows))) <= most:
        yield rows, following
        return
    rows = rows.sort_by([("kafka_partition", "ascending"), ("kafka_offset", "ascending")])
    partitions, offsets = rows["kafka_partition"].to_numpy(), rows["kafka_offset"].to_numpy()
    ends = _ends(_days(rows).to_numpy(), most)
    for first, end in zip([0, *ends], ends, strict=False):
        if end == len(rows):
            yield rows.slice(first), following
            return
        finished = {partition: at for partition, at in following.items() if partition < partitions[end]}
        yield rows.slice(first, end - first), {**start, **finished, int(partitions[end]): int(offsets[end])}


def _days(rows: pa.Table) -> pa.ChunkedArray:
    """Of each row, as a number; that of rows without a time is one, too."""
    return pc.cast(rows["event_time"], pa.date32()).cast(pa.int32()).fill_null(np.iinfo(np.int32).max)


def _ends(days: Numbers, most: int) -> list[int]:
    """Where each part ends: as late as it can, with `most` different days in it."""
    by_day = np.argsort(days, kind="stable")
    before = np.full(len(days), -1)  # the place of the row of the same day before this one
    same = days[by_day[1:]] == days[by_day[:-1]]
    before[by_day[1:][same]] = by_day[:-1][same]
    ends = [0]
    while ends[-1] < len(days):
        new_days = np.cumsum(before[ends[-1] :] < ends[-1])
        ends.append(ends[-1] + int(np.searchsorted(new_days, most + 1)))
    return ends[1:]
