"""A whole replay: files in, events out, at the recorded pace, sped up or at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fleetlake.contracts.events import GPS
from fleetlake.foundation.errors import BadInput
from fleetlake.simulate.replay.mapping import resolve
from fleetlake.simulate.replay.problems import Problem, find_problems
from fleetlake.simulate.replay.recordings import MEMORY_BYTES, Memory, read_recording
from fleetlake.simulate.replay.rows import ORDER, derived, typed_rows, value_of
from fleetlake.simulate.replay.wire import DERIVABLE, Recorder, events_of
from fleetlake.simulate.sink import EventSink

ROWS_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """rows: of all files, each of them sent. sent: topic to records. derived: gps field to how often it was derived.

    first, last: the recorded times, None if no row has one.
    problems: rows that were sent all the same, though they break the contract or have no position.
    """

    files: int
    rows: int
    devices: int
    sent: Mapping[str, int]
    derived: Mapping[str, int]
    first: datetime | None
    last: datetime | None
    problems: tuple[Problem, ...]
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class Drives:
    """Recorded drives, read and ready to send. files: their names. rows: see typed_rows.

    left_out: of each file what its points that are not sent are called, and how many there are; see Recording.
    """

    files: tuple[str, ...]
    rows: pa.Table
    left_out: tuple[tuple[str, str, int], ...] = ()


def read_drives(
    paths: Sequence[Path], mapping: Mapping[str, str], *, timezone: tzinfo = UTC, memory_bytes: int = MEMORY_BYTES
) -> Drives:
    """Reads the files and merges their rows by time.

    mapping: event field, possibly as `topic.field`, to column, possibly as `column:unit`; obvious names need none.
    timezone: of times that name none. memory_bytes: what the recordings may take.
    Raises BadInput if a file, a column, a field or a unit can't be used.
    """
    if not paths:
        raise BadInput("nothing to replay", allowed="one or more CSV or GPX files")
    memory = Memory(memory_bytes)
    recordings = [read_recording(path, memory) for path in paths]
    plans = [resolve(mapping, recording.table.column_names, str(recording.path)) for recording in recordings]
    left_out = tuple((str(one.path), *points) for one in recordings for points in one.left_out)
    return Drives(tuple(str(path) for path in paths), typed_rows(recordings, plans, timezone), left_out)


def replay_files(
    paths: Sequence[Path],
    mapping: Mapping[str, str],
    sink: EventSink,
    *,
    speedup: float | None = None,
    timezone: tzinfo = UTC,
) -> ReplayReport:
    """read_drives and send_drives in one call."""
    return send_drives(read_drives(paths, mapping, timezone=timezone), sink, speedup=speedup)


def send_drives(
    drives: Drives,
    sink: EventSink,
    *,
    speedup: float | None = None,
    on_progress: Callable[[int, int], None] = lambda sent, rows: None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> ReplayReport:
    """Sends every row, merged by time; returns when the sink has flushed them.

    speedup: recorded seconds per second, None for all at once. on_progress is told rows sent and rows in all.
    Guarantees: each row is one gps_data record, however bad it is, and at most one of each other kind; the same row of a file
    has the same ids in every replay; a device's records are in the order of their times.
    Raises BadInput for a speed-up that is none, and what the sink raises.
    """
    if speedup is not None and not 0 < speedup < float("inf"):
        raise BadInput(f"a speed-up of {speedup:g}", allowed="more than 0, or max")
    began, rows = clock(), drives.rows
    sent = _send(rows, sink, speedup, on_progress, sleep, clock)
    times = pc.min_max(rows[value_of(GPS.kind, "timestamp")]).as_py()
    return ReplayReport(
        files=len(drives.files),
        rows=rows.num_rows,
        devices=pc.count_distinct(rows[value_of(GPS.kind, "deviceId")]).as_py(),
        sent=sent,
        derived={name: rows.num_rows - rows[derived(name)].null_count for name in DERIVABLE},
        first=_utc(times["min"]),
        last=_utc(times["max"]),
        problems=tuple(find_problems(rows, events_of(rows), drives.files)),
        elapsed_s=clock() - began,
    )


def _send(
    rows: pa.Table,
    sink: EventSink,
    speedup: float | None,
    on_progress: Callable[[int, int], None],
    sleep: Callable[[float], None],
    clock: Callable[[], float],
) -> dict[str, int]:
    recorder, events = Recorder(), events_of(rows)
    sent = dict.fromkeys((event.topic for event in events), 0)
    for start, stop in _chunks(rows, speedup, sleep, clock):
        for event in events:
            records = recorder.records(rows.slice(start, stop - start), event)
            sink.send(event, records.keys, records.values)
            sent[event.topic] += len(records.values)
        on_progress(stop, rows.num_rows)
    sink.flush()
    return sent


def _chunks(
    rows: pa.Table, speedup: float | None, sleep: Callable[[float], None], clock: Callable[[], float]
) -> Iterator[tuple[int, int]]:
    """Slices of the rows, each yielded when its time has come: what is due by then goes together."""
    order_ms = rows[ORDER].to_numpy()
    due_s = np.zeros(len(order_ms)) if speedup is None else (order_ms - order_ms[:1]) / (1000 * speedup)
    began, start = clock(), 0
    while start < len(due_s):
        sleep(max(0.0, began + due_s[start] - clock()))
        due = int(np.searchsorted(due_s, max(clock() - began, due_s[start]), side="right"))
        stop = min(due, start + ROWS_AT_ONCE)
        yield start, stop
        start = stop


def _utc(time: datetime | None) -> datetime | None:
    return time.replace(tzinfo=UTC) if time else None
