"""Three brokers and a controller on ports of their own, small, kept for many runs: any of them can be killed and started again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from fleetlake.broker.embedded import new_cluster_id, properties_text
from fleetlake.broker.settings import KafkaSettings
from fleetlake.runtime.daemon import HOST, Daemon
from fleetlake.runtime.jars import KAFKA
from fleetlake.runtime.java import java_for_kafka
from tests.faults.ingests import wait_for

CONTROLLER, BROKERS = 0, (1, 2, 3)
JAVA = ("-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error")
FENCED_AFTER_MS = 3000  # a broker that is silent for so long leads nothing any more


@dataclass(frozen=True, slots=True)
class KafkaCluster:
    """folder: of all four. port: the controller's; the brokers have those after it. Topics have three replicas."""

    folder: Path
    port: int

    @property
    def settings(self) -> KafkaSettings:
        return KafkaSettings(",".join(f"{HOST}:{self.port + node}" for node in BROKERS))

    def start(self) -> None:
        """Makes the storage of all four and starts them; returns when each broker is in the cluster."""
        for node in (CONTROLLER, *BROKERS):
            self._properties(node).parent.mkdir(parents=True)
            self._properties(node).write_text(properties_text(self._configuration(node)))
        command = [*self._java(), "kafka.tools.StorageTool", "format", "-t", new_cluster_id()]
        subprocess.run([*command, "-c", str(self._properties(CONTROLLER))], check=True, stdout=subprocess.DEVNULL)
        for node in BROKERS:
            self._copy_storage(node)
        for node in (CONTROLLER, *BROKERS):
            self.start_node(node)
        self.await_brokers(BROKERS)

    def _copy_storage(self, node: int) -> None:
        """The controller's storage as a broker's: a JVM less for each."""
        made, copy = self._data(CONTROLLER), self._data(node)
        shutil.copytree(made, copy)
        lines = dict(line.split("=", 1) for line in (made / "meta.properties").read_text().splitlines() if "=" in line)
        of_node = lines | {"node.id": str(node), "directory.id": new_cluster_id()}
        (copy / "meta.properties").write_text("".join(f"{name}={value}\n" for name, value in of_node.items()))

    def start_node(self, node: int) -> None:
        """Starts one of them; does not wait for it."""
        daemon = self._daemon(node)
        daemon.release(daemon.start([*self._java(), "kafka.Kafka", str(self._properties(node))]))

    def kill_node(self, node: int, number: int = signal.SIGKILL) -> None:
        """Ends one of them by its process id, and waits until it is gone."""
        pid = self._daemon(node).pid()
        assert pid is not None, f"node {node} does not run"
        os.kill(pid, number)
        wait_for(lambda: self._daemon(node).pid() is None, f"node {node} to be gone")

    def runs(self, node: int) -> bool:
        return self._daemon(node).pid() is not None

    def start_all(self) -> None:
        """Starts those that do not run, and waits until each broker is in the cluster."""
        for node in (CONTROLLER, *BROKERS):
            if not self.runs(node):
                self.start_node(node)
        self.await_brokers(BROKERS)

    def stop(self) -> None:
        for node in (*BROKERS, CONTROLLER):
            if self.runs(node):
                self.kill_node(node)

    def await_brokers(self, nodes: Iterable[int]) -> None:
        """Until just these brokers are in the cluster, as one of them says."""
        wanted = set(nodes)
        bootstrap = ",".join(f"{HOST}:{self.port + node}" for node in wanted)
        wait_for(lambda: any(_listens(self.port + node) for node in wanted), "a broker to listen")
        admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})

        def are_in() -> bool:
            with suppress(KafkaException):  # just now none of them answers
                return set(admin.list_topics(timeout=10).brokers) == wanted
            return False

        wait_for(are_in, f"the brokers {sorted(wanted)} to be in the cluster")

    def await_in_sync(self, topics: Iterable[str], replicas: int) -> None:
        """Until each partition of the topics has a leader and so many replicas in sync."""
        names = list(topics)
        admin = AdminClient(self.settings.client_config() | {"log_level": 0})

        def in_sync() -> bool:
            with suppress(KafkaException):
                futures = admin.describe_topics(TopicCollection(names), request_timeout=10)
                partitions = [partition for future in futures.values() for partition in future.result(10).partitions]
                return all(partition.leader is not None and len(partition.isr) >= replicas for partition in partitions)
            return False

        wait_for(in_sync, f"{replicas} replicas in sync")

    def leaders(self, topics: Iterable[str]) -> list[int]:
        """The brokers that lead a partition of the topics."""
        admin, wanted = AdminClient(self.settings.client_config() | {"log_level": 0}), set(topics)
        shown = admin.list_topics(timeout=30).topics
        return sorted({partition.leader for name in wanted for partition in shown[name].partitions.values()})

    def _daemon(self, node: int) -> Daemon:
        return Daemon(self.folder / f"node-{node}", "node", mark=str(self._properties(node)))

    def _properties(self, node: int) -> Path:
        return self.folder / f"node-{node}" / "server.properties"

    def _data(self, node: int) -> Path:
        return self.folder / f"node-{node}" / "data"

    def _java(self) -> list[str]:
        return [java_for_kafka(), *JAVA, "-cp", ":".join(map(str, KAFKA.ensure()))]

    def _configuration(self, node: int) -> dict[str, object]:
        listener = "CONTROLLER" if node == CONTROLLER else "PLAINTEXT"
        return {
            "process.roles": "controller" if node == CONTROLLER else "broker",
            "node.id": node,
            "controller.quorum.voters": f"{CONTROLLER}@{HOST}:{self.port}",
            "listeners": f"{listener}://{HOST}:{self.port + node}",
            **({} if node == CONTROLLER else {"advertised.listeners": f"PLAINTEXT://{HOST}:{self.port + node}"}),
            "controller.listener.names": "CONTROLLER",
            "log.dirs": self._data(node),
            "default.replication.factor": len(BROKERS),
            "min.insync.replicas": 2,
            "offsets.topic.replication.factor": len(BROKERS),
            "offsets.topic.num.partitions": 1,
            "broker.session.timeout.ms": FENCED_AFTER_MS,
            "broker.heartbeat.interval.ms": 500,
            "replica.lag.time.max.ms": FENCED_AFTER_MS,
            "group.initial.rebalance.delay.ms": 0,
            "log.retention.ms": -1,
            "auto.create.topics.enable": "false",
            "controlled.shutdown.enable": "true",
        }


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0
