"""What all runs share: the broker, Iceberg's Java reader, and an S3 server and a Spark for those that need one."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

from fleetlake.broker.embedded import EmbeddedBroker
from tests.conftest import free_ports
from tests.faults.spark_host import SparkHost
from tests.forking import forking
from tests.java_reader import JavaReader
from tests.s3_server import S3Server, s3_server


class Servers:
    """broker: runs already, and is not ended here. The context ends what was started in it."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self.broker = broker
        self._stack = ExitStack()
        self._host: SparkHost | None = None

    def __enter__(self) -> Servers:
        return self

    def __exit__(self, *_: object) -> None:
        if self._host:
            self._host.stop()
        self._stack.close()

    @property
    def spark(self) -> SparkHost:
        """Started when it is first asked for, and after it was killed."""
        if self._host is None or not self._host.process.is_alive():
            self._host = SparkHost(forking(), self._spark_folder)
        return self._host

    @cached_property
    def _spark_folder(self) -> Path:
        return Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-spark-")))

    @cached_property
    def java(self) -> JavaReader:
        """Started when it is first asked for."""
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-java-"))
        made = JavaReader(Path(folder) / "java.log")
        self._stack.callback(made.stop)
        return made

    @cached_property
    def s3(self) -> S3Server:
        """Started when it is first asked for."""
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-s3-"))
        return self._stack.enter_context(s3_server(Path(folder), free_ports()))
