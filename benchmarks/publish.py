"""`python -m benchmarks.publish FILE`: docs/benchmarks.md and its picture from the figures of a run, which are kept beside them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.bars import FRESH_HEAD, HEAD, Figures, fresh_rows, number, pair_ratios, rows, verdict_rows
from benchmarks.chart import draw

DOCS = Path(__file__).parents[1] / "docs"
KEPT, PAGE, PICTURE = "benchmarks.json", "benchmarks.md", "images/benchmarks.svg"
PER_SYSTEM = """
Each system is one process with all it starts, on the same machine as the broker and the simulator that filled the topic,
one system after the other. The topic has {rows:,} vehicle events of {vehicles:,} simulated vehicles, some 390 bytes of
JSON each.

- **Rows are read back.** A system's rate counts only if its table's files hold every event once: as many rows and as many
  distinct ids as the topic has. Otherwise its row says how it failed. Raw consume writes nothing; its records are
  counted.
- **events/s** is from the first record read to the last commit. Native, Spark, Connect and Flink are seen from outside:
  the first record by the bytes that the kernel says the broker has sent (more than 64 KiB, looked at ten times a second),
  the last commit by the time of the table's last snapshot with rows.
- **CPU s per M** is of the process and all it started, from its start to the last commit, per million events; *of it
  reading* is the part after the first record. The broker's own is not in it. **Peak MB** adds up each process's peak.
- **First record** and **first commit** are from the start of the process; in a *warm* row from the start of the second
  query.
- **Warm** is a second query in the same JVM, after the first has read the same topic.
- **Native / raw** is the median of pairs: one process of raw consume, then native, by turns.
- **Freshness** is from when an event is produced to the snapshot that holds it, of every event, at {fresh_rate:,}
  events/s; native runs with its default settings and maintenance beside it, the peers with a commit a second.
"""
OF_RAW = """
Seconds, and events a second, depend on the machine and on its hour. The bars were set on one on which raw consume read
1.18 M events/s at 1.3 CPU s per million (of 275 bytes), or, with these events, 1.37 M at 1.46. The last three rows are
the same bars in multiples of what raw consume did there, the stricter of the two, beside what it does here in the same
run: whoever doubts a row in seconds can tell from them whether the program or the machine is slow.
"""
SHAPE_HEAD = ("topics", "events", "events/s", "CPU s per M, reading", "peak MB")
SHAPES = """
The same command, from the first record read to the last commit, each on a broker of its own (`python -m benchmarks.shapes`).
Vehicle events alone, with a GPS fix to each, or all five kinds in the proportions in which the simulator sends them.
"""
CHECKSUMS = """
Native compares each batch of records with its checksum (`check.crcs`). {date} UTC, {count} pairs of reading {rows:,} vehicle events
with and without (`python -m benchmarks.checksums`): {median_with:.2f} and {median_without:.2f} CPU s per million events, the
medians; the median of the pairs' differences is {median_difference:.3f}.{conditions}
"""
NOT_COMPARABLE = """
- Only fleetlake checks the contract's rules and keeps rejected records with their reasons. The bare Spark query, Connect
  and Flink parse and write: they do less.
- Connect and Flink commit every 5 s and wait for the next commit at the end, as they do when deployed; that is in their
  rates.
- Flink uses Iceberg's v2 sink (`table.exec.iceberg.use-v2-sink`): the default sink fails here, on its own state (Kryo,
  "wrapped is null"); the default sink of Flink 2.0.1 as its Python package ships it was seen to work, and was not compared.
- Every system has the whole machine: two cores are shared with one broker. On more cores Spark, Flink and Connect spread
  out; native is one process with a few threads.
- Peaks of processes that share memory count it twice.
- Rates vary by 10 to 20 % from run to run; differences below that mean nothing. The ratios come from one run.
"""


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m benchmarks.publish", description=__doc__)
    arguments.add_argument("file", type=Path, help="what `python -m benchmarks --json FILE` wrote")
    text = arguments.parse_args().file.read_text()
    for name, content in documents(text).items():
        (DOCS / name).write_text(content)
        print(DOCS / name)


def documents(text: str) -> dict[str, str]:
    """What belongs into docs/, by file name: the figures as they are, the page, the picture."""
    figures = json.loads(text)
    return {KEPT: text, PAGE: page(figures), PICTURE: draw(figures)}


def page(figures: Figures) -> str:
    machine = figures["machine"]
    fresh_rate = figures.get("fresh_rate", 5000)
    parts = [
        "# Benchmarks",
        f"{figures['date']}, commit {figures['commit']}: {machine['cores']} cores ({machine['cpu']}), {machine['memory_gb']} GB, "
        f"{machine['system']}, Python {figures['python']}. "
        f"Made by `make bench` and `python -m benchmarks.publish`; all figures are in [{KEPT}]({KEPT}).",
        *([figures["note"]] if "note" in figures else []),
        f"![Events a second and CPU seconds per million events of each system]({PICTURE})",
        markdown(HEAD, rows(figures)),
    ]
    if ratios := pair_ratios(figures):
        parts.append("Native over raw consume, each pair: " + ", ".join(f"{ratio:.2f}" for ratio in ratios) + ".")
    parts += ["## Bars", markdown(("bar", "measured", "wanted", ""), verdict_rows(figures)), OF_RAW.strip()]
    if figures.get("freshness"):
        parts += [f"## Freshness at {fresh_rate:,} events/s", markdown(FRESH_HEAD, fresh_rows(figures))]
    if growth := figures.get("growth"):
        parts += ["## Commit time as commits add up", _growth(growth)]
    if shapes := figures.get("shapes"):
        parts += ["## Native on other topics", SHAPES.strip(), markdown(SHAPE_HEAD, map(_shape, shapes))]
    if checksums := figures.get("checksums"):
        parts += [
            "## What checksums cost",
            CHECKSUMS.strip().format(**{"conditions": "", **checksums}, count=len(checksums["pairs"])),
        ]
    measured = PER_SYSTEM.format(rows=figures["rows"], vehicles=figures["vehicles"], fresh_rate=fresh_rate).strip()
    versions = {run["version"]: None for run in figures["runs"] if run.get("version")}
    parts += ["## How it is measured", measured, "## What is not comparable", NOT_COMPARABLE.strip()]
    parts += ["## Versions", "\n".join(f"- {version}" for version in versions)]
    return "\n\n".join(parts) + "\n"


def _shape(run: Figures) -> tuple[str, ...]:
    names = ("events_per_s", "active_cpu_s_per_million", "peak_mb")
    return (
        run["what"],
        f"{run['rows']:,}",
        *((run["failed"], "", "") if "failed" in run else (number(run[name]) for name in names)),
    )


def _growth(growth: Iterable[Figures]) -> str:
    runs = list(growth)
    counts = sorted({int(count) for run in runs for count in run["p50_ms"]})
    body = [
        (run["what"], *(f"{run['p50_ms'][str(count)]:.1f}" if str(count) in run["p50_ms"] else "" for count in counts))
        for run in runs
    ]
    head = ("p50 of a commit, ms, after", *(f"{count:,} commits" for count in counts))
    return markdown(head, body)


def markdown(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in line] for line in body)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
