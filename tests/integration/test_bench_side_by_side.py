"""The side-by-side benchmark's pure parts: what is said of a system follows from the samples alone."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import duckdb
import pytest
from benchmarks.__main__ import order
from benchmarks.bars import Figures, fresh_rows, judge, pair_ratios, report, rows
from benchmarks.freshness import waits
from benchmarks.load import stamped
from benchmarks.outputs import Output
from benchmarks.publish import DOCS, KEPT, PAGE, PICTURE, documents
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


def run(system: str, events_per_s: float, **more: object) -> Figures:
    spent = {
        "cpu_s_per_million": 3.0,
        "active_cpu_s_per_million": 2.0,
        "peak_mb": 500.0,
        "first_record_s": 1.0,
        "first_commit_s": 2.0,
    }
    return {"system": system, "note": "exactly once", "events_per_s": events_per_s} | spent | more


def compared(*runs: Figures) -> Figures:
    machine = {"cpu": "a CPU", "cores": 2, "memory_gb": 16, "system": "Linux 6"}
    return {
        "date": "2026-01-05",
        "commit": "abc",
        "python": "3.11.7",
        "machine": machine,
        "rows": 1000,
        "vehicles": 10,
        "runs": list(runs),
    }


PAIRS = [run("raw-1", 1000.0, pair=0), run("native", 300.0, pair=0), run("raw-1", 1000.0, pair=1), run("native", 500.0, pair=1)]


def test_native_is_compared_with_the_raw_consume_of_its_own_pair() -> None:
    assert pair_ratios(compared(*PAIRS, run("raw-1", 1.0, pair=2))) == [0.3, 0.5]
    assert pair_ratios(compared(*PAIRS, run("native", 900.0, pair=2), run("raw-1", 1000.0, pair=2))) == [0.3, 0.5, 0.9]


@pytest.mark.parametrize(
    ("bar", "more", "said"),
    [
        ("native / Flink", run("flink", 400.0 / 3), "met"),
        ("native / Flink", run("flink", 134.0), "not met"),
        ("native / Kafka Connect", run("connect", 66.0), "met"),
        ("native / Kafka Connect", {"system": "connect", "failed": "999 rows of 1,000"}, "not measured"),
        ("native / raw consume, median of pairs", run("raw-2", 1.0), "met"),
        ("native, CPU s per million events", run("raw-2", 1.0), "met"),
        ("native, peak MB", run("native", 400.0, peak_mb=1001.0), "not met"),
        ("simulator to Kafka, events/s", run("simulator-to-kafka", 399_999.0), "not met"),
        ("simulator to Kafka / raw consume, events/s", run("simulator-to-kafka", 340.0), "met"),
        ("simulator to Kafka / raw consume, events/s", run("simulator-to-kafka", 339.0), "not met"),
        ("simulator in memory / raw consume, events/s", run("raw-2", 1.0), "not measured"),
        ("native / raw consume, CPU s per million", run("raw-2", 1.0), "met"),
    ],
)
def test_a_bar_is_met_or_not_met_or_not_measured(bar: str, more: Figures, said: str) -> None:
    assert {verdict.name: verdict.said for verdict in judge(compared(*PAIRS, more))}[bar] == said


def test_freshness_has_a_bar_of_its_own() -> None:
    fresh = {"system": "native", "p50_s": 0.2, "p95_s": 0.4, "p99_s": 0.61, "max_s": 0.7, "events": 300_000, "commits": 90}
    figures = compared(*PAIRS) | {"freshness": [fresh, {"system": "flink", "failed": "it never read"}]}

    assert {verdict.said for verdict in judge(figures) if "freshness" in verdict.name} == {"not met"}
    assert [(line[0], line[3], line[-1]) for line in fresh_rows(figures)] == [
        ("fleetlake native", "0.61", ""), ("Flink's Iceberg sink", "", "failed: it never read"),
    ]  # fmt: skip


def test_one_failed_run_leaves_a_system_without_figures() -> None:
    figures = compared(*PAIRS, {"system": "native", "failed": "999 rows of 1,000", "pair": 2})

    assert [line[-1] for line in rows(figures)] == ["exactly once", "failed: 999 rows of 1,000"]
    assert "failed: 999 rows of 1,000" in report(figures)
    assert {verdict.said for verdict in judge(figures) if verdict.name.startswith("native")} == {"not measured"}


def test_raw_and_native_take_turns() -> None:
    assert order(["raw-1", "native", "flink"], 2) == [("raw-1", 0), ("native", 0), ("raw-1", 1), ("native", 1), ("flink", None)]


def test_the_page_and_the_picture_say_what_the_figures_say() -> None:
    growth = [{"what": "with expiry", "p50_ms": {"100": 21.5, "1000": 22.0}}]
    figures = compared(*PAIRS, {"system": "connect", "failed": "a <b> | c"}) | {"growth": growth}
    made = documents(json.dumps(figures))

    assert made[KEPT] == json.dumps(figures)
    page, picture = made[PAGE].splitlines(), ElementTree.fromstring(made[PICTURE])  # noqa: S314  # our own
    assert "| fleetlake native (2 runs) | 400 | 3.00 | 2.00 | 500 | 1.00 | 2.00 | exactly once |" in page
    assert "| native / raw consume, median of pairs | 0.400 | at least 0.4, aim 0.5 | met |" in page
    assert "| with expiry | 21.5 | 22.0 |" in page
    assert [line for line in page if "a <b> \\| c" in line]
    said = [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert [said.count(word) for word in ("1,000", "400", "failed", "fleetlake native")] == [1, 1, 2, 1]


def test_what_is_in_docs_is_made_of_the_figures_beside_it() -> None:
    there = {name: (DOCS / name).read_text() for name in (KEPT, PAGE, PICTURE) if (DOCS / name).exists()}

    assert there == (documents(there[KEPT]) if KEPT in there else {})


def test_freshness_is_from_an_events_stamp_to_the_commit_that_added_it(tmp_path: Path) -> None:
    files = {str(tmp_path / f"{at_ms}.parquet"): at_ms for at_ms in (9_000, 12_000, 13_000)}
    for file, at_ms in files.items():  # each with two events: 0.5 s and 1 s before the commit
        stamp = f"make_timestamptz(1000 * ({at_ms} - 500 * n))"
        rows = f"SELECT '{at_ms}' || n AS id, {stamp} AS timestamp FROM range(1, 3) t(n)"
        duckdb.sql(f"COPY ({rows}) TO '{file}' (FORMAT parquet)")
    output = Output(tmp_path / "catalog.db", "lake", "run.vehicle")

    found = waits(files, output, 10_000, 4)

    assert found == {"events": 4, "commits": 2, "p50_s": 0.75, "p95_s": 1.0, "p99_s": 1.0, "max_s": 1.0}
    assert waits(files, output, 10_000, 5) == {"failed": "4 rows and 4 ids of 5"}
