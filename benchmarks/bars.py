"""From figures to a table and to the bars, met or not. A system of which any run failed has no figures."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Figures = dict[str, Any]  # what `python -m benchmarks --json` writes
NATIVE, RAW = "native", "raw-1"
HEAD = ("system", "events/s", "CPU s per M", "of it reading", "peak MB", "first record s", "first commit s", "what it promises")
FRESH_HEAD = ("system", "p50 s", "p95 s", "p99 s", "max s", "events", "commits", "CPU %", "idle CPU %", "beside it")
TITLES = {
    "raw-1": "raw consume, one process", "raw-2": "raw consume, two processes", "native": "fleetlake native",
    "bare-spark-cold": "bare Spark query, cold", "bare-spark-warm": "bare Spark query, warm", "bare-spark": "bare Spark query",
    "spark-cold": "fleetlake on Spark, cold", "spark-warm": "fleetlake on Spark, warm", "spark": "fleetlake on Spark",
    "connect": "Kafka Connect's Iceberg sink", "flink": "Flink's Iceberg sink",
    "simulator-to-kafka": "simulator to Kafka", "simulator-in-memory": "simulator in memory, five kinds",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bar:
    """What has to be reached. lower: the less the better. aim: what would be better still."""

    name: str
    limit: float
    value: Callable[[Figures], float | None]
    aim: float | None = None
    lower: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """value: None where a system failed or was not run."""

    name: str
    value: float | None
    bar: str
    said: str


def runs_of(figures: Figures, system: str) -> list[Figures]:
    """All runs of the system; none if one of them failed."""
    runs = [run for run in figures["runs"] if run["system"] == system]
    return [] if any("failed" in run for run in runs) else runs


def median(figures: Figures, system: str, name: str) -> float | None:
    values = [run[name] for run in runs_of(figures, system)]
    return statistics.median(values) if values else None


def over(system: str, one: str = NATIVE, name: str = "events_per_s") -> Callable[[Figures], float | None]:
    """What `one` has of `name`, by what `system` has, medians of both: by default how many times as fast as it native is."""

    def value(figures: Figures) -> float | None:
        above, below = median(figures, one, name), median(figures, system, name)
        return above / below if above and below else None

    return value


def pair_ratios(figures: Figures) -> list[float]:
    """Native's rate over that of the raw consume just before it: each pair was run in the same minute of the machine."""
    raw, native = (
        {run["pair"]: run["events_per_s"] for run in runs_of(figures, system) if "pair" in run} for system in (RAW, NATIVE)
    )
    return [native[pair] / raw[pair] for pair in sorted(raw.keys() & native.keys())]


def _over_raw(figures: Figures) -> float | None:
    ratios = pair_ratios(figures)
    return statistics.median(ratios) if ratios else None


def _native(name: str) -> Callable[[Figures], float | None]:
    return lambda figures: median(figures, NATIVE, name)


def _native_peak(figures: Figures) -> float | None:
    return max((run["peak_mb"] for run in runs_of(figures, NATIVE)), default=None)


def _fresh(figures: Figures) -> float | None:
    fresh = [run for run in figures.get("freshness", ()) if run["system"] == NATIVE]
    return fresh[0].get("p99_s") if fresh else None


def _rate(system: str) -> Callable[[Figures], float | None]:
    return lambda figures: median(figures, system, "events_per_s")


BARS = (
    Bar("native / bare Spark, warm", 3, over("bare-spark-warm"), 4),
    Bar("native / fleetlake on Spark, warm", 3, over("spark-warm"), 4),
    Bar("native / Flink", 3, over("flink"), 4),
    Bar("native / Kafka Connect", 6, over("connect"), 8),
    Bar("native / raw consume, median of pairs", 0.4, _over_raw, 0.5),
    Bar("native, CPU s per million events", 3.5, _native("cpu_s_per_million"), lower=True),
    Bar("native, peak MB", 1000, _native_peak, lower=True),
    Bar("native, freshness p99 s at 5,000/s", 0.6, _fresh, lower=True),
    Bar("simulator to Kafka, events/s", 400_000, _rate("simulator-to-kafka")),
    Bar("simulator in memory, events/s", 2_000_000, _rate("simulator-in-memory")),
    # CPU and simulator again, by what raw consume did on the machine they were set on; of two days, the stricter one.
    Bar("native / raw consume, CPU s per million", 2.4, over(RAW, name="cpu_s_per_million"), lower=True),
    Bar("simulator to Kafka / raw consume, events/s", 0.34, over(RAW, "simulator-to-kafka")),
    Bar("simulator in memory / raw consume, events/s", 1.7, over(RAW, "simulator-in-memory")),
)


def judge(figures: Figures) -> list[Verdict]:
    return [_verdict(bar, bar.value(figures)) for bar in BARS]


def _verdict(bar: Bar, value: float | None) -> Verdict:
    aim = f", aim {limit(bar.aim)}" if bar.aim else ""
    wanted = f"{'at most' if bar.lower else 'at least'} {limit(bar.limit)}{aim}"
    if value is None:
        return Verdict(bar.name, None, wanted, "not measured")
    met = value <= bar.limit if bar.lower else value >= bar.limit
    return Verdict(bar.name, value, wanted, "met" if met else "not met")


def rows(figures: Figures) -> list[tuple[str, ...]]:
    """A row of cells for each system in the order of its first run, HEAD's columns; medians, but the peak of all runs."""
    return [_row(figures, system) for system in dict.fromkeys(run["system"] for run in figures["runs"])]


def _row(figures: Figures, system: str) -> tuple[str, ...]:
    every, runs = [run for run in figures["runs"] if run["system"] == system], runs_of(figures, system)
    title = TITLES.get(system, system) + (f" ({len(every)} runs)" if len(every) > 1 else "")
    if not runs:
        why = next(run["failed"] for run in every if "failed" in run)
        return (title, *[""] * 6, f"failed: {why}")
    names = ("events_per_s", "cpu_s_per_million", "active_cpu_s_per_million", "peak_mb", "first_record_s", "first_commit_s")
    cells = []
    for name in names:
        values = [run[name] for run in runs if name in run]
        value = max(values, default=None) if name == "peak_mb" else statistics.median(values) if values else None
        cells.append("" if value is None else number(value))
    return (title, *cells, runs[0].get("note") or "")


def fresh_rows(figures: Figures) -> list[tuple[str, ...]]:
    found = []
    for run in figures.get("freshness", ()):
        title = TITLES.get(run["system"], run["system"])
        if "failed" in run:
            found.append((title, *[""] * 8, f"failed: {run['failed']}"))
        else:
            waits = [f"{run[name]:.2f}" for name in ("p50_s", "p95_s", "p99_s", "max_s")]
            cpu = [f"{run[name]:.1f}" if name in run else "" for name in ("cpu_percent", "idle_cpu_percent")]
            found.append((title, *waits, f"{run['events']:,}", f"{run['commits']:,}", *cpu, run.get("beside", "")))
    return found


def verdict_rows(figures: Figures) -> list[tuple[str, ...]]:
    return [(v.name, "" if v.value is None else number(v.value), v.bar, v.said) for v in judge(figures)]


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def limit(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


def aligned(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """A table for a terminal: numbers to the right, the first and the last column to the left."""
    lines = [head, *body]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    last = len(head) - 1
    return "\n".join(
        "  ".join(cell.ljust(widths[i]) if i in (0, last) else cell.rjust(widths[i]) for i, cell in enumerate(line)).rstrip()
        for line in lines
    )


def report(figures: Figures) -> str:
    """What the run ends in: the table, the ratios and the bars."""
    machine = figures["machine"]
    parts = [
        f"{figures['date']}, {figures['rows']:,} vehicle events, {machine['cores']} cores ({machine['cpu']}), "
        f"{machine['memory_gb']} GB, Python {figures['python']}",
        aligned(HEAD, rows(figures)),
    ]
    if figures.get("freshness"):
        parts.append(aligned(FRESH_HEAD, fresh_rows(figures)))
    if ratios := pair_ratios(figures):
        parts.append("native / raw consume, each pair: " + ", ".join(f"{ratio:.2f}" for ratio in ratios))
    return "\n\n".join([*parts, aligned(("bar", "measured", "wanted", ""), verdict_rows(figures))])
