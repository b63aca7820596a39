"""Where the reading of topics is after each poll, and how partitions that are added come in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from fleetlake.ingest.arrivals import Chunk
from fleetlake.ingest.decode import RAW_SCHEMA
from fleetlake.ingest.fingerprints import Fingerprint, Fingerprints
from fleetlake.ingest.offsets import Offsets
from fleetlake.ingest.reader import PolledBatch, Reader
from fleetlake.ingest.reading import TopicsReading

TOPIC = "gps_data"


class FakeReader:
    """Gives the batches it was made with, one after the other, and notes which partitions it was told to read as well."""

    def __init__(self, *batches: PolledBatch) -> None:
        self.batches, self.added = list(batches), list[tuple[str, dict[int, int]]]()

    def poll(self, timeout_s: float) -> PolledBatch:
        return self.batches.pop(0)

    def add(self, topic: str, offsets: Offsets) -> None:
        self.added.append((topic, dict(offsets)))


class Log:
    """A broker that has the records given; which partitions it was asked for."""

    def __init__(self, records: Fingerprints) -> None:
        self.records, self.asked = records, list[list[int]]()

    def __call__(self, topic: str, offsets: Offsets) -> Fingerprints:
        self.asked.append(sorted(offsets))
        return {partition: self.records[partition] for partition in offsets}


def print_at(offset: int) -> Fingerprint:
    return Fingerprint(offset, 1_000 + offset, 0xA, leader_epoch=3)


def chunk(read: Mapping[int, tuple[int, int]]) -> Chunk:
    return Chunk(TOPIC, RAW_SCHEMA.empty_table(), read, {partition: print_at(last) for partition, (_, last) in read.items()})


def reading(reader: FakeReader, log: Log | None = None) -> TopicsReading:
    prints = {TOPIC: {0: print_at(9)}}
    return TopicsReading(cast(Reader, reader), {TOPIC: {0: 10, 1: 0}}, prints, log or Log({}))


def poll(of: TopicsReading) -> PolledBatch:
    return of.poll(0.1, stopped=lambda: False)


def test_positions_and_prints_follow_what_was_read_and_stay_as_they_were_given() -> None:
    of = reading(
        FakeReader(
            PolledBatch([chunk({0: (10, 14)})], {}, is_full=True), PolledBatch([chunk({0: (15, 15), 1: (0, 2)})], {}, is_full=False)
        )
    )
    poll(of)
    first, prints = of.positions(), of.prints()
    poll(of)
    assert first == {TOPIC: {0: 15, 1: 0}}
    assert prints == {TOPIC: {0: print_at(14)}}
    assert of.positions() == {TOPIC: {0: 16, 1: 3}}
    assert of.prints() == {TOPIC: {0: print_at(15), 1: print_at(2)}}


def test_the_end_of_a_partition_moves_it_past_offsets_that_have_no_record_and_never_back() -> None:
    of = reading(
        FakeReader(
            PolledBatch([chunk({0: (10, 14)})], {(TOPIC, 0): 17, (TOPIC, 1): 0}, is_full=False),
            PolledBatch([], {(TOPIC, 0): 12}, is_full=False),
        )
    )
    assert poll(of).ends == {(TOPIC, 0): 17}
    assert poll(of).ends == {}
    assert of.positions() == {TOPIC: {0: 17, 1: 0}}


def test_it_has_caught_up_when_a_poll_was_not_full() -> None:
    of = reading(
        FakeReader(PolledBatch([], {}, is_full=True), PolledBatch([], {}, is_full=False), PolledBatch([], {}, is_full=False))
    )
    assert [(poll(of), of.caught_up())[1] for _ in range(3)] == [0, 1, 2]


def test_new_partitions_are_read_from_their_beginning_and_once_only() -> None:
    reader = FakeReader(*[PolledBatch([], {}, is_full=False)] * 2)
    of = reading(reader)
    of.add(TOPIC, [1, 2])
    of.add(TOPIC, [2])
    assert (reader.added, of.positions()) == ([], {TOPIC: {0: 10, 1: 0}})  # another thread adds; the reading one begins
    poll(of)
    poll(of)
    assert reader.added == [(TOPIC, {2: 0})]
    assert of.positions() == {TOPIC: {0: 10, 1: 0, 2: 0}}


def test_after_a_lost_connection_the_log_is_compared_before_more_of_it_is_used() -> None:
    log = Log({0: print_at(9)})
    batches = [PolledBatch([chunk({0: (10, 11)})], {}, is_full=False, interrupted=lost) for lost in (False, True)]
    for batch, asked in zip(batches, ([], [[0]]), strict=True):
        of = reading(FakeReader(batch), log)
        poll(of)
        assert log.asked == asked
