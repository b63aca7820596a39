"""The delivery protocol's decisions."""

import json
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetlake.foundation.errors import DataLoss
from fleetlake.ingest.fingerprints import Fingerprint
from fleetlake.ingest.offsets import CommitOutcome, Gap, IngestMarker, KafkaTopicState, advance, resume, settle

SOURCE = KafkaTopicState("vehicle_data", "cluster", "topic-1", {0: (0, 100), 1: (0, 50)})
T0_MS = 1_767_600_000_000
STORED = IngestMarker("job", 3, "c3", "cluster", "topic-1", {0: 0, 1: 0}, {0: 60, 1: 50}, 1_700_000_000_000_000)


def test_a_new_table_is_read_from_the_lowest_offsets() -> None:
    source = replace(SOURCE, watermarks={0: (7, 100), 1: (0, 0)})
    marker = resume(None, source, job="job", commit_id="c1")
    assert (marker.epoch, marker.start, marker.next, marker.gaps) == (1, {0: 7, 1: 0}, {0: 7, 1: 0}, ())


def test_a_table_is_resumed_where_its_last_commit_ended() -> None:
    marker = resume(STORED, SOURCE, job="other", commit_id="c4")
    assert (marker.epoch, marker.job, marker.next, marker.ingested_at_us) == (4, "other", {0: 60, 1: 50}, STORED.ingested_at_us)


def test_a_new_partition_is_read_from_its_beginning() -> None:
    source = replace(SOURCE, watermarks={**SOURCE.watermarks, 2: (0, 9)})
    assert resume(STORED, source, job="job", commit_id="c4").next == {0: 60, 1: 50, 2: 0}


def test_what_retention_took_of_a_new_partition_is_a_loss() -> None:
    source = replace(SOURCE, watermarks={**SOURCE.watermarks, 2: (3, 9)})
    with pytest.raises(DataLoss, match=r"offsets 0 to 2 were deleted by retention.*partition 2.*--accept-gaps"):
        resume(STORED, source, job="job", commit_id="c4")
    marker = resume(STORED, source, job="job", commit_id="c4", accept_gaps=True)
    assert (marker.next[2], marker.gaps) == (3, (Gap(2, 0, 3),))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cluster_id": "elsewhere"}, "filled from Kafka cluster cluster, this is elsewhere"),
        ({"topic_id": "topic-2"}, "deleted and made again"),
        ({"watermarks": {0: (61, 100), 1: (0, 50)}}, "offsets 60 to 60 were deleted by retention"),
        ({"watermarks": {0: (0, 59), 1: (0, 50)}}, "the topic ends at 58"),
        (
            {"watermarks": {0: (0, 100)}},
            "went back to before partition 1 was added.*topic vehicle_data, partition 1;",
        ),
        ({"watermarks": {}}, "before partitions 0, 1 were added"),
    ],
)
def test_a_topic_that_does_not_go_on_from_the_table_is_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(DataLoss, match=words):
        resume(STORED, replace(SOURCE, **change), job="job", commit_id="c4")  # type: ignore[arg-type]  # a table of cases


def test_a_partition_that_never_had_records_may_be_absent() -> None:
    stored = replace(STORED, next={0: 60, 1: 50, 2: 0})
    assert resume(stored, SOURCE, job="job", commit_id="c4").next == stored.next


def test_accepted_gaps_do_not_excuse_partitions_that_are_gone() -> None:
    with pytest.raises(DataLoss, match="--accept-gaps can't accept"):
        resume(STORED, replace(SOURCE, watermarks={0: (0, 100)}), job="job", commit_id="c4", accept_gaps=True)


def test_what_is_behind_an_open_transaction_can_not_be_read_yet() -> None:
    open_one = replace(SOURCE, stable={0: 70})
    assert [open_one.readable_end(partition) for partition in (0, 1)] == [70, 50]
    assert (open_one.unreadable, SOURCE.unreadable) == (30, 0)
    assert replace(SOURCE, stable={0: 120}).readable_end(0) == 100, "asked later than the watermarks"


def test_an_accepted_gap_is_written_down() -> None:
    source = replace(SOURCE, watermarks={0: (70, 100), 1: (0, 50)})
    marker = resume(STORED, source, job="job", commit_id="c4", accept_gaps=True)
    assert marker.next == {0: 70, 1: 50}
    assert marker.gaps == (Gap(0, 60, 70),)


@pytest.mark.parametrize(
    ("stored", "outcome"),
    [
        (replace(STORED, commit_id="ours", next={0: 80, 1: 50}), CommitOutcome.LANDED),
        (STORED, CommitOutcome.RETRY),
        (replace(STORED, epoch=4, commit_id="c4"), CommitOutcome.FENCED),
        (replace(STORED, commit_id="c4", next={0: 61, 1: 50}), CommitOutcome.FENCED),
    ],
)
def test_what_became_of_an_unconfirmed_commit(stored: IngestMarker, outcome: CommitOutcome) -> None:
    ours = replace(STORED, commit_id="ours", start=STORED.next, next={0: 80, 1: 50})
    assert settle(ours, stored) is outcome


OFFSETS = st.dictionaries(st.integers(0, 99), st.integers(0, 2**62), max_size=5)
GAPS = st.lists(st.builds(Gap, st.integers(0, 9), st.integers(0, 9), st.integers(10, 19)), max_size=2).map(tuple)


@given(st.builds(IngestMarker, st.text(), st.integers(1), st.text(), st.text(), st.text(), OFFSETS, OFFSETS, st.integers(0), GAPS))
def test_a_marker_survives_a_tables_properties(marker: IngestMarker) -> None:
    prints = {p: Fingerprint(n - 1, n // 3 - 7, 2**64 - 1 - n, p - 1) for p, n in marker.next.items() if n}
    marker = replace(marker, start=marker.next, prints=prints)
    assert IngestMarker.of(marker.properties()) == marker


def test_a_marker_of_an_earlier_version_is_read() -> None:
    written = (
        '{"job":"job","epoch":3,"commit_id":"c3","cluster_id":"cluster","topic_id":"topic-1","start":{"0":0,"1":0},'
        '"next":{"0":60,"1":50},"ingested_at_us":1700000000000000,"gaps":[],"engine":"native"}'
    )
    assert IngestMarker.of({"fleetlake.ingest": written}) == STORED


def test_a_summary_does_not_grow_with_the_number_of_partitions() -> None:
    marker = replace(STORED, start=dict.fromkeys(range(10_000), 5), next=dict.fromkeys(range(10_000), 9))
    summary = marker.summary()["fleetlake.ingest"]
    assert len(summary) < 500
    moved = json.loads(summary)
    assert (moved["moved_partitions"], moved["moves"][0]) == (10_000, [0, 5, 9])


def test_ten_thousand_partitions_fit_into_a_property_of_glue() -> None:
    draw = Random(1)
    following = {p: draw.randrange(10**9) for p in range(10_000)}
    prints = {p: Fingerprint(n - 1, T0_MS + draw.randrange(10**8), draw.randrange(2**64), 7) for p, n in following.items()}
    text = replace(STORED, next=following, prints=prints).properties()["fleetlake.ingest"]
    assert len(text) < 512_000 / 2


def test_a_table_without_a_marker_has_none() -> None:
    assert IngestMarker.of({"comment": "x"}) is None


def test_advance_skips_gaps_and_never_goes_back() -> None:
    assert advance({0: 5, 1: 0}, {0: (5, 9)}) == {0: 10, 1: 0}
    assert advance({0: 5}, {0: (7, 9), 3: (0, 0)}) == {0: 10, 3: 1}
    with pytest.raises(ValueError, match="partition 0: read 4 to 9, expected 5"):
        advance({0: 5}, {0: (4, 9)})
