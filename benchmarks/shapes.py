"""`python -m benchmarks.shapes`: native on 1 to 16 partitions and on 1, 2 and 5 topics, each on a broker of its own.

The events are the simulator's: vehicle events alone, with the GPS fix that goes with each, or all five kinds as they come.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from benchmarks.bars import Figures
from benchmarks.load import START, VEHICLES
from benchmarks.outputs import Output, read_back
from benchmarks.rig import Watched, free_port, used
from benchmarks.systems import SYSTEMS, Job
from fleetlake.broker.embedded import EmbeddedBroker
from fleetlake.broker.producer import EventProducer
from fleetlake.broker.settings import KafkaSettings
from fleetlake.broker.topics import ensure_topics
from fleetlake.contracts.events import EVENTS, GPS, VEHICLE, Event
from fleetlake.simulate.run import SimulationSettings, simulate_journey

ROWS, TIMEOUT_S = 1_000_000, 120.0
Part = tuple[Event, Sequence[bytes], Sequence[bytes]]


@dataclass(frozen=True, slots=True)
class Shape:
    """partitions: of each topic. events: whose topics are filled."""

    partitions: int
    events: tuple[Event, ...]

    @property
    def what(self) -> str:
        topics = f"{len(self.events)} topic{'s' if len(self.events) > 1 else ''}"
        return f"{topics}, {self.partitions} partition{'s' if self.partitions > 1 else ''} each"


SHAPES = (
    *(Shape(partitions, (VEHICLE,)) for partitions in (1, 2, 4, 8, 16)),
    Shape(4, (VEHICLE, GPS)),
    Shape(4, EVENTS),
)


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m benchmarks.shapes", description=__doc__)
    arguments.add_argument("--rows", type=int, default=ROWS)
    arguments.add_argument(
        "--into", type=Path, metavar="FILE", help="add the figures to those of `python -m benchmarks --json FILE`"
    )
    chosen = arguments.parse_args()
    found = []
    for shape in SHAPES:
        with tempfile.TemporaryDirectory(prefix="fleetlake-bench-") as name:
            found.append(measure_shape(shape, Path(name), chosen.rows))
        print(json.dumps(found[-1]), flush=True)
    if chosen.into:
        figures = json.loads(chosen.into.read_text())
        chosen.into.write_text(json.dumps(figures | {"shapes": found}, indent=1) + "\n")


def measure_shape(shape: Shape, folder: Path, rows: int) -> Figures:
    """Native from its start until all is in its tables; `failed` if they have not every event once."""
    broker = EmbeddedBroker(folder / "broker", free_port())
    broker.start()
    try:
        kafka = replace(broker.settings, partitions=shape.partitions)
        ensure_topics(kafka, [event.topic for event in EVENTS])
        sent = fill(kafka, shape.events, rows)
        home = folder / "home"
        home.mkdir()
        watched = Watched(SYSTEMS["native"].command(Job(broker.port, home, rows)), home, broker.port)
        try:
            ended = watched.wait(TIMEOUT_S)
        finally:
            watched.stop()
    finally:
        broker.stop()
    outputs = [Output(home / "catalog.db", "local", f"bronze.{event.kind}", "event_id", "event_time") for event in shape.events]
    found = {event: read_back(output) for event, output in zip(shape.events, outputs, strict=True)}
    result: Figures = {"what": shape.what, "rows": sum(sent.values())}
    if not ended or any((found[event].rows, found[event].distinct) != (sent[event], sent[event]) for event in shape.events):
        return result | {"failed": f"not every event is there once: {watched.last_words()}"}
    last = max(one.last_commit_at for one in found.values())
    spent = used(watched.samples, watched.started, last)
    if spent.first_at is None or spent.first_at >= last:
        return result | {"failed": "when it read its first record was not seen"}
    return result | {
        "events_per_s": result["rows"] / (last - spent.first_at),
        "active_cpu_s_per_million": spent.active_cpu_s / result["rows"] * 1e6,
        "peak_mb": spent.peak_mb,
    }


def fill(kafka: KafkaSettings, events: tuple[Event, ...], rows: int) -> dict[Event, int]:
    """Sends at least `rows` events of these kinds, in the simulator's proportions; returns how many of each."""
    sent = dict.fromkeys(events, 0)
    with EventProducer(kafka) as producer:
        for event, keys, values in _parts():
            if event in sent:
                producer.send(event, keys, values)
                sent[event] += len(values)
            if sum(sent.values()) >= rows:
                break
    return sent


def _parts() -> Iterator[Part]:
    ticks = simulate_journey(SimulationSettings(VEHICLES, START, seed=1))
    return ((batch.event, batch.keys, batch.values) for batch in chain.from_iterable(ticks))


if __name__ == "__main__":
    began = time.monotonic()
    main()
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
