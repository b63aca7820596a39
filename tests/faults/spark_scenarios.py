"""The matrix of the Spark engine: what its driver, its checkpoint, its topics and its tables can suffer."""

from __future__ import annotations

import signal
from functools import partial
from random import Random

from fleetlake.ingest.offsets import IngestEngine
from tests.faults.acts import (
    Act,
    AddPartitions,
    AwaitRows,
    CopyBroker,
    DeleteFirstRecords,
    DeleteRecords,
    End,
    Freeze,
    KillBroker,
    KillExecutor,
    Load,
    LoseCheckpoints,
    Maintain,
    MakeTopicsAnew,
    Produce,
    RestoreBroker,
    Signal,
    Start,
)
from tests.faults.holes import AwaitCompaction, CompactTopics, ProduceTombstones, ReadKafka
from tests.faults.maintainer import HARSH
from tests.faults.records import Mix
from tests.faults.scenarios import Scenario, ended, ingest_once, transactions


def driver_killed(random: Random) -> list[Act]:
    """At any time, from before its first commit on; the next one goes on from the checkpoint."""
    return [
        Produce(random.randint(20, 100)), Load(every_s=0.05), Start(), AwaitRows(random.choice([0, 1, 300])),
        Signal(signal.SIGKILL, after_s=random.uniform(0, 2)), End(allowed=("killed",)),
    ]  # fmt: skip


def sigterm_in_a_batch(random: Random) -> list[Act]:
    acts: list[Act] = [Produce(random.randint(20, 100)), Load(every_s=0.05)]
    for rows in (random.randint(1, 200), random.randint(300, 500)):
        acts += [Start(), AwaitRows(rows), Signal(signal.SIGTERM, after_s=random.uniform(0, 0.6)), End()]
    return acts


def maintenance_beside(random: Random) -> list[Act]:
    """Commits of the one and the other conflict."""
    return [
        Produce(random.randint(20, 100)), Load(every_s=0.05), Start(), AwaitRows(random.randint(50, 200)), Maintain(HARSH),
        AwaitRows(random.randint(500, 900)), *ended("m"), Signal(signal.SIGTERM), End(),
    ]  # fmt: skip


def flood(random: Random) -> list[Act]:
    mix = random.choice([Mix(copies=0.7), Mix(late=0.7), Mix(poison=0.7), Mix(skewed=0.3)])
    return [
        Produce(random.randint(20, 50)), Load(mix, every_s=0.05), Produce(random.randint(200, 400), mix), Start(),
        AwaitRows(random.randint(1, 800)), Signal(signal.SIGTERM, after_s=random.uniform(0, 0.5)), End(), Produce(100, mix),
    ]  # fmt: skip


def checkpoint_lost(random: Random) -> list[Act]:
    """Without it nobody knows which records a table has; it says so, and goes on when it is back."""
    return [
        Produce(random.randint(40, 100)), Start("first", once=True), End("first"), LoseCheckpoints(),
        Produce(random.randint(0, 50)), Start("b", once=True), End("b", ("BadInput",)), LoseCheckpoints(back=True),
    ]  # fmt: skip


def topic_made_anew(random: Random) -> list[Act]:
    return [
        Produce(random.randint(40, 100)), Start("first", once=True), End("first"), Freeze(), MakeTopicsAnew(),
        Produce(random.randint(0, 300)), Start("b", once=True), End("b", ("DataLoss",)),
    ]  # fmt: skip


def topic_made_anew_beside(random: Random) -> list[Act]:
    count = random.randint(40, 100)
    return [
        Produce(count), Start(), AwaitRows(2 * count), Freeze(), MakeTopicsAnew(), Produce(random.randint(1, 8)),
        End(allowed=("DataLoss",)), Start("b", once=True), End("b", ("DataLoss",)),
    ]  # fmt: skip


def retention_overran(random: Random) -> list[Act]:
    return [
        Produce(random.randint(40, 100)), Start("first", once=True), End("first"), Freeze(), Produce(random.randint(60, 100)),
        DeleteRecords(random.randint(1, 20)), Start("b", once=True), End("b", ("DataLoss",)),
    ]  # fmt: skip


def partition_added(random: Random) -> list[Act]:
    """Its records arrive while the query runs on."""
    count, more = random.randint(40, 100), random.randint(40, 100)
    return [
        Produce(count), Start(), AwaitRows(2 * count), AddPartitions(random.randint(3, 6)), Produce(more),
        AwaitRows(2 * (count + more)), Signal(signal.SIGTERM), End(),
    ]  # fmt: skip


def partition_added_and_retention(random: Random) -> list[Act]:
    """Its first records are deleted before a query has seen them."""
    return [
        Produce(random.randint(40, 100)), Start("first", once=True), End("first"), Freeze(), AddPartitions(random.randint(3, 6)),
        Produce(random.randint(80, 100)), DeleteFirstRecords(2, random.randint(1, 5)), Start("b", once=True),
        End("b", ("DataLoss",)),
    ]  # fmt: skip


def log_went_back(random: Random) -> list[Act]:
    """The broker has an older state again, and grows; never past where the table is, or far past it."""
    return [
        Produce(random.randint(40, 100)), CopyBroker(), Produce(random.randint(40, 100)), Start("first", once=True), End("first"),
        Freeze(), RestoreBroker(), Produce(random.choice([10, 300])), Start("b", once=True), End("b", ("DataLoss",)),
    ]  # fmt: skip


def broker_killed(random: Random) -> list[Act]:
    count = random.randint(40, 100)
    return [
        Produce(count), Start(), AwaitRows(random.randint(1, 2 * count)), KillBroker(random.uniform(0, 1)),
        Produce(random.randint(20, 80)), AwaitRows(2 * count + 40), Signal(signal.SIGTERM), End(),
    ]  # fmt: skip


def compacted(random: Random) -> list[Act]:
    acts: list[Act] = [CompactTopics()]
    for _ in range(2):
        acts += [Produce(random.randint(30, 100), Mix(copies=0.5)), ProduceTombstones(random.randint(1, 10))]
        acts += [AwaitCompaction()] if random.random() < 0.5 else []
        acts += [*ingest_once(random), ReadKafka()]
    return [*acts, AwaitCompaction(), *ingest_once(random), Produce(random.randint(1, 20))]


STEPS_OF_A_TASK = {
    "starts": "Running task", "writes": "is committing", "has written": "Committed partition", "is done": "Finished task",
}  # fmt: skip


def executor_killed(says: str, random: Random) -> list[Act]:
    """With others at work; its tasks run again, and what it had written of them must not count."""
    return [
        Produce(random.randint(20, 100)), Load(every_s=0.1), Start(), AwaitRows(random.choice([0, 50])),
        KillExecutor(says, random.randint(1, 3)), AwaitRows(random.randint(200, 400)), Signal(signal.SIGTERM), End(),
    ]  # fmt: skip


on_spark = partial(Scenario, engine=IngestEngine.SPARK)
SPARK: tuple[Scenario, ...] = (
    on_spark("SIGTERM in a micro-batch", sigterm_in_a_batch),
    on_spark("maintenance beside the ingest", maintenance_beside),
    on_spark("floods", flood),
    on_spark("checkpoint lost", checkpoint_lost),
    on_spark("topic made anew", topic_made_anew, settles=False),
    on_spark("topic made anew under the ingest", topic_made_anew_beside, settles=False),
    on_spark("retention overran the reader", retention_overran, settles=False),
    on_spark("broker killed and restarted", broker_killed, own_broker=True),
    on_spark("transactions and retention", partial(transactions, ingest_once), sparse=True),
    on_spark("compacted topics", compacted, sparse=True),
    on_spark("partition added under the ingest", partition_added),
    on_spark("partition added, retention took of it", partition_added_and_retention, settles=False),
    on_spark("log went back", log_went_back, own_broker=True, settles=False),
    on_spark("driver killed at any time", driver_killed),
    *(
        on_spark(f"executor killed as its task {step}", partial(executor_killed, says), on_executors=True)
        for step, says in STEPS_OF_A_TASK.items()
    ),
)
