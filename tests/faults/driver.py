"""An ingest in a process of its own, cut in at the steps it is told. Forked from a process that has imported everything."""

from __future__ import annotations

import faulthandler
import json
import os
import pickle
import random
import signal
import sys
import threading
import time
import traceback
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException

from fleetlake.broker.settings import KafkaSettings
from fleetlake.broker.topics import cluster_id, stable_ends, topic_ids, watermarks
from fleetlake.contracts.events import GPS, VEHICLE, Event
from fleetlake.foundation.errors import FleetlakeError, Retryable
from fleetlake.foundation.steps import Step
from fleetlake.ingest.flush import FlushPolicy
from fleetlake.ingest.native import IngestSettings, NativeIngest
from fleetlake.ingest.offsets import KafkaTopicState
from fleetlake.lake.catalog import Lake, LakeSettings, open_lake
from fleetlake.lake.commits import Conflict, commit
from tests.faults.clocks import CLOCK

METADATA_WRITTEN = "metadata_written"  # inside the catalog, just before its swap
ANSWERED = "answered"  # the catalog has swapped; who asked for it does not know yet
PLACES = (*Step, METADATA_WRITTEN)
LONGEST_WAIT_S = 0.2
INGESTED = (VEHICLE, GPS)  # two kinds show what five would, in less time


class Deed(StrEnum):
    """What a cut does to its own process."""

    KILL = "kill -9"
    PAUSE = "pause"  # SIGSTOP: it goes on when somebody sends SIGCONT
    TERMINATE = "terminate"  # SIGTERM
    DELAY = "delay"
    CONFLICT = "conflict"  # somebody else commits to every table
    SET_CLOCK = "set clock"  # of this process, `seconds` ahead of the real one


class Answer(StrEnum):
    """What becomes of a request to the catalog."""

    GIVEN = "given"
    REFUSED = "refused"
    LOST = "lost"  # it never arrived
    LANDED = "landed"  # it arrived, its answer was lost
    LATE = "late"  # it arrives when somebody delivers it


@dataclass(frozen=True, slots=True)
class Cut:
    """Does `deed` the `nth` time (from 1) that `place` is reached."""

    place: str
    nth: int
    deed: Deed
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Order:
    """What to ingest and what is to go wrong.

    run: ends the names of its topics. out: folder for `outcome.json` and late requests. answers: of the catalog, to its first
    requests. clock_s: how far its clock is ahead at first. clock_jumps_s: drawn from at each look at the clock.
    """

    lake: LakeSettings
    kafka: KafkaSettings
    run: str
    out: Path
    flush_rows: int
    once: bool = False
    accept_gaps: bool = False
    flush_age_s: float = 0.03
    offsets_age_s: float = 60.0
    watch_every_s: float = 10.0
    cuts: tuple[Cut, ...] = ()
    answers: tuple[Answer, ...] = ()
    clock_s: int = 0
    clock_jumps_s: tuple[int, ...] = ()


def run(work: Callable[[threading.Event], None], out: Path) -> None:
    """The forked process: writes its outcome and ends with exit code 0; whatever kills it leaves no outcome.

    work: is given an event that SIGTERM sets.
    """
    told_to_end = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told_to_end.set())
    log = os.open(out / "stderr.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, sys.stderr.fileno())
    faulthandler.register(signal.SIGUSR1, file=log)  # all threads' stacks, when somebody has waited for it in vain
    tell_outcome(lambda: work(told_to_end), out)


def tell_outcome(work: Callable[[], None], out: Path) -> None:
    """Does it, and writes how it ended to `out`."""
    try:
        work()
        outcome = {"ended": "clean", "said": ""}
    except FleetlakeError as error:
        kind = Retryable if isinstance(error, Retryable) else type(error)
        outcome = {"ended": kind.__name__, "said": str(error)}
    except BaseException as error:
        traceback.print_exc()
        outcome = {"ended": type(error).__name__, "said": repr(error)[:2000]}
    (out / "outcome.part").write_text(json.dumps(outcome))
    (out / "outcome.part").rename(out / "outcome.json")


def ingest(order: Order, told_to_end: threading.Event) -> None:
    CLOCK.shift(order.clock_s)
    if order.clock_jumps_s:
        CLOCK.jump(order.clock_jumps_s)
    lake = open_lake(order.lake)
    at = cut_in(lake, order.cuts, order.lake)
    _Catalog(lake, order.answers, order.out)
    sources = sources_now(order.kafka, order.run)
    settings = IngestSettings(
        flush=FlushPolicy(
            rows=order.flush_rows, age_s=order.flush_age_s, behind_age_s=order.flush_age_s, offsets_age_s=order.offsets_age_s
        ),
        accept_gaps=order.accept_gaps,
        watch_every_s=order.watch_every_s,
    )
    made = NativeIngest(lake, sources, order.kafka.client_config(), settings, wait=back_off, at=at)
    signal.signal(signal.SIGTERM, lambda *_: made.stop())
    if told_to_end.is_set():
        made.stop()
    made.run(once=order.once)


def topic_of(event: Event, run: str) -> str:
    """Topics of its own, so that all runs share one broker; the tables are named by the kind of event."""
    return f"{event.topic}.{run}"


def sources_now(kafka: KafkaSettings, run: str) -> dict[Event, KafkaTopicState]:
    topics = [topic_of(event, run) for event in INGESTED]
    cluster, ids, marks = cluster_id(kafka), topic_ids(kafka, topics), watermarks(kafka, topics)
    stable = stable_ends(kafka, marks)
    return {event: KafkaTopicState(t, cluster, ids[t], marks[t], stable[t]) for event, t in zip(INGESTED, topics, strict=True)}


def back_off(attempt: int) -> None:
    time.sleep(min(LONGEST_WAIT_S, 0.005 * 2**attempt) * random.uniform(0.5, 1))


def cut_in(lake: Lake, cuts: tuple[Cut, ...], settings: LakeSettings) -> Callable[[str], None]:
    """Cuts into the catalog's commits, and returns the callback for the other places: it counts, and does what was ordered.

    settings: of the same lake, for who is to interfere.
    """
    reached: Counter[str] = Counter()
    lock = threading.Lock()

    def at(place: str) -> None:
        with lock:
            reached[place] += 1
            nth = reached[place]
        for cut in cuts:
            if (cut.place, cut.nth) == (place, nth):
                _do(cut, settings)

    catalog: Any = lake.catalog
    commit_table, write_metadata = catalog.commit_table, catalog._write_metadata

    def write_and_cut(*args: Any, **kwargs: Any) -> None:
        write_metadata(*args, **kwargs)
        at(METADATA_WRITTEN)

    def commit_and_cut(*args: Any, **kwargs: Any) -> Any:
        answer = commit_table(*args, **kwargs)
        at(ANSWERED)
        return answer

    catalog.commit_table, catalog._write_metadata = commit_and_cut, write_and_cut
    return at


def _do(cut: Cut, settings: LakeSettings) -> None:
    match cut.deed:
        case Deed.KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        case Deed.PAUSE:
            # To the thread: sent to the process, this one runs on until another has seen to it, perhaps into a lock of the catalog.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
        case Deed.TERMINATE:
            os.kill(os.getpid(), signal.SIGTERM)
        case Deed.DELAY:
            time.sleep(cut.seconds)
        case Deed.CONFLICT:
            interfere(settings)
        case Deed.SET_CLOCK:
            CLOCK.shift(cut.seconds)


def interfere(settings: LakeSettings) -> None:
    """Commits to every table there is, changing nothing, as maintenance might."""
    other = open_lake(settings)
    try:
        for name in other.names():
            with suppress(Conflict):
                commit(other.table(name), properties={"interfered": uuid.uuid4().hex})
    finally:
        other.close()


class _Catalog:
    """Stands between the ingest and its catalog."""

    def __init__(self, lake: Lake, answers: tuple[Answer, ...], out: Path) -> None:
        self._answers, self._out = list(answers), out
        catalog: Any = lake.catalog
        self._commit, catalog.commit_table = catalog.commit_table, self._answer

    def _answer(self, table: Any, requirements: Any, updates: Any) -> Any:
        answer = self._answers.pop(0) if self._answers else Answer.GIVEN
        if answer is Answer.REFUSED:
            raise CommitFailedException("refused")
        if answer is Answer.LOST:
            raise CommitStateUnknownException("it never arrived")
        if answer is Answer.LATE:
            part = self._out / f"{time.monotonic_ns()}.part"
            part.write_bytes(pickle.dumps((".".join(table.name()), requirements, updates)))
            part.rename(part.with_suffix(".late"))
            raise CommitStateUnknownException("no answer yet")
        given = self._commit(table, requirements, updates)
        if answer is Answer.LANDED:
            raise CommitStateUnknownException("it landed, the answer was lost")
        return given
