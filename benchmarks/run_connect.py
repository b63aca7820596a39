"""Kafka Connect, standalone, with Iceberg's sink: writes its two files of properties and becomes the worker."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from benchmarks.outputs import PEER_CATALOG, PEER_FILE
from benchmarks.peer_jars import CONNECT, classpath, version
from benchmarks.rig import free_port
from fleetlake.broker.settings import KafkaSettings
from fleetlake.broker.topics import ensure_topics
from fleetlake.contracts.events import VEHICLE
from fleetlake.runtime.java import java_for_spark

HEAP, TASKS, COMMIT_MS, LIVE_COMMIT_MS = "-Xmx2g", 2, 5000, 1000


def main() -> None:
    job = json.loads(sys.argv[1])
    home, live = Path(job["home"]), job["live"]
    worker = {
        "bootstrap.servers": job["servers"], "listeners": f"http://127.0.0.1:{free_port()}", "plugin.discovery": "only_scan",
        "offset.storage.file.filename": home / "offsets",
        "offset.flush.interval.ms": 1000,  # an idle task sleeps as long before it answers the sink's next commit
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "false",
        "consumer.max.poll.records": 20_000, "consumer.fetch.min.bytes": 1 if live else 100_000,
        "consumer.max.partition.fetch.bytes": 8 * 1024 * 1024, "consumer.auto.offset.reset": "latest" if live else "earliest",
    }  # fmt: skip
    catalog = {
        "": PEER_CATALOG, ".type": "jdbc", ".uri": f"jdbc:sqlite:{home / PEER_FILE}", ".warehouse": f"file://{home}/warehouse",
        ".jdbc.schema-version": "V1",
    }  # fmt: skip
    sink = {
        "name": f"bench-{os.getpid()}", "connector.class": "org.apache.iceberg.connect.IcebergSinkConnector", "tasks.max": TASKS,
        "topics": VEHICLE.topic, "iceberg.tables": f"run.{VEHICLE.kind}",
        "iceberg.control.commit.interval-ms": LIVE_COMMIT_MS if live else COMMIT_MS, "iceberg.control.commit.timeout-ms": 30_000,
    } | {f"iceberg.catalog{name}": value for name, value in catalog.items()}  # fmt: skip
    files = []
    for name, settings in (("worker", worker), ("sink", sink)):
        files.append(str(home / f"{name}.properties"))
        Path(files[-1]).write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    ensure_topics(
        KafkaSettings(job["servers"], partitions=1), ["control-iceberg"]
    )  # the sink's own; our broker makes none by itself
    java, jars = java_for_spark().command, classpath(CONNECT)
    kafka, iceberg = version(CONNECT, "connect-runtime"), version(CONNECT, "iceberg-kafka-connect")
    print(json.dumps({"version": f"Kafka Connect {kafka}, Iceberg {iceberg}"}), flush=True)
    main_class = "org.apache.kafka.connect.cli.ConnectStandalone"
    os.execv(java, [java, HEAP, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", jars, main_class, *files])  # noqa: S606


if __name__ == "__main__":
    main()
