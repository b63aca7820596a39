"""What all runs share: the broker, Iceberg's Java reader, and an S3 server and a Spark for those that need one."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

from fleetlake.broker.embedded import EmbeddedBroker
from fleetlake.runtime.spark_cluster import SparkCluster
from fleetlake.runtime.spark_cluster_state import WorkerSize
from tests.aws_server import AwsServer, aws_server
from tests.conftest import free_ports
from tests.faults.kafka_cluster import KafkaCluster
from tests.faults.spark_host import SparkHost
from tests.forking import forking
from tests.glue_front import GlueFront, glue_front
from tests.java_reader import JavaReader
from tests.s3_server import S3Server, s3_server


class Servers:
    """broker: runs already, and is not ended here. The context ends what was started in it."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self.broker = broker
        self._stack = ExitStack()
        self._host: SparkHost | None = None
        self._host_on_cluster: SparkHost | None = None

    def __enter__(self) -> Servers:
        return self

    def __exit__(self, *_: object) -> None:
        for host in filter(None, (self._host, self._host_on_cluster)):
            host.stop()
        self._stack.close()

    @property
    def spark(self) -> SparkHost:
        """Started when it is first asked for, and after it was killed."""
        if self._host is None or not self._host.process.is_alive():
            self._host = SparkHost(forking(), self._spark_folder)
        return self._host

    @property
    def spark_on_cluster(self) -> SparkHost:
        """The same on a cluster of two workers, whose executors are processes of their own."""
        if self._host_on_cluster is None or not self._host_on_cluster.process.is_alive():
            self._host_on_cluster = SparkHost(forking(), self._spark_folder, self.spark_cluster.state().url)
        return self._host_on_cluster

    @cached_property
    def spark_cluster(self) -> SparkCluster:
        port = free_ports()
        made = SparkCluster(self._spark_folder, port, port + 1)
        made.start(2, WorkerSize(cores=1, memory_mb=1024))
        self._stack.callback(made.stop)
        return made

    @cached_property
    def _spark_folder(self) -> Path:
        return Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-spark-")))

    @cached_property
    def cluster(self) -> KafkaCluster:
        """Three brokers, started when they are first asked for."""
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-cluster-"))
        made = KafkaCluster(Path(folder), free_ports(4))
        self._stack.callback(made.stop)
        made.start()
        return made

    @cached_property
    def aws(self) -> AwsServer:
        """A stand-in for Glue, started when it is first asked for."""
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-aws-"))
        return self._stack.enter_context(aws_server(Path(folder), free_ports()))

    @cached_property
    def glue(self) -> GlueFront:
        """The door before it, which compares versions as AWS does."""
        return self._stack.enter_context(glue_front(self.aws.endpoint))

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
