"""The side-by-side benchmark's pure parts: what is said of a system follows from the samples alone."""

from __future__ import annotations

from benchmarks.load import stamped
from benchmarks.rig import FIRST_BYTES, Sample, used


def test_active_time_begins_with_the_first_records_and_ends_with_the_last_commit() -> None:
    served = (0, 500, FIRST_BYTES + 500, 10 * FIRST_BYTES, 10 * FIRST_BYTES)
    samples = [Sample(10.0 + i, float(i), 100.0 * (i + 1), sent) for i, sent in enumerate(served)]

    found = used(samples, 9.5, 13.0)

    assert found.first_at == 12.0
    assert (found.cpu_s, found.active_cpu_s, found.peak_mb) == (3.0, 2.0, 400.0)


def test_a_later_phase_counts_from_its_own_start() -> None:
    served = (0, 5 * FIRST_BYTES, 5 * FIRST_BYTES, 9 * FIRST_BYTES)
    samples = [Sample(10.0 + i, float(i), 50.0, sent) for i, sent in enumerate(served)]

    found = used(samples, 11.5, 13.0)

    assert (found.first_at, found.cpu_s, found.active_cpu_s) == (13.0, 2.0, 1.0)


def test_an_event_is_stamped_anew_and_stays_as_long() -> None:
    event = b'{"id":"a","timestamp":"2026-01-05T06:05:00.000Z","speed":1}'

    assert stamped(event, b"2027-02-06T07:06:01.001Z") == b'{"id":"a","timestamp":"2027-02-06T07:06:01.001Z","speed":1}'
