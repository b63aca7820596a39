"""The Spark ingest against a real broker: what is in Kafka is in bronze, once, whatever happens to driver and workers."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import AdminClient
from tests.command_line import PATIENCE_S, Cli, send, wait_until
from tests.conftest import INTERPRETED, SHORT_LIVED, free_ports

from fleetlake.broker.embedded import EmbeddedBroker
from fleetlake.broker.producer import EventProducer
from fleetlake.contracts.events import EVENTS
from fleetlake.runtime.jars import SPARK
from fleetlake.runtime.java import java_for_spark

ROOT = Path(__file__).parents[2]
QUICK = tuple(word for name, value in (SHORT_LIVED | INTERPRETED).items() for word in ("--set", f"spark.properties.{name}={value}"))
ENGINE = (*QUICK, "ingest", "--engine", "spark")
SPARK_ONCE = (*ENGINE, "--once", "--json")
KILLS = 2  # at random moments; tests.faults has one at each step, over many seeds
pytestmark = pytest.mark.timeout(900)  # JVMs are started many times


@pytest.fixture
def cli(broker: EmbeddedBroker, home: Path) -> Iterator[Cli]:
    made = Cli(broker, home)
    yield made
    made.end()


@contextmanager
def load(broker: EmbeddedBroker, first: int) -> Iterator[None]:
    """Sends 50 events of each kind a second, for as long as the context lasts."""
    done = threading.Event()

    def produce() -> None:
        number = first
        with EventProducer(broker.settings) as producer:
            while not done.wait(0.1):
                send(producer, number, 5)
                producer.flush()
                number += 5

    producing = threading.Thread(target=produce)
    producing.start()
    try:
        yield
    finally:
        done.set()
        producing.join()


def landed(out: str) -> dict[str, int]:
    return {topic: counts["landed"] for topic, counts in json.loads(out).items()}


def test_once_again_and_with_a_commit_forgotten(broker: EmbeddedBroker, cli: Cli, home: Path) -> None:
    with EventProducer(broker.settings) as producer:
        send(producer, 0, 700)
    assert landed(cli.run(*SPARK_ONCE)) == {event.topic: 700 for event in EVENTS}
    cli.run("verify")
    assert 'fleetlake_ingest_records_total{engine="spark",topic="gps_data"} 700' in (home / "metrics" / "ingest.prom").read_text()
    assert sum(group_offsets(broker, "fleetlake-spark")) == 700 * len(EVENTS)
    files = data_files(home)
    for event in EVENTS:
        commits = sorted(
            (home / "checkpoints" / "iceberg" / event.topic / "commits").glob("[0-9]*"), key=lambda path: int(path.name)
        )
        commits[-1].unlink()
    cli.run(*ENGINE, "--once")  # Spark repeats the micro-batch; the table knows it
    checks = json.loads(cli.run("verify", "--json"))
    assert [(check["landed"], check["problems"]) for check in checks] == [(700, [])] * 5
    assert data_files(home).items() >= files.items(), "what is in a table is never written again"

    assert "the spark engine has filled this table" in cli.run("ingest", "--once", expect=2)
    for checkpoint in (home / "checkpoints" / "iceberg").iterdir():
        checkpoint.rename(checkpoint.with_name(f"lost-{checkpoint.name}"))
    refused = cli.run(*ENGINE, "--once", expect=2)
    assert "the checkpoint that knows their offsets is gone" in refused
    assert refused.count("\n") == 1


def data_files(home: Path) -> dict[Path, int]:
    """Each data file, and when it was written."""
    return {path: path.stat().st_mtime_ns for path in (home / "warehouse" / "bronze").rglob("*.parquet")}


def group_offsets(broker: EmbeddedBroker, group: str) -> list[int]:
    """What a lag monitor sees."""
    admin = AdminClient(broker.settings.client_config())
    (future,) = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]).values()
    return [max(partition.offset, 0) for partition in future.result(30).topic_partitions]


def test_kill_9_and_sigterm_of_the_driver_under_load(broker: EmbeddedBroker, cli: Cli) -> None:
    """SIGTERM ends it in order, also after kills; in the end all is there once."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    moments = random.Random(seed)
    with load(broker, 100_000):
        for _ in range(KILLS):
            before = cli.rows(EVENTS[0])
            process = cli.start(*ENGINE, "--trigger", "0.2")
            wait_until(lambda before=before: cli.rows(EVENTS[0]) > before, process)  # type: ignore[misc]  # so it is in full swing
            with pytest.raises(subprocess.TimeoutExpired):
                process.communicate(timeout=moments.uniform(0.0, 2.0))
            process.kill()
            process.communicate()
        process = cli.start(*ENGINE, "--trigger", "0.5", "--json")
        for _ in range(2):  # Spark counts a micro-batch when it is over: the second one tells that the first is
            before = cli.rows(EVENTS[-1])
            wait_until(lambda before=before: cli.rows(EVENTS[-1]) > before, process)  # type: ignore[misc]
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert landed(out)[EVENTS[-1].topic] > 0
    cli.run(*ENGINE, "--once")
    cli.run("verify")


def test_under_spark_submit(broker: EmbeddedBroker, cli: Cli, home: Path) -> None:
    """As EMR starts it: Spark is there before fleetlake, with its master and jars."""
    with EventProducer(broker.settings) as producer:
        send(producer, 2_000_000, 20)
    command = [
        str(Path(sys.executable).with_name("spark-submit")),
        "--master",
        "local[2]",
        "--jars",
        ",".join(map(str, SPARK.ensure())),
    ]
    entry = [
        str(ROOT / "deploy" / "spark" / "fleetlake_main.py"),
        "--home",
        str(home),
        "--set",
        f"kafka.bootstrap_servers=127.0.0.1:{broker.port}",
    ]
    java = {"JAVA_HOME": str(java_for_spark().home), "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    done = subprocess.run(
        [*command, *entry, "ingest", "--engine", "spark", "--once", "--json", "--master", "submit"],
        env=os.environ | java, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert landed(done.stdout)["gps_data"] >= 20
    cli.run("verify")


def test_a_worker_of_the_cluster_is_killed(broker: EmbeddedBroker, cli: Cli, home: Path) -> None:
    port = free_ports()
    cluster = ("--set", f"spark.cluster_port={port}", "--set", f"spark.cluster_web_port={port + 1}", "cluster")
    cli.run(*cluster, "up", "--workers", "2")
    try:
        with load(broker, 1_000_000):
            process = cli.start(*ENGINE, "--master", f"spark://127.0.0.1:{port}", "--json")
            wait_until(lambda: cli.rows(EVENTS[0]) > 0, process)
            worker = next(iter(sorted((home / "spark").glob("worker-*.pid"))))
            subprocess.run(["kill", "-9", worker.read_text().strip()], check=True)
            before = cli.rows(EVENTS[0])
            wait_until(lambda: cli.rows(EVENTS[0]) > before, process)
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=PATIENCE_S)
            assert process.returncode == 0, err
        cli.run(*ENGINE, "--master", f"spark://127.0.0.1:{port}", "--once")
        cli.run("verify")
    finally:
        cli.run(*cluster, "down")
