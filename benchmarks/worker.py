"""One measurement in a process of its own: raw consume, native or Spark ingest. Prints one JSON line."""

from __future__ import annotations

import gc
import json
import resource
import sys
import time
from pathlib import Path

import psutil

from fleetlake.broker.settings import KafkaSettings
from fleetlake.broker.topics import cluster_id, topic_ids, watermarks
from fleetlake.contracts.events import VEHICLE

TOPIC = VEHICLE.topic
RAW_BATCH = 20_000


def raw(kafka: KafkaSettings) -> tuple[int, float]:
    """The client's own limit: bytes only, one process, no garbage collection, large batches. Rows, seconds from the first on."""
    from confluent_kafka import Consumer, TopicPartition

    from fleetlake.ingest.reader import TUNING

    gc.disable()
    marks = watermarks(kafka, [TOPIC])[TOPIC]
    wanted, rows, first = sum(high for _, high in marks.values()), 0, 0.0
    consumer = Consumer(kafka.client_config() | dict(TUNING) | {"group.id": "raw", "enable.partition.eof": False})
    consumer.assign([TopicPartition(TOPIC, partition, 0) for partition in marks])
    while rows < wanted:
        batch = consumer.consume(RAW_BATCH, 1)
        first = first or time.perf_counter()
        rows += sum(1 for message in batch if message.value())
    elapsed = time.perf_counter() - first
    consumer.close()
    return rows, elapsed


def native(kafka: KafkaSettings, home: Path) -> tuple[int, float]:
    """To committed Iceberg. Rows counted in the table, and seconds from taking the table over to the last commit."""
    from fleetlake.ingest.native import IngestSettings, NativeIngest
    from fleetlake.ingest.offsets import Source
    from fleetlake.lake.catalog import LakeSettings, open_lake

    lake = open_lake(LakeSettings("bench", {"type": "sql", "uri": f"sqlite:///{home}/catalog.db", "warehouse": f"file://{home}/w"}))
    source = Source(TOPIC, cluster_id(kafka), topic_ids(kafka, [TOPIC])[TOPIC], watermarks(kafka, [TOPIC])[TOPIC])
    ended = [0.0]

    def note(*_: object) -> None:
        ended[0] = time.perf_counter()

    engine = NativeIngest(lake, {VEHICLE: source}, kafka.client_config(), IngestSettings(), wait=time.sleep, on_commit=note)
    began = time.perf_counter()
    engine.run(once=True)
    table = lake.table("bronze.vehicle")
    return table.scan().count(), ended[0] - began


def spark(kafka: KafkaSettings, home: Path) -> list[dict[str, object]]:
    """To committed Iceberg by Structured Streaming on local[2], twice in one JVM: cold, warm. Seconds from start to last commit."""
    from fleetlake.ingest.offsets import Source
    from fleetlake.ingest.spark.engine import APP_NAME, Sink, SparkIngest, SparkIngestSettings
    from fleetlake.lake.catalog import LakeSettings, open_lake, row_count
    from fleetlake.lake.spark import SparkSettings, attach, spark_session

    source = Source(TOPIC, cluster_id(kafka), topic_ids(kafka, [TOPIC])[TOPIC], watermarks(kafka, [TOPIC])[TOPIC])
    lakes = [
        LakeSettings(f"bench_{name}", {"type": "sql", "uri": f"sqlite:///{home}/{name}.db", "warehouse": f"file://{home}/{name}"})
        for name in ("cold", "warm")
    ]
    found: list[dict[str, object]] = []
    memory = {"spark.driver.memory": "4g"}
    with spark_session(SparkSettings("local[2]", home / "spark.log", memory), lakes[0], app_name=APP_NAME) as session:
        for settings in lakes:
            attach(session, settings)
            lake, place = open_lake(settings), f"{home}/checkpoints/{settings.name}"
            made = SparkIngestSettings(Sink.ICEBERG, place, f"{home}/landing", home / "lock")
            engine = SparkIngest(session, lake, {VEHICLE: source}, kafka.java_config(), made, wait=time.sleep)
            began, cpu = time.perf_counter(), tree_cpu_s()
            engine.run(once=True)
            seconds, table = time.perf_counter() - began, lake.table("bronze.vehicle")
            found.append(
                {
                    "what": settings.name.replace("bench_", "spark "), "rows": row_count(table), "seconds": seconds,
                    "cpu_s": tree_cpu_s() - cpu, "peak_mb": tree_peak_mb(),
                }
            )  # fmt: skip
    return found


def _tree() -> list[psutil.Process]:
    ours = psutil.Process()
    return [ours, *ours.children(recursive=True)]


def tree_cpu_s() -> float:
    """CPU seconds of this process and all it started that still run."""
    return sum(sum(process.cpu_times()[:2]) for process in _tree())


def tree_peak_mb() -> float:
    """Peak memory of this process and all it started, added up as if all had it at once."""
    statuses = [Path(f"/proc/{process.pid}/status").read_text() for process in _tree()]
    return sum(int(line.split()[1]) for status in statuses for line in status.splitlines() if line.startswith("VmHWM")) / 1000


def main() -> None:
    what, servers, home = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    kafka = KafkaSettings(servers)
    if what == "spark":
        print(json.dumps(spark(kafka, home)))
        return
    before = time.process_time()
    rows, seconds = raw(kafka) if what == "raw" else native(kafka, home)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cpu = time.process_time() - before
    print(json.dumps({"what": what, "rows": rows, "seconds": seconds, "cpu_s": cpu, "peak_mb": usage.ru_maxrss / 1000}))


if __name__ == "__main__":
    main()
