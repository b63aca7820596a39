"""The native engine: read, decode, write and commit as three threads, so that each waits only when the next one is full.

A fourth looks now and then whether the topics are still what they were taken for (watch.py).
"""

from __future__ import annotations

import gc
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pyarrow as pa

from fleetlake.broker.identity import TopicWatch
from fleetlake.broker.log_ends import find_log_ends
from fleetlake.contracts.events import Event
from fleetlake.contracts.tables import bronze_of
from fleetlake.foundation.steps import At, Step, nowhere
from fleetlake.ingest.arrivals import Chunk
from fleetlake.ingest.backlog import Backlog, Held
from fleetlake.ingest.cuts import cut_by_days
from fleetlake.ingest.decode import Decoder
from fleetlake.ingest.fingerprints import Fingerprints
from fleetlake.ingest.flush import Buffered, FlushPolicy, PassedOffsets, should_flush
from fleetlake.ingest.history import prints_on
from fleetlake.ingest.offsets import KafkaTopicState, Offsets
from fleetlake.ingest.reader import FETCH_BYTES, Reader
from fleetlake.ingest.reading import TopicsReading
from fleetlake.ingest.table_writer import TableWriter
from fleetlake.ingest.watch import LogWatch
from fleetlake.lake.catalog import Lake
from fleetlake.lake.memory_database import small_database

LOG = logging.getLogger(__name__)  # its warnings reach stderr, a line each
POLL_S = 0.05
REST_AFTER_S = 0.5  # of waiting for the decoding thread; more often, what the client reads ahead would be fetched twice
CHUNK_ROWS, CHUNK_BYTES = 150_000, 16 * 1024 * 1024  # decoded at a time: a statement has a price of its own
SMALL_PIECE_BYTES = 4 * 1024 * 1024
DECODING_THREADS = 1  # of DuckDB, which has a core then and leaves one to the others
QUEUED_BYTES = CHUNK_BYTES  # read ahead while a chunk is decoded
HELD_FLUSHES = 1.125  # bytes read and not yet committed, in bytes of a commit: one is written while the next one is read
COMMITS_A_FULL_COLLECTION = 100
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """job: names the consumer group and the folders of data files. watch_every_s: how often the topics' logs are looked at.

    fetch_bytes: of an answer of a broker, compressed as it is.
    """

    job: str = "fleetlake"
    flush: FlushPolicy = field(default_factory=FlushPolicy)
    accept_gaps: bool = False
    watch_every_s: float = 10.0
    fetch_bytes: int = FETCH_BYTES


@dataclass(slots=True)
class TopicReport:
    """What was committed for a topic, in records."""

    landed: int = 0
    rejected: int = 0
    commits: int = 0


@dataclass(frozen=True, slots=True)
class _Cut:
    """The end of a commit: the offsets each topic has been read to.

    prints: the last record of each partition. read_bytes: of the records before it. passed: topics whose offsets are committed
    without rows too.
    """

    positions: Mapping[str, Offsets]
    prints: Mapping[str, Fingerprints]
    read_bytes: int
    passed: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Flush:
    """Decoded rows of a commit, by topic."""

    rows: Mapping[str, list[pa.Table]]
    cut: _Cut
    ingested_at_us: int


class NativeIngest:
    """Brings the records of topics into their bronze tables, each exactly once.

    sources: each event's topic as the broker shows it. client_config: how to reach it. wait: back-off before attempt n.
    at: called after each step of the protocol, by its thread; for tests.
    Records already committed by an earlier run are not read again.
    """

    def __init__(
        self,
        lake: Lake,
        sources: Mapping[Event, KafkaTopicState],
        client_config: Mapping[str, str | int | float | bool],
        settings: IngestSettings,
        *,
        wait: Callable[[int], None],
        on_commit: Callable[[str, TopicReport], None] = lambda topic, report: None,
        at: At = nowhere,
    ) -> None:
        self._sources, self._client_config, self._settings = sources, client_config, settings
        self._on_commit, self._at = on_commit, at
        self._stop = threading.Event()
        self._failures: list[BaseException] = []
        self._cuts = self._done = 0  # commits asked for, by the reading thread; finished, by the writing one
        self._ingested_at_us = 0
        self._topics = TopicWatch(client_config, {s.topic: s.topic_id for s in sources.values()}, wait=wait)
        self._chunks: Backlog[Chunk | _Cut | None] = Backlog(QUEUED_BYTES, _bytes)
        self._buffered_bytes = 0  # read since the last cut
        self._held = Held(int(HELD_FLUSHES * settings.flush.bytes))
        self._flushes: queue.Queue[_Flush | None] = queue.Queue(1)
        lake.ensure(bronze_of(event) for event in sources)
        self._writers = {
            source.topic: TableWriter(lake, bronze_of(event).name, job=settings.job, wait=wait, at=at)
            for event, source in sources.items()
        }
        self.reports = {source.topic: TopicReport() for source in sources.values()}

    def stop(self) -> None:
        """Asks `run` to commit what has been read and return. May be called from a signal handler."""
        self._stop.set()

    def run(self, *, once: bool) -> Mapping[str, TopicReport]:
        """Ingests until `stop`, or with `once` until all that could be read of the topics at the start is committed: what lies
        behind a transaction that is open then is left for a later run.

        Raises what stopped it: DataLoss, Fenced, Retryable; what was committed by then stays, nothing is half done.
        """
        find = prints_on(self._client_config)
        start = {
            source.topic: self._writers[source.topic].take_over(source, accept_gaps=self._settings.accept_gaps, find=find)
            for source in self._sources.values()
        }
        self._ingested_at_us = max(writer.marker.ingested_at_us for writer in self._writers.values())
        reader = Reader(self._client_config, group=self._settings.job, start=start, fetch_bytes=self._settings.fetch_bytes)
        prints = {topic: writer.marker.prints for topic, writer in self._writers.items()}
        reading, ended = TopicsReading(reader, start, prints, find), threading.Event()
        watch = LogWatch(reading, partial(find_log_ends, self._client_config, list(start)), every_s=self._settings.watch_every_s)
        watching = threading.Thread(target=self._stage, args=(lambda: watch.run(ended), None, None), name="watch")
        decoding = threading.Thread(target=self._stage, args=(self._decode, self._chunks, self._flushes), name="decode")
        writing = threading.Thread(target=self._stage, args=(lambda: self._write(reader), self._flushes, None), name="write")
        try:
            with _quiet_garbage_collector():
                for thread in (decoding, writing, watching):
                    thread.start()
                self._stage(lambda: self._read(reading, self._ends() if once else None), None, self._chunks)
                decoding.join()
                writing.join()
        finally:
            ended.set()
            reader.close()
        watching.join()
        if self._failures:
            raise self._failures[0]
        return self.reports

    def _ends(self) -> dict[tuple[str, int], int]:
        """The end of what could be read of each partition when the ingest began; says what lies behind open transactions."""
        for source in self._sources.values():
            if left := source.unreadable:
                LOG.warning(
                    "topic %s: %s offsets are behind a transaction that is still open; left for a later run", source.topic, left
                )
        return {(s.topic, p): s.readable_end(p) for s in self._sources.values() for p in s.watermarks}

    def _stage(self, body: Callable[[], None], inbox: queue.Queue[Any] | None, outbox: queue.Queue[Any] | None) -> None:
        """Runs one of the three threads. If it fails, all stop: nothing more is read, what is still queued is thrown away."""
        try:
            body()
        except BaseException as failure:
            self._failures.append(failure)
            self._stop.set()
            while inbox and inbox.get() is not None:
                pass
        if outbox:
            outbox.put(None)

    def _read(self, reading: TopicsReading, ends: dict[tuple[str, int], int] | None) -> None:
        try:
            self._read_on(reading, ends)
        finally:  # also after DataLoss: what was read by then may be nowhere else any more
            self._cut(reading, self._writers)

    def _read_on(self, reading: TopicsReading, ends: dict[tuple[str, int], int] | None) -> None:
        passed = PassedOffsets(self._settings.flush)
        buffered_rows = 0
        since = time.monotonic()
        while not self._stop.is_set() and (ends is None or _short_of(ends, reading.positions())):
            if self._held.is_full:
                if buffered_rows:
                    self._cut(reading, ())
                    passed.note_cut(())
                    buffered_rows = 0
                reading.rest()
                self._held.wait(POLL_S)
                continue
            batch = reading.poll(POLL_S, stopped=self._stop.is_set)
            for chunk in batch.chunks:
                if not buffered_rows:
                    since = time.monotonic()
                buffered_rows += chunk.rows.num_rows
                self._buffered_bytes += chunk.rows.nbytes
                self._held.add(chunk.rows.nbytes)
                passed.note_rows(chunk.topic)
                self._hand_on(chunk, reading)
            for topic, _ in batch.ends:  # past control and aborted records, which are never delivered
                passed.note(topic, time.monotonic())
            if batch.chunks:
                self._at(Step.BATCH_READ)
            if batch.failure:
                raise batch.failure
            behind, age_s, due = batch.is_full, time.monotonic() - since, passed.due(time.monotonic())
            buffered = Buffered(buffered_rows, self._buffered_bytes, age_s, behind, self._cuts > self._done)
            if due or should_flush(buffered, self._settings.flush):
                self._cut(reading, due)
                passed.note_cut(due)
                buffered_rows = 0

    def _hand_on(self, chunk: Chunk, reading: TopicsReading) -> None:
        try:
            self._chunks.put(chunk, timeout=REST_AFTER_S)
        except queue.Full:
            reading.rest()
            self._chunks.put(chunk)

    def _cut(self, reading: TopicsReading, passed: Iterable[str]) -> None:
        self._cuts += 1
        self._chunks.put(_Cut(reading.positions(), reading.prints(), self._buffered_bytes, frozenset(passed)))
        self._buffered_bytes = 0

    def _decode(self) -> None:
        connection = small_database({"threads": DECODING_THREADS, "preserve_insertion_order": False})
        decoders = {source.topic: Decoder(event, connection) for event, source in self._sources.items()}
        raw: dict[str, list[pa.Table]] = {topic: [] for topic in decoders}
        rows: dict[str, list[pa.Table]] = {topic: [] for topic in decoders}

        def decode(topic: str) -> None:
            if raw[topic]:
                rows[topic].append(decoders[topic].decode(_together(raw[topic]), self._now()))
                raw[topic] = []

        while (item := self._chunks.get()) is not None:
            if isinstance(item, Chunk):
                raw[item.topic].append(item.rows)
                if _is_chunk(raw[item.topic]):
                    decode(item.topic)
                continue
            for topic in raw:
                decode(topic)
            self._at(Step.DECODED)
            self._flushes.put(_Flush({topic: done for topic, done in rows.items() if done}, item, self._ingested_at_us))
            rows = {topic: [] for topic in rows}

    def _now(self) -> datetime:
        """The time, but always after the one given last, by this run or an earlier one: the order of arrival."""
        self._ingested_at_us = max(self._ingested_at_us + 1, time.time_ns() // 1000)
        return EPOCH + timedelta(microseconds=self._ingested_at_us)

    def _write(self, reader: Reader) -> None:
        commits = 0
        while self._write_next(reader):
            commits += 1
            _collect(commits)

    def _write_next(self, reader: Reader) -> bool:
        """Commits the next flush, and lets go of its rows; False after the last."""
        flush = self._flushes.get()
        if flush is None:
            return False
        positions = flush.cut.positions
        moved = {topic for topic in flush.cut.passed - flush.rows.keys() if positions[topic] != self._writers[topic].marker.next}
        if flush.rows or moved:
            self._topics.require_same(stopped=self._stop.is_set)
        for topic, tables in flush.rows.items():
            writer, report = self._writers[topic], self.reports[topic]
            for rows, following in cut_by_days(pa.concat_tables(tables), writer.marker.next, positions[topic]):
                writer.append([rows], following, flush.ingested_at_us, flush.cut.prints[topic])
                report.landed += rows.num_rows
                report.rejected += rows.num_rows - rows["reject_reason"].null_count
                report.commits += 1
                self._on_commit(topic, report)
        for topic in sorted(moved):
            self._writers[topic].pass_offsets(positions[topic])
        if flush.rows or moved:
            reader.note_committed({topic: positions[topic] for topic in (*flush.rows, *moved)})
            self._at(Step.GROUP_TOLD)
        self._done += 1
        self._held.release(flush.cut.read_bytes)
        return True


def _bytes(item: Chunk | _Cut | None) -> int:
    return max(1, item.rows.nbytes) if isinstance(item, Chunk) else 1


def _is_chunk(raw: list[pa.Table]) -> bool:
    return bool(sum(rows.num_rows for rows in raw) >= CHUNK_ROWS or sum(rows.nbytes for rows in raw) >= CHUNK_BYTES)


def _together(raw: Sequence[pa.Table]) -> pa.Table:
    """Small pieces as one, since each has a price of its own to decode; large ones are not copied."""
    joined = pa.concat_tables(raw)
    return joined.combine_chunks() if joined.nbytes < SMALL_PIECE_BYTES * len(raw) else joined


def _short_of(ends: Mapping[tuple[str, int], int], positions: Mapping[str, Offsets]) -> bool:
    return any(positions[topic].get(partition, 0) < end for (topic, partition), end in ends.items())


@contextmanager
def _quiet_garbage_collector() -> Iterator[None]:
    """What is made for a batch, up to an object per message, is never part of a cycle: looking for cycles only costs.

    What commits leave behind is collected after them, by `_collect`.
    """
    enabled = gc.isenabled()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
        gc.unfreeze()


def _collect(commits: int) -> None:
    """The catalog's and PyIceberg's cycles: the young ones after each commit, all of them now and then."""
    gc.collect(2 if commits % COMMITS_A_FULL_COLLECTION == 0 else 1)
