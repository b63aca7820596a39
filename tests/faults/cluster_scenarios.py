"""The matrix on three brokers: what replicas of a log can suffer."""

from __future__ import annotations

import signal
from functools import partial
from random import Random

from tests.faults.acts import Act, AwaitRows, End, Freeze, Load, Produce, Signal, Start
from tests.faults.cluster_acts import KillNodes, RollingRestart, StartNodes
from tests.faults.kafka_cluster import BROKERS, CONTROLLER
from tests.faults.scenarios import Scenario

UNCLEAN = {"unclean.leader.election.enable": "true", "min.insync.replicas": "1"}


def nodes(random: Random) -> tuple[tuple[int, int], ...]:
    drawn = random.sample((CONTROLLER, *BROKERS), random.randint(2, 4))
    return tuple((node, random.choice((signal.SIGTERM, signal.SIGKILL))) for node in drawn)


def rolling_restart_beside(random: Random) -> list[Act]:
    """Under a running ingest, and a producer whose records three brokers acknowledge."""
    return [
        Produce(random.randint(40, 120)), Start(), AwaitRows(random.randint(1, 60)), Load(every_s=0.1),
        RollingRestart(nodes(random)), Signal(signal.SIGTERM, after_s=random.uniform(0, 0.5)), End(allowed=("clean", "Retryable")),
    ]  # fmt: skip


def rolling_restart_between(random: Random) -> list[Act]:
    return [
        Produce(random.randint(40, 120)), Start("first", once=True), End("first"), Load(every_s=0.1), RollingRestart(nodes(random)),
        Start("b", once=True), End("b"), Produce(random.randint(0, 50)),
    ]  # fmt: skip


def unclean_election(random: Random, *, running: bool) -> list[Act]:
    """Two of three brokers end; the third acknowledges more records, and ends too; the two others come back without those, and take
    others at the same offsets. The ingest had read all, some or none of what is lost.
    """
    alone = random.choice(BROKERS)
    others = tuple(node for node in BROKERS if node != alone)
    count = random.randint(10, 80)
    acts: list[Act] = [Produce(random.randint(20, 80)), Start("a", once=not running)]
    acts += [AwaitRows(1)] if running else [End("a")]
    acts += [KillNodes(others), Produce(count)]
    if running:
        acts += [AwaitRows(random.choice((1, 2 * count)))]
    elif random.random() < 0.7:
        acts += [Start("a", once=True), End("a")]
    acts += [Freeze(), KillNodes((alone,)), StartNodes(others)]
    acts += [Produce(random.choice((0, count // 2, 2 * count))), StartNodes((alone,))]
    if running:
        acts += [Signal(signal.SIGTERM, "a", after_s=random.uniform(0, 1)), End("a", ("clean", "DataLoss", "Retryable"))]
    return [*acts, Start("b", once=True), End("b", ("clean", "DataLoss"))]


on_cluster = partial(Scenario, on_cluster=True, own_broker=True)
elected = partial(on_cluster, topic_config=UNCLEAN, last="b", settles=False)
ON_CLUSTER: tuple[Scenario, ...] = (
    on_cluster("rolling restart beside the ingest", rolling_restart_beside),
    on_cluster("rolling restart between ingests", rolling_restart_between),
    elected("unclean election under the ingest", partial(unclean_election, running=True)),
    elected("unclean election between ingests", partial(unclean_election, running=False)),
)
