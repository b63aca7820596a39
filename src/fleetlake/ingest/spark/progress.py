"""What Spark says of its micro-batches, as counts, lag and metrics. Pure: dictionaries in, values out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fleetlake.ingest.native import TopicReport
from fleetlake.ingest.offsets import Offsets

OBSERVED = "fleetlake"  # the name of the counts each query observes: rows, rejected


@dataclass(slots=True)
class QueryReport(TopicReport):
    """A topic's counts, and where its query is.

    next: the offset to read next of each partition. lag: records of the topic behind that, as far as the broker had told by then.
    rows_per_s: of the last micro-batch with rows. batch: the last one that was counted.
    """

    next: dict[int, int] = field(default_factory=dict)
    lag: int = 0
    rows_per_s: float = 0.0
    batch: int = -1

    def add(self, progress: Mapping[str, Any], topic: str) -> bool:
        """Counts a micro-batch, once. progress: Spark's StreamingQueryProgress. False if it was counted before."""
        if progress["batchId"] <= self.batch:
            return False
        self.batch = progress["batchId"]
        (source,) = progress["sources"]
        observed = (progress.get("observedMetrics") or {}).get(OBSERVED) or {}
        if rows := observed.get("rows") or 0:
            self.landed += rows
            self.rejected += observed.get("rejected") or 0
            self.commits += 1
            self.rows_per_s = progress.get("processedRowsPerSecond") or 0.0
        self.next = _offsets(source.get("endOffset"), topic)
        latest = _offsets(source.get("latestOffset"), topic)
        self.lag = sum(max(0, offset - self.next.get(partition, 0)) for partition, offset in latest.items())
        return True


def _offsets(told: str | Mapping[str, Any] | None, topic: str) -> dict[int, int]:
    """Spark's `{topic: {partition: offset}}`, also as JSON text, as partition to offset."""
    tree = json.loads(told) if isinstance(told, str) else told or {}
    return {int(partition): int(offset) for partition, offset in (tree.get(topic) or {}).items()}


def metrics(reports: Mapping[str, QueryReport]) -> str:
    """The counts in the Prometheus text format, as node_exporter's textfile collector reads it."""
    return "".join(
        [
            *_metric("fleetlake_ingest_records_total", "counter", "Records committed by this run.", reports, "landed"),
            *_metric(
                "fleetlake_ingest_rejected_total", "counter", "Records of those that broke the contract.", reports, "rejected"
            ),
            *_metric("fleetlake_ingest_commits_total", "counter", "Micro-batches with records.", reports, "commits"),
            *_metric("fleetlake_ingest_lag_records", "gauge", "Records of the topic not read yet.", reports, "lag"),
            *_metric("fleetlake_ingest_records_per_second", "gauge", "Rate of the last micro-batch.", reports, "rows_per_s"),
        ]
    )


def _metric(name: str, kind: str, what: str, reports: Mapping[str, QueryReport], attribute: str) -> Iterable[str]:
    yield f"# HELP {name} {what}\n# TYPE {name} {kind}\n"
    for topic, report in sorted(reports.items()):
        yield f'{name}{{engine="spark",topic="{topic}"}} {getattr(report, attribute)}\n'


def group_offsets(reports: Mapping[str, QueryReport]) -> dict[str, Offsets]:
    """What a lag monitor is told: topic to partition to next offset, of the topics that have been read."""
    return {topic: report.next for topic, report in reports.items() if report.next}
