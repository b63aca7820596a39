"""What happens to a cluster of brokers in a scenario, step by step: acts as those of acts.py."""

from __future__ import annotations

from dataclasses import dataclass

from tests.faults.kafka_cluster import BROKERS, CONTROLLER, KafkaCluster
from tests.faults.world import World


@dataclass(frozen=True, slots=True)
class RollingRestart:
    """The nodes of the cluster end one after the other and are started again, each when the one before is in sync.

    nodes: with how each ends: SIGTERM or SIGKILL. The controller is a node too.
    """

    nodes: tuple[tuple[int, int], ...]

    def do(self, world: World) -> None:
        cluster = of_cluster(world)
        for node, number in self.nodes:
            cluster.kill_node(node, number)
            if node != CONTROLLER:
                cluster.await_brokers(set(BROKERS) - {node})
            cluster.start_all()
            cluster.await_in_sync(world.topics, len(BROKERS))


@dataclass(frozen=True, slots=True)
class KillNodes:
    """kill -9 of brokers; returns when the others know."""

    nodes: tuple[int, ...]

    def do(self, world: World) -> None:
        cluster = of_cluster(world)
        world.renew_producer()
        for node in self.nodes:
            cluster.kill_node(node)
        if left := {node for node in BROKERS if cluster.runs(node)}:
            cluster.await_brokers(left)


@dataclass(frozen=True, slots=True)
class StartNodes:
    """They are started again. Returns when each partition has a leader and as many replicas in sync as brokers run."""

    nodes: tuple[int, ...]

    def do(self, world: World) -> None:
        cluster = of_cluster(world)
        for node in self.nodes:
            cluster.start_node(node)
        running = {node for node in BROKERS if cluster.runs(node)}
        cluster.await_brokers(running)
        cluster.await_in_sync(world.topics, len(running))


def of_cluster(world: World) -> KafkaCluster:
    assert world.cluster is not None
    return world.cluster
