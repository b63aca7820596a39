"""One streaming query a topic: from Kafka into its bronze table, or into the raw landing."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from fleetlake.contracts.events import Event
from fleetlake.contracts.tables import LATEST_TIME_MS, bronze_of
from fleetlake.foundation.errors import DataLoss, FleetlakeError, Retryable
from fleetlake.ingest.landed import FindRecords, require_landed_records
from fleetlake.ingest.offsets import KafkaTopicState
from fleetlake.ingest.spark.claim import claim
from fleetlake.ingest.spark.decode import bronze_rows
from fleetlake.ingest.spark.places import exclusive, has_checkpoint
from fleetlake.ingest.spark.progress import OBSERVED, QueryReport
from fleetlake.ingest.spark.topics import require_same
from fleetlake.lake.catalog import Lake
from fleetlake.lake.snapshots import refused_for_its_clock

if TYPE_CHECKING:
    from pyspark.sql import Column as SparkColumn
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.query import StreamingQuery

APP_NAME = "SmartCityStreaming"
WATERMARK = "2 minutes"
RECORDS_A_BATCH = 1_000_000  # of one topic: bounds memory and files after a long pause
POLL_S = 0.2
RESTARTS = 5
LANDING_PARTITION = "ingest_date"
HOPELESS = ("AnalysisException", "IllegalArgumentException", "ValidationException")  # the same again, however often
# What a broker says when the records to go on with are gone, in the words of Spark's Kafka source.
LOST = ("KAFKA_DATA_LOSS", "Some data may have been lost", "OffsetOutOfRange")
CORRUPT = re.compile(r"Record batch for partition (\S+)-(\d+) at offset (\d+) is invalid[^\n]*")
ABSENT = "UnknownTopicOrPartition"  # also of a broker that has just started, and does not know all of its topics yet
COMMITTED_ONLY = {"kafka.isolation.level": "read_committed"}  # Kafka's client in Java reads aborted records too, if it is not told
WATCH_EVERY_S, COMPARE_EVERY_S = 1.0, 15.0


class Sink(StrEnum):
    """Where records go: the bronze tables, or Parquet files under `<landing>/<topic>/`."""

    ICEBERG = "iceberg"
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True)
class SparkIngestSettings:
    """checkpoints, landing: folders or s3a:// paths, each with one below it a topic. lock: a local file. job: the consumer
    group that lag monitors see.

    deduplicate: whether the landing leaves out copies of an event that arrive within the watermark (bronze never does).
    """

    sink: Sink
    checkpoints: str
    landing: str
    lock: Path
    trigger_s: float = 1.0
    deduplicate: bool = False
    job: str = "fleetlake-spark"


OnBatch = Callable[[Mapping[str, QueryReport]], None]


class SparkIngest:
    """Brings the records of topics into bronze, or into the landing, each exactly once.

    Each topic has a query of its own with a checkpoint. Iceberg remembers in its snapshots which micro-batch of which query it has,
    so that one repeated after a crash is left out; the landing does in `_spark_metadata`, which readers have to respect.
    kafka: settings of the Java client. find: fetches single records of the topics, to see whether what landed is still there
    (landed.py). wait: back-off before restart n of a query that failed.
    """

    def __init__(
        self,
        session: SparkSession,
        lake: Lake,
        sources: Mapping[Event, KafkaTopicState],
        kafka: Mapping[str, str],
        settings: SparkIngestSettings,
        *,
        wait: Callable[[int], None],
        find: FindRecords,
        on_batch: OnBatch = lambda reports: None,
    ) -> None:
        self._session, self._lake, self._sources, self._kafka, self._settings = session, lake, sources, kafka, settings
        self._wait, self._on_batch = wait, on_batch
        self._stop = threading.Event()
        self._find = find
        self._watched_at = self._compared_at = time.monotonic()
        self._compared: dict[Event, int | None] = {}  # the snapshot whose rows were compared last
        self.reports = {source.topic: QueryReport() for source in sources.values()}

    def stop(self) -> None:
        """Asks `run` to end its queries and return. May be called from a signal handler."""
        self._stop.set()

    def run(self, *, once: bool) -> Mapping[str, QueryReport]:
        """Ingests until `stop`, or with `once` until all that was in the topics at the start is committed.

        A query that fails is started again from its checkpoint, RESTARTS times in a row at most. Raises DataLoss, BadInput
        (claim.py) or Retryable; what was committed by then stays, nothing is half done. That a topic was made anew meanwhile is
        seen within about WATCH_EVERY_S, that its log went back and grew again within about COMPARE_EVERY_S of the next commit.
        """
        with exclusive(self._session, self._settings.lock):
            if self._settings.sink is Sink.ICEBERG:
                self._claim()
            queries = {event: self._start(event, once=once) for event in self._sources}
            failures = dict.fromkeys(self._sources, 0)
            try:
                while queries and not self._stop.wait(POLL_S):
                    self._watch()
                    for event, query in list(queries.items()):
                        self._follow(event, query, failures)
                        if query.isActive:
                            continue
                        error = query.exception()
                        if error is None:
                            del queries[event]  # once: it has read all there was
                        else:
                            queries[event] = self._restart(event, error, failures, once=once)
            finally:
                for event, query in queries.items():
                    self._end(event, query, failures)
        return self.reports

    def _claim(self) -> None:
        self._lake.ensure(bronze_of(event) for event in self._sources)
        for event, source in self._sources.items():
            place = self._checkpoint(event)
            known = has_checkpoint(self._session, place)
            claim(self._lake, bronze_of(event).name, source, checkpoint=place, has_checkpoint=known, wait=self._wait)
            self._compare(event)

    def _watch(self) -> None:
        """Now and then: are the topics those that the tables were claimed for, with the records that the tables have?"""
        if time.monotonic() - self._watched_at > WATCH_EVERY_S:
            require_same(self._session, self._kafka, self._sources.values())
            self._watched_at = time.monotonic()
        if self._settings.sink is Sink.ICEBERG and time.monotonic() - self._compared_at > COMPARE_EVERY_S:
            for event in self._sources:
                with suppress(Retryable):  # the broker does not answer: the next time, then
                    self._compare(event)
            self._compared_at = time.monotonic()

    def _compare(self, event: Event) -> None:
        """DataLoss if the topic holds other records than the table, whose newest rows are looked at if there are any new ones."""
        snapshot = self._lake.table(bronze_of(event).name).current_snapshot()
        snapshot_id = snapshot.snapshot_id if snapshot else None
        if snapshot_id != self._compared.get(event):
            require_landed_records(self._lake, event, self._sources[event].topic, self._find)
            self._compared[event] = snapshot_id

    def _start(self, event: Event, *, once: bool) -> StreamingQuery:
        writer = (
            self._rows(event)
            .writeStream.outputMode("append")
            .queryName(self._sources[event].topic)
            .option("checkpointLocation", self._checkpoint(event))
        )
        writer = writer.trigger(availableNow=True) if once else writer.trigger(processingTime=f"{self._settings.trigger_s} seconds")
        if self._settings.sink is Sink.ICEBERG:
            # Spark takes every column for one that may be null; a record's place never is.
            return (
                writer.format("iceberg")
                .options(**{"fanout-enabled": "true", "check-nullability": "false"})
                .toTable(f"{self._lake.catalog.name}.{bronze_of(event).name}")
            )
        place = f"{self._settings.landing}/{event.topic}"
        return writer.format("parquet").option("compression", "zstd").partitionBy(LANDING_PARTITION).start(place)

    def _rows(self, event: Event) -> DataFrame:
        from pyspark.sql import functions as sf

        reader = self._session.readStream.format("kafka").options(**{f"kafka.{name}": value for name, value in self._kafka.items()})
        records = reader.options(
            subscribe=self._sources[event].topic, startingOffsets="earliest", failOnDataLoss="true",
            maxOffsetsPerTrigger=str(RECORDS_A_BATCH), groupIdPrefix=self._settings.job, **COMMITTED_ONLY,
        ).load()  # fmt: skip
        raw = records.select(
            sf.col("partition").alias("kafka_partition"), sf.col("offset").alias("kafka_offset"),
            date_of(sf.col("timestamp")).alias("kafka_timestamp"), sf.col("value").alias("payload"),
        )  # fmt: skip
        rows = bronze_rows(event, raw, sf.current_timestamp()).withWatermark("event_time", WATERMARK)
        if self._settings.deduplicate:
            rows = _deduplicated(rows)
        if self._settings.sink is Sink.PARQUET:
            rows = rows.withColumn(LANDING_PARTITION, sf.to_date("ingested_at"))
        return rows.observe(OBSERVED, sf.count(sf.lit(1)).alias("rows"), sf.count("reject_reason").alias("rejected"))

    def _checkpoint(self, event: Event) -> str:
        return f"{self._settings.checkpoints}/{event.topic}"

    def _follow(self, event: Event, query: StreamingQuery, failures: dict[Event, int]) -> None:
        topic = self._sources[event].topic
        report, grown = self.reports[topic], False
        for progress in query.recentProgress:
            grown |= report.add(json.loads(progress.json), topic)
        if grown:
            failures[event] = 0
            self._on_batch(self.reports)

    def _restart(self, event: Event, error: Exception, failures: dict[Event, int], *, once: bool) -> StreamingQuery:
        source = self._sources[event]
        failures[event] += 1
        failure = told(source.topic, str(error), is_last=failures[event] > RESTARTS)
        require_same(self._session, self._kafka, [source])
        if isinstance(failure, DataLoss) or failures[event] > RESTARTS or any(name in str(error) for name in HOPELESS):
            raise failure from error
        self._wait(failures[event])
        return self._start(event, once=once)

    def _end(self, event: Event, query: StreamingQuery, failures: dict[Event, int]) -> None:
        try:
            query.stop()
            self._follow(event, query, failures)
        except Exception as error:  # of pyspark and py4j: the JVM may be gone
            raise told(self._sources[event].topic, str(error)) from error


def date_of(time: SparkColumn) -> SparkColumn:
    """A record's time where it is a date, else null: Kafka's -1 for none, and whatever a producer made up."""
    from pyspark.sql import functions as sf

    return sf.when(sf.unix_millis(time).between(0, LATEST_TIME_MS), time)


def _deduplicated(rows: DataFrame) -> DataFrame:
    """Without copies of an event within the watermark. Rejects have no id of their own, so their place in the topic is theirs."""
    from pyspark.sql import functions as sf

    identity = sf.coalesce("event_id", sf.concat_ws("/", sf.lit("reject"), "kafka_partition", "kafka_offset"))
    return rows.withColumn("identity", identity).dropDuplicatesWithinWatermark(["identity"]).drop("identity")


def told(topic: str, text: str, *, is_last: bool = False) -> FleetlakeError:
    """Spark's exception, by its text, as one of ours. is_last: it will not be tried again."""
    where = f"topic {topic}"
    if corrupt := CORRUPT.search(text):
        return DataLoss(
            f"a batch of records is corrupt on the broker's disk: {corrupt[0]}",
            where=f"{where}, partition {corrupt[2]}, offset {corrupt[3]}",
            hint="restore the partition from a replica or a backup, or ingest into a new lake: fleetlake --home DIR",
        )
    if any(word in text for word in LOST):
        return DataLoss(
            "the records to go on with are not in the topic any more",
            where=where,
            hint="ingest into a new lake: fleetlake --home DIR",
        )
    if (behind := refused_for_its_clock(text, where)) is not None:
        return behind
    if ABSENT in text and is_last:
        return DataLoss("the topic is not there any more", where=where, hint="ingest into a new lake: fleetlake --home DIR")
    causes = [line.strip() for line in text.splitlines() if line.strip()]
    what = next((line for line in causes if line.startswith("Caused by")), causes[0] if causes else "it did not say why")
    return Retryable(f"Spark's query failed: {what}", where=where, hint="logs/spark.log has the details; run the ingest again")
