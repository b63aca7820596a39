"""A whole run: vehicles set out, report, arrive, and the simulation ends."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from fleetlake.contracts.columns import FIRST_YEAR, LAST_YEAR
from fleetlake.foundation.errors import BadInput
from fleetlake.simulate.ahead import EncodeAhead, SendBehind
from fleetlake.simulate.events import EventBatch, Reporter
from fleetlake.simulate.faults import FaultRates, FaultySink, Tally
from fleetlake.simulate.fleet import draw_fleet
from fleetlake.simulate.motion import STEP_S, step
from fleetlake.simulate.rounds import RoundReport, observe
from fleetlake.simulate.route import london_to_birmingham
from fleetlake.simulate.sink import EventSink
from fleetlake.simulate.truth import Truth, prepare_folder
from fleetlake.simulate.world import World

ROWS_AT_ONCE = 20_000  # vehicles' reports that are encoded together, unless the run is paced: several ticks, or a part of one
MAX_VEHICLES, MAX_TICK_S = 1_000_000, 60
SLOWEST_SPEEDUP, MAX_GPS_NOISE_M = 0.001, 1_000.0
YEARS = (FIRST_YEAR, LAST_YEAR)  # an id's time counts from 1970
FLEET_NAME = re.compile("[A-Za-z0-9_-]{1,40}")
LOOK_AROUND_S = 3  # weather, traffic and incidents are looked at this often


@dataclass(frozen=True, slots=True)
class SimulationSettings:
    """vehicles: how many. tick_s: whole seconds between reports. seed: everything follows from it and the other settings.

    speedup: simulated seconds per second, None for as fast as it goes. gps_noise_m: standard deviation of the fixes' positions, to
    the north and to the east; distances from noisy fixes are too long. fleet: what device ids begin with, sim<seed> if it is empty:
    a vehicle can't be in two places, so runs of one time want fleets of their own. BadInput if a value is out of range.
    """

    vehicles: int
    start_time: datetime
    tick_s: int = 3
    seed: int = 1
    speedup: float | None = None
    gps_noise_m: float = 0.0
    fleet: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.vehicles <= MAX_VEHICLES:
            raise BadInput(f"{self.vehicles} vehicles", allowed=f"1 to {MAX_VEHICLES:,}")
        if not 1 <= self.tick_s <= MAX_TICK_S:
            raise BadInput(f"a tick of {self.tick_s} s", allowed=f"1 to {MAX_TICK_S} s")
        if self.speedup is not None and not self.speedup >= SLOWEST_SPEEDUP:
            raise BadInput(f"a speed-up of {self.speedup:g}", allowed=f"{SLOWEST_SPEEDUP:g} or more, or max")
        if self.seed < 0:
            raise BadInput(f"seed {self.seed}", allowed="0 or more")
        if not 0 <= self.gps_noise_m <= MAX_GPS_NOISE_M:
            raise BadInput(f"GPS noise of {self.gps_noise_m:g} m", allowed=f"0 to {MAX_GPS_NOISE_M:g} m")
        if self.start_time.tzinfo is None or not YEARS[0] <= self.start_time.astimezone(UTC).year <= YEARS[1]:
            raise BadInput(f"a start at {self.start_time.isoformat()}", allowed=f"with a time zone, years {YEARS[0]} to {YEARS[1]}")

        if not FLEET_NAME.fullmatch(self.fleet_name):
            raise BadInput(f"a fleet called {self.fleet!r}", allowed="1 to 40 letters, digits, dashes and underscores")

    @property
    def fleet_name(self) -> str:
        return self.fleet or f"sim{self.seed}"

    @property
    def fingerprint(self) -> str:
        """32 hex digits that follow from every setting that changes an event, so not from the speed-up."""
        known = asdict(self) | {"speedup": None, "start_time": self.start_ms, "fleet": self.fleet_name}
        return hashlib.blake2b(json.dumps(known, sort_keys=True).encode(), digest_size=16).hexdigest()

    @property
    def start_ms(self) -> int:
        return round(self.start_time.timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class SimulationReport:
    """tallies: topic to what was sent. first, last: event times of the run. route_km: how far each vehicle went."""

    tallies: Mapping[str, Tally]
    vehicles: int
    arrived: int
    ticks: int
    first: datetime
    last: datetime
    route_km: float
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class Tick:
    """What happened up to now. arrived: vehicles that are in Birmingham."""

    number: int
    time_s: float
    report: RoundReport
    arrived: int


class Journey:
    """The world, the route and the fleet of one run."""

    def __init__(self, settings: SimulationSettings) -> None:
        self.settings = settings
        self.route = london_to_birmingham()
        self.world = World(self.route, settings.seed, settings.start_ms)
        self._rng = np.random.default_rng([settings.seed, 0])
        self.fleet = draw_fleet(settings.vehicles, self.route, settings.tick_s, self._rng, name=settings.fleet_name)
        run, noise_m = int(settings.fingerprint, 16), settings.gps_noise_m
        self.reporter = Reporter(self.fleet, self.route, self.world, settings.seed, run=run, gps_noise_m=noise_m)
        self.truth = Truth(self.fleet, self.route, settings.start_ms)

    def ticks(self) -> Iterator[Tick]:
        """Every tick, until all vehicles have reported their arrival."""
        number, time_s = 0, 0.0
        while not self.fleet.reported_arrival.all():
            around = self.world.around(self.fleet.along_m, time_s)
            report = observe(self.fleet, self.route, around, time_s, self.settings.start_ms, number)
            yield Tick(number, time_s, report, int(self.fleet.arrived.sum()))
            for i in range(round(self.settings.tick_s / STEP_S)):
                if i and i % LOOK_AROUND_S == 0:
                    around = self.world.around(self.fleet.along_m, time_s)
                step(self.fleet, self.route, around.slowing, time_s, self._rng)
                time_s += STEP_S
                self.truth.note(time_s)
            number += 1


def simulate_journey(settings: SimulationSettings) -> Iterator[list[EventBatch]]:
    """The events of a run, tick by tick: one batch of each of the five kinds."""
    journey = Journey(settings)
    with EncodeAhead(journey.reporter) as encoders:
        for tick in journey.ticks():
            if len(tick.report.who) and (batches := encoders.exchange([tick.report])):
                yield batches
        yield encoders.exchange([])


def produce_data_to_kafka(sink: EventSink, batch: EventBatch) -> None:
    """Sends one batch, keyed by device. Returns when it is queued; `sink.flush` waits for the broker."""
    sink.send(batch.event, batch.keys, batch.values)


def run_simulation(
    settings: SimulationSettings,
    sink: EventSink,
    *,
    faults: FaultRates = FaultRates(),  # noqa: B008  # frozen
    truth_folder: Path | None = None,
    on_tick: Callable[[Tick], None] = lambda tick: None,
    stopped: Callable[[], bool] = lambda: False,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> SimulationReport:
    """Drives all vehicles from London to Birmingham and sends their events; returns when all have arrived and all is delivered.

    stopped: asked after each tick; once it says so, what was reported by then is sent, late events too, and the run ends there.
    With a speed-up each tick is sent when its time has come; what is sent, per topic and in which order, does not depend on it.
    Raises what the sink raises, and BadInput, before anything is sent, if the truth can't be written.
    """
    if truth_folder is not None:
        prepare_folder(truth_folder)
    journey, began = Journey(settings), clock()
    faulty = FaultySink(sink, faults, settings.seed)
    paced = settings.speedup is not None
    waiting: list[RoundReport] = []
    tick = None
    with EncodeAhead(journey.reporter) as encoders, SendBehind(faulty.send) as sender:

        def send(reports: Sequence[RoundReport]) -> None:
            sender.send(encoders.exchange(reports))

        for tick in journey.ticks():
            if settings.speedup is not None:
                sleep(max(0.0, began + tick.time_s / settings.speedup - clock()))
            for part in tick.report.parts(ROWS_AT_ONCE):
                waiting.append(part)
                if paced or sum(len(report.who) for report in waiting) >= ROWS_AT_ONCE:
                    send(waiting)
                    waiting = []
            if paced:
                send([])
                sender.wait()
            on_tick(tick)
            if stopped():
                break
        send(waiting)
        send([])
    faulty.finish()
    if truth_folder is not None:
        journey.truth.write(truth_folder)
    ticks = tick.number + 1 if tick else 0
    last_ms = settings.start_ms + (ticks - 1) * settings.tick_s * 1000
    return SimulationReport(
        tallies=faulty.tallies,
        vehicles=settings.vehicles,
        arrived=int(journey.fleet.arrived.sum()),
        ticks=ticks,
        first=settings.start_time,
        last=datetime.fromtimestamp(last_ms / 1000, UTC),
        route_km=journey.route.length_m / 1000,
        elapsed_s=clock() - began,
    )
