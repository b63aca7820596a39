"""What tests share: real servers on free ports, stopped by process id."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fleetlake.broker.embedded import EmbeddedBroker
from fleetlake.broker.topics import ensure_topics
from fleetlake.contracts.events import EVENTS
from fleetlake.lake.catalog import LakeSettings
from fleetlake.lake.spark import SparkSettings, spark_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


# A JVM that lives for a test spends more on compiling itself well than it gains: brokers, S3 servers and clusters too.
EVERY_JAVA = "-XX:TieredStopAtLevel=1"
SHORT_LIVED_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:ReservedCodeCacheSize=256m"
SHORT_LIVED = {"spark.driver.extraJavaOptions": SHORT_LIVED_JAVA, "spark.executor.extraJavaOptions": SHORT_LIVED_JAVA}
# Nor does a query over a few rows that is made Java first or planned anew after each stage. The tests of spark-submit and of
# `fleetlake transform --engine spark` do both.
INTERPRETED = {
    "spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN", "spark.sql.adaptive.enabled": "false",
}  # fmt: skip


def pytest_configure() -> None:
    """Java's launcher reads them, and whatever a command line says goes over them."""
    os.environ.setdefault("JDK_JAVA_OPTIONS", EVERY_JAVA)


def free_ports(count: int = 2) -> int:
    """A port that is free, and whose successors are free too: two are what a broker takes.

    Of those that no outgoing connection is given, so that they are still free for a server that is killed and started again.
    """
    for _ in range(100):
        port = secrets.randbelow(12_000) + 20_000
        with ExitStack() as stack, suppress(OSError):
            for number in range(count):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port + number))
            return port
    raise AssertionError(f"no {count} free ports in a row")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    """A running broker with the five topics, empty at the start of each test module. Its `home` may hold a lake too."""
    made = EmbeddedBroker(tmp_path_factory.mktemp("broker"), free_ports())
    made.start()
    try:
        ensure_topics(made.settings, [event.topic for event in EVENTS])
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A local Spark, new for each test module; lake.spark.attach gives it a test's lake as a catalog."""
    folder = tmp_path_factory.mktemp("spark")
    settings = SparkSettings("local[2]", folder / "spark.log", {"spark.sql.shuffle.partitions": "2", **SHORT_LIVED, **INTERPRETED})
    nowhere = LakeSettings("unused", {"type": "sql", "uri": f"sqlite:///{folder}/c.db", "warehouse": f"file://{folder}/w"})
    with spark_session(settings, nowhere, app_name="tests") as session:
        yield session


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"
