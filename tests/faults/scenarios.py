"""The matrix: each scenario draws its acts from a seed."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random

from fleetlake.foundation.steps import Step
from fleetlake.ingest.offsets import IngestEngine
from fleetlake.lake.catalog import LakeSettings
from tests.faults.acts import (
    Act,
    AddPartitions,
    AwaitPause,
    AwaitRows,
    CopyBroker,
    DeleteFirstRecords,
    DeleteRecords,
    DeliverLate,
    End,
    FillDisk,
    FreeDisk,
    Freeze,
    Interfere,
    KillBroker,
    Load,
    LockCatalog,
    Maintain,
    MakeTopicsAnew,
    Produce,
    RestoreBroker,
    SetClock,
    SetWeather,
    Signal,
    Start,
    Storm,
    Transform,
    mount_small_disk,
)  # fmt: skip
from tests.faults.driver import ANSWERED, METADATA_WRITTEN, PLACES, Answer, Cut, Deed
from tests.faults.holes import (
    AwaitCompaction,
    AwaitPassed,
    CompactTopics,
    Ending,
    EndTransaction,
    NoteReadable,
    ProduceTombstones,
    ReadKafka,
    Retain,
    Transact,
    TransactAndVanish,
)
from tests.faults.maintainer import HARSH, SOFT
from tests.faults.oracle import Verdict
from tests.faults.records import Mix
from tests.faults.s3_proxy import Upset
from tests.faults.servers import Servers
from tests.faults.world import World, local_lake

FENCED = ("Fenced", "clean", "Retryable")
COMMIT_STEPS = (Step.FILES_WRITTEN, Step.STAGED, METADATA_WRITTEN, Step.SWAPPED, Step.COMMITTED)
ZOMBIE_STEPS = (Step.TABLE_LOADED, Step.TAKEN_OVER, Step.BATCH_READ, Step.DECODED, *COMMIT_STEPS, Step.GROUP_TOLD)
GOLD_SEEDS = 10  # silver and gold are rebuilt and compared in the first of so many seeds
Plan = Callable[[Random], list[Act]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """prepare: what the world needs before anything runs. own_broker: it is harmed, so it can't be shared.
    settles: whether an ingest may go on afterwards. sparse: not every offset is a record's. on_cluster: on three brokers, with
    `topic_config` for the topics. last: the ingest whose end says whether acknowledged records are lost.
    """

    name: str
    plan: Plan
    own_broker: bool = False
    settles: bool = True
    prepare: Callable[[World], None] = lambda world: None
    lake: Callable[[Path], LakeSettings] = local_lake
    on_s3: bool = False
    on_glue: bool = False
    on_cluster: bool = False
    on_executors: bool = False
    topic_config: Mapping[str, str] | None = None
    last: str = ""
    engine: IngestEngine = IngestEngine.NATIVE
    sparse: bool = False


def kill_at(place: str, random: Random) -> list[Act]:
    cuts = [Cut(place, random.randint(1, 4), Deed.KILL)]
    if place == Step.RELOADED:
        cuts = [Cut(Step.STAGED, nth, Deed.CONFLICT) for nth in range(3, 7)] + [Cut(place, random.randint(1, 2), Deed.KILL)]
    return [
        Produce(random.randint(20, 120)), Start(cuts=tuple(cuts)), Load(),
        Signal(signal.SIGKILL, after_s=4.0), End(allowed=("killed",)),
        Start("b", once=True), End("b"),
    ]  # fmt: skip


def kill_anytime(random: Random) -> list[Act]:
    acts: list[Act] = [Produce(random.randint(1, 100)), Load()]
    for _ in range(3):
        acts += [Start(), Signal(signal.SIGKILL, after_s=random.uniform(0.1, 0.7)), End(allowed=("killed",))]
    return acts


def zombie_at(place: str, random: Random) -> list[Act]:
    """Asleep while another takes over; awake again it has to notice, or to take over anew if it had not begun.

    Where another thread than the committing one falls asleep, it may hold the catalog's lock: the other ingest gives up then.
    """
    first = 3 if place in COMMIT_STEPS else 1
    others_end = ("clean", "Retryable") if place in (Step.BATCH_READ, Step.DECODED) else ("clean",)
    return [
        Produce(random.randint(40, 150)), Start(cuts=(Cut(place, random.randint(first, first + 1), Deed.PAUSE),)), Load(),
        AwaitPause(),
        Start("b", once=True), End("b", allowed=others_end), Signal(signal.SIGCONT), Signal(signal.SIGTERM, after_s=0.5),
        End(allowed=FENCED),
    ]  # fmt: skip


def answers(kinds: tuple[Answer, ...], random: Random) -> list[Act]:
    drawn = tuple(random.choices((Answer.GIVEN, *kinds), k=random.randint(3, 9)))
    return [
        Produce(random.randint(40, 150)), Start(answers=drawn), Load(), DeliverLate(), AwaitRows(60), DeliverLate(),
        Signal(signal.SIGTERM, after_s=random.uniform(0, 0.3)), End(allowed=("clean", "Fenced", "Retryable")),
    ]  # fmt: skip


def late_after_restart(random: Random) -> list[Act]:
    """The request is on its way, its sender is killed; it arrives before, while or after the next one takes over."""
    drawn = (*(Answer.GIVEN,) * random.randint(0, 4), Answer.LATE)
    after = Cut(random.choice([Step.TABLE_LOADED, Step.TAKEN_OVER, Step.STAGED, METADATA_WRITTEN]), 1, Deed.PAUSE)
    early = [DeliverLate()] if random.random() < 0.2 else []
    return [
        Produce(random.randint(60, 150)), Start(answers=drawn, cuts=tuple(Cut(Step.RELOADED, n, Deed.KILL) for n in (1, 2))),
        Signal(signal.SIGKILL, after_s=random.uniform(0.3, 0.6)), End(allowed=("killed",)), *early, Produce(random.randint(0, 50)),
        Start("b", cuts=(after,)), AwaitPause("b"), DeliverLate(), Signal(signal.SIGCONT, "b"),
        Signal(signal.SIGTERM, "b", after_s=0.5), End("b"),
    ]  # fmt: skip


def conflicts(random: Random) -> list[Act]:
    cuts = tuple(Cut(random.choice([Step.STAGED, Step.RELOADED, Step.FILES_WRITTEN]), n, Deed.CONFLICT) for n in range(2, 8))
    return [
        Produce(random.randint(60, 150)), Start(cuts=cuts), AwaitRows(40), Interfere(), Produce(40),
        Signal(signal.SIGTERM, after_s=0.3), End(),
    ]  # fmt: skip


def maintenance_at(place: str, random: Random) -> list[Act]:
    """The ingest sleeps at a step while its table's files are put together and all that is old goes; then both go on."""
    return [
        Produce(random.randint(80, 150)), Start("first", once=True), End("first"), Produce(random.randint(10, 100)),
        Start(cuts=(Cut(place, random.randint(2, 5), Deed.PAUSE),)), Load(every_s=0.05), AwaitPause(), Maintain(HARSH, rounds=1),
        Signal(signal.SIGCONT), Maintain(HARSH), AwaitRows(600), *ended("m"), Signal(signal.SIGTERM, after_s=0.2), End(),
    ]  # fmt: skip


def ended(name: str) -> list[Act]:
    return [Signal(signal.SIGTERM, name), End(name)]


def maintenance_beside(random: Random) -> list[Act]:
    """Readers have the time that they were promised."""
    acts: list[Act] = [Produce(random.randint(40, 150)), Load(every_s=0.05), Maintain(SOFT)]
    for _ in range(2):
        acts += [Start(), Signal(signal.SIGKILL, after_s=random.uniform(0.5, 1.5)), End(allowed=("killed",))]
    return [*acts, Start(), AwaitRows(random.randint(500, 1000)), *ended("m"), Signal(signal.SIGTERM), End()]


def maintenance_cut(deed: Deed, random: Random) -> list[Act]:
    """Of maintenance: killed in one of its commits, or asleep there until another has done its work."""
    cut = Cut(random.choice([METADATA_WRITTEN, ANSWERED]), random.randint(1, 4), deed)
    wake: list[Act] = [Signal(signal.SIGCONT, "cut"), AwaitRows(450)]
    if deed is Deed.KILL:
        wake = [End("cut", ("killed",))]
    return [
        Produce(random.randint(80, 150)), Start(), Load(every_s=0.1), AwaitRows(200), Maintain(HARSH, "cut", cuts=(cut,)),
        *([AwaitPause("cut")] if deed is Deed.PAUSE else []),
        Maintain(HARSH, rounds=1), AwaitRows(350), *wake, Maintain(HARSH, rounds=1),
        *(ended("cut") if deed is Deed.PAUSE else []), Signal(signal.SIGTERM), End(),
    ]  # fmt: skip


def terminate_at(place: str, random: Random) -> list[Act]:
    nth = random.randint(1, 3)
    return [
        Produce(random.randint(40, 150)), Load(), Start(cuts=(Cut(place, nth, Deed.TERMINATE), Cut(place, nth, Deed.DELAY, 0.05))),
        Signal(signal.SIGTERM, after_s=4.0), End(),
    ]  # fmt: skip


def sigterm_in_a_flush(random: Random) -> list[Act]:
    return terminate_at(random.choice([Step.BATCH_READ, Step.DECODED, *COMMIT_STEPS, Step.GROUP_TOLD]), random)


def flood(mix: Mix, random: Random) -> list[Act]:
    return [
        Produce(random.randint(20, 50)), Load(mix), Produce(random.randint(200, 400), mix),
        Start(), AwaitRows(random.randint(1, 600)), Signal(signal.SIGKILL, after_s=random.uniform(0, 0.4)),
        End(allowed=("killed",)), Produce(100, mix),
    ]  # fmt: skip


def clock_skew(random: Random) -> list[Act]:
    jumps = tuple(random.randint(-(10**6), 10**6) for _ in range(5))
    mix = Mix(skewed=0.3)
    return [
        Produce(random.randint(60, 150), mix), Start(clock_jumps_s=jumps), AwaitRows(40), Produce(60, mix),
        Signal(signal.SIGKILL, after_s=random.uniform(0, 0.3)), End(allowed=("killed",)),
        Start("b", clock_jumps_s=tuple(-jump for jump in jumps), once=True), End("b"),
    ]  # fmt: skip


MINUTE_S, DAY_S = 60, 86_400
CLOCKS_S = (-10 * MINUTE_S, -MINUTE_S, -DAY_S, DAY_S, -56 * 365 * DAY_S, 0)  # the last but one: a battery was empty, it is 1970


def clock_moves(random: Random, places: tuple[str, ...] = COMMIT_STEPS) -> tuple[Cut, ...]:
    """Within the commits of one process its clock goes back, and forward by a day and back."""
    moves = random.sample(range(1, 7), 3)
    return tuple(Cut(random.choice(places), nth, Deed.SET_CLOCK, random.choice(CLOCKS_S)) for nth in moves)


def clock_back(random: Random) -> list[Act]:
    """Between the commits of ingest, transform and maintenance, and within them; each may be on another machine."""
    acts: list[Act] = []
    for number in range(3):
        of_catalog = clock_moves(random, (METADATA_WRITTEN, ANSWERED))
        acts += [Produce(random.randint(40, 120)), SetClock(random.choice(CLOCKS_S))]
        acts += [Start(f"i{number}", once=True, cuts=clock_moves(random)), End(f"i{number}"), SetClock(random.choice(CLOCKS_S))]
        acts += random.choice(
            ([Maintain(HARSH, rounds=1)], [Maintain(HARSH, "m", rounds=1, cuts=of_catalog), End("m")], [Transform(of_catalog)])
        )
    return [*acts, SetClock(0)]


def clock_back_beside(random: Random) -> list[Act]:
    """A running ingest's clock moves while maintenance, whose clock is another, commits to the same tables."""
    return [
        Produce(random.randint(40, 120)), Load(every_s=0.1), SetClock(random.choice(CLOCKS_S)), Start(cuts=clock_moves(random)),
        AwaitRows(100), SetClock(random.choice(CLOCKS_S)), Maintain(HARSH, cuts=clock_moves(random, (METADATA_WRITTEN, ANSWERED))),
        AwaitRows(random.randint(250, 400)), *ended("m"), Signal(signal.SIGTERM), End(), SetClock(0),
    ]  # fmt: skip


def catalog_locked(random: Random) -> list[Act]:
    return [
        Produce(random.randint(60, 150)), Start(), AwaitRows(20), LockCatalog(random.uniform(0.1, 1.2)), Produce(60),
        Signal(signal.SIGTERM, after_s=random.uniform(0, 0.5)), End(allowed=("clean", "Retryable", "UnknownOutcome")),
    ]  # fmt: skip


def impatient(folder: Path) -> LakeSettings:
    """A catalog that waits for a lock for a tenth of a second only, so that it fails."""
    lake = local_lake(folder)
    return replace(lake, properties={**lake.properties, "uri": f"{lake.properties['uri']}?timeout=0.1"})


def disk_full(random: Random) -> list[Act]:
    return [
        Produce(random.randint(40, 100)), Start(), AwaitRows(20), FillDisk(random.choice([0, 5000, 20_000, 60_000])), Load(),
        Signal(signal.SIGTERM, after_s=random.uniform(0.5, 1.0)), End(allowed=("clean", "Retryable")),
        FreeDisk(),
    ]  # fmt: skip


def topic_made_anew(random: Random) -> list[Act]:
    return [
        Produce(random.randint(40, 100)), Start("first", once=True), End("first"), Freeze(), MakeTopicsAnew(),
        Produce(random.randint(0, 300)), Start("b", once=True), End("b", ("DataLoss",)),
    ]  # fmt: skip


def topic_made_anew_beside(random: Random) -> list[Act]:
    count = random.randint(40, 100)
    return [
        Produce(count), Start(), AwaitRows(2 * count), Freeze(), MakeTopicsAnew(), Produce(random.choice([10, 300])),
        Signal(signal.SIGTERM, after_s=3.0), End(allowed=("DataLoss", "clean", "Retryable")),
        Start("b", once=True), End("b", ("DataLoss",)),
    ]  # fmt: skip


def retention_overran(random: Random) -> list[Act]:
    return [
        Produce(random.randint(40, 100)), Start("first", once=True), End("first"), Produce(random.randint(60, 100)),
        DeleteRecords(random.randint(1, 20)), Start("b", once=True), End("b", ("DataLoss",)),
        Start("c", once=True, accept_gaps=True), End("c"), Produce(20),
    ]  # fmt: skip


def transactions(run: Callable[[Random], list[Act]], random: Random) -> list[Act]:
    """Of four producers, one of which may vanish; between them ingests, and retention behind what these could read."""
    acts: list[Act] = []
    still_open: list[str] = []
    vanishes_in = random.randrange(20)  # the broker takes ten seconds to notice, so it happens in few seeds only
    for turn in range(3):
        for _ in range(random.randint(2, 5)):
            acts += transact(random, still_open)
        if turn == vanishes_in and not still_open:
            acts.append(TransactAndVanish(random.randint(1, 20)))
        acts += [NoteReadable(), *run(random), ReadKafka()]
        if random.random() < 0.7:
            acts.append(Retain(half=random.random() < 0.3))
    acts += [EndTransaction(name, random.choice([Ending.COMMIT, Ending.ABORT, Ending.FENCE])) for name in still_open]
    return acts


def transact(random: Random, still_open: list[str]) -> list[Act]:
    """Ends a transaction that is open, or has a producer begin one; or sends records outside of any."""
    chosen = random.random()
    if still_open and chosen < 0.3:
        return [
            EndTransaction(
                still_open.pop(random.randrange(len(still_open))), random.choice([Ending.COMMIT, Ending.ABORT, Ending.FENCE])
            )
        ]
    if chosen > 0.9:
        return [Produce(random.randint(1, 20))]
    name = random.choice([name for name in ("p", "q", "r", "s") if name not in still_open] or ["t"])
    ending = random.choices([Ending.COMMIT, Ending.ABORT, Ending.FENCE, None], [4, 4, 1, 1 if name != "t" else 0])[0]
    if ending is None:
        still_open.append(name)
    return [Transact(name, random.randint(1, 30), ending)]


def ingest_once(random: Random) -> list[Act]:
    return [Start("once", once=True), End("once")]


def ingest_what_is_readable(random: Random) -> list[Act]:
    """Once, or until the tables say that they have all of it, and then it is killed or told to end."""
    if random.random() < 0.5:
        return ingest_once(random)
    number, allowed = random.choice([(signal.SIGKILL, ("killed",)), (signal.SIGTERM, ("clean",))])
    return [Start(offsets_age_s=0.2), AwaitPassed(), Signal(number, after_s=random.uniform(0, 0.3)), End(allowed=allowed)]


def compacted(random: Random) -> list[Act]:
    """Records are removed before, between and under ingests; the tables keep those that were read in time."""
    acts: list[Act] = [CompactTopics()]
    for _ in range(2):
        acts += [Produce(random.randint(30, 100), Mix(copies=0.5)), ProduceTombstones(random.randint(1, 10))]
        if random.random() < 0.5:
            acts.append(AwaitCompaction())
        if random.random() < 0.5:
            acts += [Start(), AwaitRows(1), Signal(signal.SIGKILL, after_s=random.uniform(0, 0.3)), End(allowed=("killed",))]
        acts += [Start("once", once=True), End("once"), ReadKafka()]
    return [*acts, AwaitCompaction(), Start("again", once=True), End("again"), Produce(random.randint(1, 20))]


def partition_added(random: Random) -> list[Act]:
    """Its records arrive while the ingest runs on."""
    count, more = random.randint(40, 100), random.randint(40, 100)
    return [
        Produce(count), Start(watch_every_s=random.uniform(0.2, 1)), AwaitRows(2 * count), AddPartitions(random.randint(3, 6)),
        Produce(more), AwaitRows(2 * (count + more)), Signal(signal.SIGTERM), End(),
    ]  # fmt: skip


def partition_added_and_kills(random: Random) -> list[Act]:
    acts: list[Act] = [Produce(random.randint(20, 100)), Load(every_s=0.05), Start("first", once=True), End("first")]
    for total in (3, 5):
        acts += [
            Start(watch_every_s=0.2), AddPartitions(total), Signal(signal.SIGKILL, after_s=random.uniform(0, 1.5)),
            End(allowed=("killed",)),
        ]  # fmt: skip
    return acts


def partition_added_and_retention(random: Random) -> list[Act]:
    """Its first records are deleted before an ingest has seen them."""
    return [
        Produce(random.randint(40, 100)), Start("first", once=True), End("first"), AddPartitions(random.randint(3, 6)),
        Produce(random.randint(80, 100)), DeleteFirstRecords(2, random.randint(1, 5)),
        Start("b", once=True), End("b", ("DataLoss",)), Start("c", once=True, accept_gaps=True), End("c"), Produce(20),
    ]  # fmt: skip


def partition_added_and_retention_beside(random: Random) -> list[Act]:
    count = random.randint(40, 100)
    return [
        Produce(count), Start(watch_every_s=0.3), AwaitRows(2 * count), Signal(signal.SIGSTOP), AddPartitions(random.randint(3, 6)),
        Produce(random.randint(80, 100)), DeleteFirstRecords(2, random.randint(1, 5)), Signal(signal.SIGCONT),
        End("a", ("DataLoss",)),
        Start("c", once=True, accept_gaps=True), End("c"), Produce(20),
    ]  # fmt: skip


def log_went_back(random: Random) -> list[Act]:
    """The broker has an older state again, and grows; never past where the table is, or far past it."""
    return [
        Produce(random.randint(40, 100)), CopyBroker(), Produce(random.randint(40, 100)), Start("first", once=True), End("first"),
        Freeze(), RestoreBroker(), Produce(random.choice([10, 60, 300])), Start("b", once=True), End("b", ("DataLoss",)),
        Start("c", once=True, accept_gaps=True), End("c", ("DataLoss",)),
    ]  # fmt: skip


def log_went_back_beside(random: Random) -> list[Act]:
    count, more = random.randint(40, 100), random.randint(40, 100)
    early = random.random() < 0.5  # then the client has seen the leader's epoch grow
    start: list[Act] = [Start(watch_every_s=0.5)]
    return [
        Produce(count), *([*start, AwaitRows(1)] if early else []), CopyBroker(), *([] if early else start), Produce(more),
        AwaitRows(2 * (count + more)),
        Freeze(), RestoreBroker(), Produce(random.choice([10, 60, 300])), End("a", ("DataLoss",)),
        Start("b", once=True), End("b", ("DataLoss",)),
    ]  # fmt: skip


def broker_killed(random: Random) -> list[Act]:
    return [
        Produce(random.randint(40, 150)), Start(watch_every_s=0.3), AwaitRows(random.randint(1, 40)),
        KillBroker(random.uniform(0, 1)),
        Produce(random.randint(20, 80)), Signal(signal.SIGTERM, after_s=1.0), End(),
    ]  # fmt: skip


def bad_weather(upsets: tuple[Upset, ...], most: float, random: Random) -> list[Act]:
    """S3 does it to some of the requests, from the start or only later; in between it may do it to all of them."""
    shares = {upset: random.uniform(most / 4, most) for upset in upsets}
    outage = {random.choice(upsets): 1.0}
    begin: list[Act] = [] if random.random() < 0.5 else [Start("first", once=True), End("first")]
    return [
        Produce(random.randint(40, 150)), *begin, Load(every_s=0.1),
        Storm(((random.uniform(1, 3), shares), (random.uniform(0, 1), outage), (random.uniform(0, 1), shares))),
    ]  # fmt: skip


def bad_weather_and_kills(random: Random) -> list[Act]:
    upsets = random.sample([upset for upset in Upset if upset is not Upset.HANG], 4)
    acts: list[Act] = [
        Produce(random.randint(1, 100)), Start("first", once=True), End("first"), Load(every_s=0.1),
        SetWeather({upset: random.uniform(0, 0.1) for upset in upsets}),
    ]  # fmt: skip
    for _ in range(3):
        acts += [Start(), Signal(signal.SIGKILL, after_s=random.uniform(0.4, 2)), End(allowed=("killed", "Retryable"))]
    return [*acts, SetWeather({})]


NATIVE: tuple[Scenario, ...] = (
    *(Scenario(f"kill -9 at {place}", partial(kill_at, place)) for place in PLACES),
    Scenario("kill -9 at any time", kill_anytime),
    *(Scenario(f"zombie paused at {place}", partial(zombie_at, place)) for place in ZOMBIE_STEPS),
    Scenario("commit landed, answer lost", partial(answers, (Answer.LANDED,))),
    Scenario("commit refused, lost or late", partial(answers, (Answer.REFUSED, Answer.LOST, Answer.LANDED, Answer.LATE))),
    Scenario("commit lands late, after a restart", late_after_restart),
    Scenario("conflicts with maintenance", conflicts),
    *(Scenario(f"maintenance in a commit, {place}", partial(maintenance_at, place)) for place in COMMIT_STEPS),
    Scenario("maintenance beside the ingest", maintenance_beside),
    Scenario("maintenance killed in a commit", partial(maintenance_cut, Deed.KILL)),
    Scenario("maintenance asleep in a commit", partial(maintenance_cut, Deed.PAUSE)),
    Scenario("SIGTERM in a flush", sigterm_in_a_flush),
    Scenario("flood of copies", partial(flood, Mix(copies=0.7))),
    Scenario("flood of late events", partial(flood, Mix(late=0.7))),
    Scenario("flood of poison", partial(flood, Mix(poison=0.7))),
    Scenario("clock skew", clock_skew),
    Scenario("clock set back", clock_back),
    Scenario("clock set back beside maintenance", clock_back_beside),
    Scenario("catalog locked", catalog_locked),
    Scenario("catalog locked, no patience", catalog_locked, lake=impatient),
    Scenario("disk full", disk_full, prepare=partial(mount_small_disk, megabytes=2)),
    Scenario("S3 answers 500 and 503", partial(bad_weather, (Upset.ERROR, Upset.SLOW_DOWN), 0.3), on_s3=True),
    Scenario("S3 resets connections", partial(bad_weather, (Upset.RESET, Upset.CUT), 0.2), on_s3=True),
    Scenario("S3 does it, its answer is lost", partial(bad_weather, (Upset.RESET_AFTER, Upset.ERROR_THOUGH_DONE), 0.2), on_s3=True),
    Scenario("S3 slow or silent", partial(bad_weather, (Upset.SLOW, Upset.HANG), 0.03), on_s3=True),
    Scenario("S3's bad day and kill -9", bad_weather_and_kills, on_s3=True),
    Scenario("topic made anew", topic_made_anew, settles=False),
    Scenario("topic made anew under the ingest", topic_made_anew_beside, settles=False),
    Scenario("retention overran the reader", retention_overran),
    Scenario("transactions and retention", partial(transactions, ingest_what_is_readable), sparse=True),
    Scenario("compacted topics", compacted, sparse=True),
    Scenario("broker killed and restarted", broker_killed, own_broker=True),
    Scenario("partition added under the ingest", partition_added),
    Scenario("partition added and kill -9", partition_added_and_kills),
    Scenario("partition added, retention took of it", partition_added_and_retention),
    Scenario("partition added, retention, under the ingest", partition_added_and_retention_beside),
    Scenario("log went back", log_went_back, own_broker=True, settles=False),
    Scenario("log went back under the ingest", log_went_back_beside, own_broker=True, settles=False),
)


def judge(world: World, scenario: Scenario) -> None:
    if scenario.own_broker:
        world.stop_load()
        world.read_kafka()
    if scenario.settles:
        world.settle()
    if scenario.sparse:
        world.read_kafka()
        world.check_verify()
    world.check_bronze()


def play(scenario: Scenario, seed: int, servers: Servers, *, gold: bool = False) -> Verdict:
    """One seed of a scenario; the verdict is the oracle's. gold: silver and gold are judged too."""
    with World(
        servers, scenario.name, seed, lake=scenario.lake, on_s3=scenario.on_s3, on_glue=scenario.on_glue,
        on_cluster=scenario.on_cluster, on_executors=scenario.on_executors, topic_config=scenario.topic_config,
        engine=scenario.engine, sparse=scenario.sparse,
    ) as world:  # fmt: skip
        try:
            scenario.prepare(world)
            for act in scenario.plan(world.random):
                act.do(world)
            if scenario.last:
                world.check_after_lost_log(scenario.last)
            else:
                judge(world, scenario)
            world.check_with_java()
            if gold and scenario.settles:
                world.check_silver_and_gold()
        except Exception as error:
            world.dump_stacks()
            world.verdict.wrong.append(f"{type(error).__name__}: {error}")
        return world.verdict
