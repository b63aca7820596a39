"""Puts the ingest together, native or Spark, and shows how it goes. Shared by `fleetlake ingest` and `fleetlake demo`."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fleetlake.broker.records_at import find_records
from fleetlake.broker.topics import cluster_id, stable_ends, topic_ids, watermarks
from fleetlake.contracts.events import EVENTS, Event
from fleetlake.ingest.flush import FlushPolicy
from fleetlake.ingest.native import IngestSettings, NativeIngest, TopicReport
from fleetlake.ingest.offsets import KafkaTopicState

if TYPE_CHECKING:
    from fleetlake.broker.settings import KafkaSettings
    from fleetlake.config.settings import Settings
    from fleetlake.ingest.spark.engine import SparkIngest
    from fleetlake.ingest.spark.progress import QueryReport

OnCommit = Callable[[str, TopicReport], None]


@dataclass(frozen=True, slots=True)
class SparkRun:
    """What one run of the Spark ingest is asked for. master, trigger_s: override the configuration where they are not None."""

    sink: Literal["iceberg", "parquet"] = "iceberg"
    master: str | None = None
    trigger_s: float | None = None
    deduplicate: bool = False
    on_commit: OnCommit = lambda topic, report: None


FIRST_WAIT_S, LONGEST_WAIT_S = 0.05, 5.0


def sources_now(kafka: KafkaSettings) -> dict[Event, KafkaTopicState]:
    """The five topics as the broker shows them now. Missing if it does not answer or a topic is not there."""
    topics = [event.topic for event in EVENTS]
    cluster, ids, marks = cluster_id(kafka), topic_ids(kafka, topics), watermarks(kafka, topics)
    stable = stable_ends(kafka, marks)
    return {
        event: KafkaTopicState(event.topic, cluster, ids[event.topic], marks[event.topic], stable[event.topic]) for event in EVENTS
    }


def open_ingest(
    settings: Settings,
    *,
    accept_gaps: bool = False,
    flush_rows: int | None = None,
    flush_age_s: float | None = None,
    on_commit: OnCommit = lambda topic, report: None,
) -> NativeIngest:
    """A native ingest of the five topics as configured; arguments that are not None override the configuration."""
    from fleetlake.config.wiring import kafka_settings, open_lake_from

    kafka = kafka_settings(settings)
    configured = settings.ingest
    policy = FlushPolicy(rows=configured.flush_rows, bytes=configured.flush_bytes, age_s=configured.flush_age_s)
    if flush_rows is not None:
        policy = replace(policy, rows=flush_rows)
    if flush_age_s is not None:
        policy = replace(policy, age_s=flush_age_s)
    return NativeIngest(
        open_lake_from(settings),
        sources_now(kafka),
        kafka.client_config(),
        IngestSettings(flush=policy, accept_gaps=accept_gaps, fetch_bytes=configured.fetch_bytes),
        wait=back_off,
        on_commit=on_commit,
    )


@contextmanager
def open_spark_ingest(settings: Settings, run: SparkRun) -> Iterator[SparkIngest]:
    """A Spark ingest of the five topics as configured, on a session that ends with the context.

    After each micro-batch the consumer group's offsets (for lag monitors) and `<home>/metrics/ingest.prom` are brought up to date.
    """
    from fleetlake.config.wiring import kafka_settings, lake_settings, open_lake_from, spark_settings
    from fleetlake.ingest.spark.engine import APP_NAME, Sink, SparkIngest, SparkIngestSettings
    from fleetlake.lake.aws_properties import is_s3
    from fleetlake.lake.spark import require_spark, spark_session

    spark = spark_settings(settings, run.master)
    require_spark(spark)
    kafka, home, configured = kafka_settings(settings), settings.home.resolve(), settings.spark
    sources, java = sources_now(kafka), kafka.java_config()
    landing, checkpoints = configured.landing or f"{home}/landing", configured.checkpoints or f"{home}/checkpoints"
    made = SparkIngestSettings(
        Sink(run.sink),
        checkpoints=f"{checkpoints}/{run.sink}",
        landing=landing,
        lock=home / "spark" / f"ingest-{run.sink}.lock",
        trigger_s=configured.trigger_s if run.trigger_s is None else run.trigger_s,
        deduplicate=run.deduplicate,
    )
    on_s3 = is_s3(checkpoints) or (run.sink == "parquet" and is_s3(landing))

    def tell(reports: Mapping[str, QueryReport]) -> None:
        for topic, report in reports.items():
            run.on_commit(topic, report)
        export_progress(kafka, home / "metrics" / "ingest.prom", made.job, reports)

    lake = open_lake_from(settings)
    lake.require_storage(checkpoints, landing if run.sink == "parquet" else "")  # said before Spark has started
    with spark_session(spark, lake_settings(settings), app_name=APP_NAME, s3=on_s3) as session:
        find = partial(find_records, kafka.client_config())
        yield SparkIngest(session, lake, sources, java, made, wait=back_off, find=find, on_batch=tell)


def export_progress(kafka: KafkaSettings, metrics_file: Path, group: str, reports: Mapping[str, QueryReport]) -> None:
    """Tells lag monitors and Prometheus. Nothing is ever resumed from either, so a failure does not matter."""
    from fleetlake.broker.topics import commit_group_offsets
    from fleetlake.foundation.errors import FleetlakeError
    from fleetlake.foundation.private import make_private_folder
    from fleetlake.ingest.spark.progress import group_offsets, metrics

    with suppress(FleetlakeError):
        commit_group_offsets(kafka, group, group_offsets(reports))
    make_private_folder(metrics_file.parent)
    part = metrics_file.with_suffix(".part")
    part.write_text(metrics(reports))
    part.replace(metrics_file)


def back_off(attempt: int) -> None:
    """Waits before attempt `attempt` of a commit: twice as long each time, jittered, so that two writers do not stay in step."""
    time.sleep(min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**attempt) * random.uniform(0.5, 1))  # noqa: S311  # no secret depends on it


@contextmanager
def progress_on_terminal(what: str) -> Iterator[OnCommit]:
    """Shows landed records per topic on stderr while the context lasts; nothing if stderr is not a terminal."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console, started, seen = Console(stderr=True), time.monotonic(), dict[str, TopicReport]()
    if not console.is_terminal:
        yield lambda topic, report: None
        return
    with Live(console=console, transient=True, refresh_per_second=4) as live:

        def show(topic: str, report: TopicReport) -> None:
            seen[topic] = report
            landed = sum(report.landed for report in seen.values())
            rate = landed / max(time.monotonic() - started, 1e-3)
            topics = "  ".join(f"{name} {report.landed:,}{_lag(report)}" for name, report in sorted(seen.items()))
            live.update(Text(f"{what}: {landed:,} records committed, {rate:,.0f}/s   {topics}"))

        yield show


def _lag(report: TopicReport) -> str:
    """How far behind its topic a Spark query is; the native engine does not say."""
    lag = getattr(report, "lag", 0)
    return f" (lag {lag:,})" if lag else ""


def print_counts(reports: Mapping[str, TopicReport], *, as_json: bool) -> None:
    """What an ingest committed, by topic, on stdout."""
    if as_json:
        print(json.dumps({topic: asdict(report) for topic, report in reports.items()}))
        return
    for topic, report in reports.items():
        print(f"{topic:<16} {report.landed:>10,} landed  {report.rejected:>8,} of them rejected  {report.commits:>6,} commits")
