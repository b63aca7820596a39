"""A process with a JVM in it, which ingests with Spark whenever it is told to: starting one takes longer than a scenario."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import TYPE_CHECKING

from fleetlake.broker.records_at import find_records
from fleetlake.broker.settings import KafkaSettings
from fleetlake.ingest.spark.engine import Sink, SparkIngest, SparkIngestSettings
from fleetlake.lake.catalog import LakeSettings, open_lake
from fleetlake.lake.spark import SparkSettings, attach, spark_session
from tests.conftest import INTERPRETED, SHORT_LIVED
from tests.faults.driver import back_off, sources_now, tell_outcome

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TRIGGER_S = 0.3
START_S = 300.0
SMALL = {"spark.sql.shuffle.partitions": "1", "spark.executor.memory": "512m"}


@dataclass(frozen=True, slots=True)
class SparkOrder:
    """lake: under a name that no other run's has. home: for checkpoints and the lock. out: for the outcome."""

    lake: LakeSettings
    kafka: KafkaSettings
    run: str
    home: Path
    out: Path
    once: bool = False


class SparkHost:
    """A driver's process. It takes one order after the other; SIGTERM ends the one it is at, kill -9 ends all."""

    def __init__(self, context: ForkServerContext, folder: Path, master: str = "local[2]") -> None:
        self._ours, theirs = context.Pipe()
        self._is_up = False
        self.process: ForkServerProcess = context.Process(target=host, args=(theirs, folder, master))
        self.process.start()
        theirs.close()

    def give(self, order: SparkOrder) -> None:
        """Waits until its JVM is up."""
        if not self._is_up:
            assert self._ours.poll(START_S), "Spark did not start"
            self._is_up = bool(self._ours.recv())
        self._ours.send(order)

    def stop(self) -> None:
        """Waits for what it is at."""
        with suppress(OSError):
            self._ours.send(None)
        self.process.join()


def host(orders: Connection, folder: Path, master: str) -> None:
    """The forked process."""
    told_to_end = threading.Event()
    stop: list[Callable[[], None]] = []

    def on_sigterm(*_: object) -> None:
        told_to_end.set()
        for each in stop:
            each()

    signal.signal(signal.SIGTERM, on_sigterm)
    os.dup2(os.open(folder / "spark-stderr.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND), sys.stderr.fileno())
    settings = SparkSettings(
        master, folder / "spark.log", {"spark.sql.shuffle.partitions": "1", **SMALL, **SHORT_LIVED, **INTERPRETED}
    )
    nowhere = LakeSettings("unused", {"type": "sql", "uri": f"sqlite:///{folder}/c.db", "warehouse": f"file://{folder}/w"})
    with spark_session(settings, nowhere, app_name="faults") as session:
        orders.send(True)
        while (order := _next(orders)) is not None:
            tell_outcome(partial(ingest, session, order, told_to_end, stop), order.out)
            told_to_end.clear()
            stop.clear()


def _next(orders: Connection) -> SparkOrder | None:
    try:
        order: SparkOrder | None = orders.recv()
    except EOFError:
        return None
    return order


def ingest(session: SparkSession, order: SparkOrder, told_to_end: threading.Event, stop: list[Callable[[], None]]) -> None:
    attach(session, order.lake)
    lake = open_lake(order.lake)
    try:
        settings = SparkIngestSettings(
            Sink.ICEBERG, f"{order.home}/checkpoints", f"{order.home}/landing", order.home / "spark.lock", trigger_s=TRIGGER_S
        )
        sources, find = sources_now(order.kafka, order.run), partial(find_records, order.kafka.client_config())
        made = SparkIngest(session, lake, sources, order.kafka.java_config(), settings, wait=_wait, find=find)
        stop.append(made.stop)
        if told_to_end.is_set():
            made.stop()
        made.run(once=order.once)
    finally:
        lake.close()


def _wait(attempt: int) -> None:
    """As long as the command does between the restarts of a query, about; they are few."""
    back_off(attempt)
    time.sleep(0.2 * attempt)
