"""What happens in a scenario, step by step. An act's text is the plan that is printed when its seed fails."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import psutil
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

from fleetlake.broker.topics import ensure_topics
from fleetlake.foundation.errors import Retryable
from fleetlake.maintain.retention import ExpiryPolicy
from tests.faults.driver import INGESTED, Answer, Cut, interfere, topic_of
from tests.faults.ingests import wait_for
from tests.faults.records import Mix
from tests.faults.s3_proxy import Upset
from tests.faults.world import RETRYABLE, World

FINE = ("clean",)
USUAL = Mix()


class Act(Protocol):
    def do(self, world: World) -> None: ...


@dataclass(frozen=True, slots=True)
class Produce:
    count: int
    mix: Mix = USUAL

    def do(self, world: World) -> None:
        world.produce(self.count, self.mix)


@dataclass(frozen=True, slots=True)
class Load:
    """Sends on and on, until the scenario settles: ten records to each topic at a time."""

    mix: Mix = USUAL
    every_s: float = 0.01

    def do(self, world: World) -> None:
        world.load(self.mix, self.every_s)


@dataclass(frozen=True, slots=True)
class Start:
    """An ingest begins, with what is to go wrong in it."""

    name: str = "a"
    cuts: tuple[Cut, ...] = ()
    answers: tuple[Answer, ...] = ()
    once: bool = False
    accept_gaps: bool = False
    clock_jumps_s: tuple[int, ...] = ()
    offsets_age_s: float = 60.0
    watch_every_s: float = 10.0

    def do(self, world: World) -> None:
        world.start(
            self.name,
            lambda order: replace(
                order, cuts=self.cuts, answers=self.answers, once=self.once, accept_gaps=self.accept_gaps,
                clock_jumps_s=self.clock_jumps_s, offsets_age_s=self.offsets_age_s, watch_every_s=self.watch_every_s,
            ),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class End:
    """Waits until an ingest has ended, as it may."""

    name: str = "a"
    allowed: tuple[str, ...] = FINE

    def do(self, world: World) -> None:
        world.end(self.name, self.allowed)


@dataclass(frozen=True, slots=True)
class Storm:
    """S3 does this and then that to requests, for so long each; an ingest is started again whenever it ends with what may pass.

    phases: seconds, and shares of requests. It is told to end in good weather.
    """

    phases: tuple[tuple[float, Mapping[Upset, float]], ...]
    name: str = "a"

    def do(self, world: World) -> None:
        world.start(self.name)
        for seconds, shares in self.phases:
            SetWeather(shares).do(world)
            end_at = time.monotonic() + seconds
            while (left_s := end_at - time.monotonic()) > 0:
                world.ingests[self.name].process.join(left_s)
                if not world.ingests[self.name].process.is_alive():
                    world.end(self.name, RETRYABLE)
                    world.start(self.name)
        SetWeather({}).do(world)
        world.ingests[self.name].signal(signal.SIGTERM)
        world.end(self.name, RETRYABLE)


@dataclass(frozen=True, slots=True)
class SetWeather:
    """What requests to S3 meet from now on, but for the oracle's."""

    shares: Mapping[Upset, float]

    def do(self, world: World) -> None:
        assert world.proxy is not None
        world.proxy.set_weather(self.shares)


@dataclass(frozen=True, slots=True)
class Signal:
    """after_s: waits before."""

    number: int
    name: str = "a"
    after_s: float = 0.0

    def do(self, world: World) -> None:
        world.ingests[self.name].await_end(self.after_s)
        world.ingests[self.name].signal(self.number)


@dataclass(frozen=True, slots=True)
class AwaitPause:
    """Until an ingest has stopped itself."""

    name: str = "a"

    def do(self, world: World) -> None:
        ingest = world.ingests[self.name]
        wait_for(lambda: ingest.is_paused() or not ingest.process.is_alive(), f"{self.name} to pause")


@dataclass(frozen=True, slots=True)
class AwaitRows:
    """Until the tables have at least so many rows in all."""

    rows: int

    def do(self, world: World) -> None:
        def landed() -> bool:
            nothing_runs = all(ingest.is_over for ingest in world.ingests.values())  # before the rows are counted
            with suppress(Retryable):  # the catalog is locked just now
                count = world.landed()
                if count < self.rows and nothing_runs:
                    said = ", ".join(f"{name}: {ingest.ended()}" for name, ingest in world.ingests.items())
                    raise AssertionError(f"nothing runs any more, and there are {count} of {self.rows} rows: {said}")
                return count >= self.rows
            return False

        wait_for(landed, f"{self.rows} rows")


@dataclass(frozen=True, slots=True)
class DeliverLate:
    def do(self, world: World) -> None:
        world.deliver_late()


@dataclass(frozen=True, slots=True)
class Interfere:
    """Somebody else commits to all tables."""

    def do(self, world: World) -> None:
        interfere(world.lake)


@dataclass(frozen=True, slots=True)
class Maintain:
    """Small files are put together, and snapshots expired with their files, beside whatever else is going on.

    rounds: over all tables, which are waited for; None: again and again, until it is told to end.
    """

    expiry: ExpiryPolicy
    name: str = "m"
    rounds: int | None = None
    cuts: tuple[Cut, ...] = ()

    def do(self, world: World) -> None:
        world.start_maintenance(self.name, self.expiry, rounds=self.rounds, cuts=self.cuts)
        if self.rounds is not None and not self.cuts:
            world.end(self.name, FINE)


@dataclass(frozen=True, slots=True)
class Transform:
    """Silver and gold are brought up to date, beside whatever else is going on; it is waited for."""

    cuts: tuple[Cut, ...] = ()
    name: str = "t"

    def do(self, world: World) -> None:
        world.start_transform(self.name, self.cuts)
        world.end(self.name, RETRYABLE)


@dataclass(frozen=True, slots=True)
class SetClock:
    """The clocks of processes that begin from now on are so far ahead of the real one, or behind it."""

    seconds: int

    def do(self, world: World) -> None:
        world.clock_s = self.seconds


@dataclass(frozen=True, slots=True)
class LockCatalog:
    """Another program holds the catalog's database for itself while the scenario goes on."""

    seconds: float

    def do(self, world: World) -> None:
        database = world.lake.properties["uri"].removeprefix("sqlite:///").partition("?")[0]
        held = threading.Event()

        def hold() -> None:
            connection = sqlite3.connect(database, timeout=30, isolation_level=None)
            connection.execute("BEGIN EXCLUSIVE")
            held.set()
            time.sleep(self.seconds)
            connection.execute("ROLLBACK")
            connection.close()

        thread = threading.Thread(target=hold, name="lock")
        thread.start()
        world.stack.callback(thread.join)
        assert held.wait(30)


@dataclass(frozen=True, slots=True)
class MakeTopicsAnew:
    """The topics are deleted and made again; what was in them is no longer asked for."""

    def do(self, world: World) -> None:
        names = world.topics
        admin = AdminClient(world.kafka.client_config())
        for future in admin.delete_topics(names).values():
            future.result(30)
        wait_for(lambda: not set(names) & admin.list_topics(timeout=10).topics.keys(), "the topics to go")
        ensure_topics(world.kafka, names)


@dataclass(frozen=True, slots=True)
class AddPartitions:
    """Each topic has so many partitions from now on."""

    total: int

    def do(self, world: World) -> None:
        admin = AdminClient(world.kafka.client_config())
        for future in admin.create_partitions([NewPartitions(topic, self.total) for topic in world.topics]).values():
            future.result(30)

        def led() -> bool:
            shown = admin.list_topics(timeout=10).topics
            parts = [list(shown[topic].partitions.values()) for topic in world.topics]
            return all(len(of) == self.total and all(part.leader >= 0 for part in of) for of in parts)

        wait_for(led, "the new partitions")
        world.renew_producer()


@dataclass(frozen=True, slots=True)
class DeleteFirstRecords:
    """Retention takes up to `by` of the first records of each partition from `partition` on. They are lost, and known to be."""

    partition: int
    by: int

    def do(self, world: World) -> None:
        admin, wanted = AdminClient(world.kafka.client_config()), []
        for topic in world.topics:
            ends: dict[int, int] = {}
            for partition, offset in world.records[topic]:
                ends[partition] = max(ends.get(partition, 0), offset + 1)
            wanted += [TopicPartition(topic, p, min(self.by, end)) for p, end in ends.items() if p >= self.partition]
        assert wanted, "no record is in a new partition"
        for future in admin.delete_records(wanted).values():
            future.result(30)


@dataclass(frozen=True, slots=True)
class DeleteRecords:
    """Retention runs past what was ingested, by up to `by` records of each partition. They are lost, and known to be."""

    by: int

    def do(self, world: World) -> None:
        admin, wanted = AdminClient(world.kafka.client_config()), []
        for event in INGESTED:
            topic = topic_of(event, world.run)
            for partition, position in world.positions(event).items():
                end = max((offset for of, offset in world.records[topic] if of == partition), default=-1) + 1
                wanted.append(TopicPartition(topic, partition, min(position + self.by, end)))
        for future in admin.delete_records(wanted).values():
            future.result(30)


@dataclass(frozen=True, slots=True)
class Freeze:
    """What the tables hold now is all they may ever hold: later records are not theirs."""

    def do(self, world: World) -> None:
        world.frozen = {topic: dict(of) for topic, of in world.records.items()}


@dataclass(frozen=True, slots=True)
class FillDisk:
    """Nothing is left of the warehouse's disk but a few bytes."""

    spare_bytes: int

    def do(self, world: World) -> None:
        disk = world.folder / "warehouse"
        free = os.statvfs(disk)
        with suppress(OSError), (disk / "ballast").open("wb", buffering=0) as ballast:  # an ingest may fill it up first
            ballast.write(b"\0" * max(0, free.f_bavail * free.f_frsize - self.spare_bytes))


@dataclass(frozen=True, slots=True)
class FreeDisk:
    """There is room again, also for silver and gold."""

    def do(self, world: World) -> None:
        disk = world.folder / "warehouse"
        (disk / "ballast").unlink()
        subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)


@dataclass(frozen=True, slots=True)
class LoseCheckpoints:
    """What Spark knows of its offsets is gone, or is there again."""

    back: bool = False

    def do(self, world: World) -> None:
        kept, lost = world.folder / "checkpoints", world.folder / "lost"
        (lost if self.back else kept).rename(kept if self.back else lost)


@dataclass(frozen=True, slots=True)
class KillBroker:
    """kill -9, and after a while it is started again."""

    down_s: float

    def do(self, world: World) -> None:
        pid = world.broker.pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: world.broker.pid() is None, "the broker to be gone")
        time.sleep(self.down_s)
        world.broker.start()


@dataclass(frozen=True, slots=True)
class KillExecutor:
    """kill -9 of an executor of Spark's cluster as soon as one has said something for the nth time from now on.

    says: what it logs at that step of a task.
    """

    says: str
    nth: int = 1

    def do(self, world: World) -> None:
        assert world.executors is not None
        logs = world.executors.folder / "work"

        def counts() -> dict[Path, int]:
            return {log: log.read_text(errors="replace").count(self.says) for log in logs.glob("*/app-*/*/stderr")}

        before = counts()
        found: list[int] = []

        def killed() -> bool:
            for log, count in counts().items():
                if count - before.get(log, 0) >= self.nth:
                    for pid in _processes_in(log.parent):
                        with suppress(ProcessLookupError):  # it ended by itself just now; the next one that says it is killed
                            os.kill(pid, signal.SIGKILL)
                            found.append(pid)
            return bool(found)

        wait_for(killed, f"an executor to say {self.says}")


def _processes_in(folder: Path) -> list[int]:
    """Running processes whose working folder it is: an executor has one of its own."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if Path(process.cwd()) == folder:
                found.append(process.pid)
    return found


@dataclass(frozen=True, slots=True)
class CopyBroker:
    """A copy is made of all that the broker has, while it is down."""

    def do(self, world: World) -> None:
        world.broker.stop()
        shutil.copytree(world.broker.folder / "data", world.folder / "copy")
        world.broker.start()
        world.renew_producer()


@dataclass(frozen=True, slots=True)
class RestoreBroker:
    """The broker has what it had when it was copied, and nothing of what came after."""

    def do(self, world: World) -> None:
        world.broker.stop()
        shutil.rmtree(world.broker.folder / "data")
        shutil.copytree(world.folder / "copy", world.broker.folder / "data")
        world.broker.start()
        world.renew_producer()


def mount_small_disk(world: World, megabytes: int) -> None:
    """A disk of its own for the warehouse. Needs root."""
    disk = world.folder / "warehouse"
    Path(disk).mkdir(exist_ok=True)  # the watcher may have opened the lake first
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(disk)], check=True)
    world.stack.callback(subprocess.run, ["umount", "-l", str(disk)], check=True)
