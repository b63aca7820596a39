"""Our simulator, as `fleetlake simulate` runs it. Prints one JSON line.

python -m benchmarks.run_simulator '{"servers": "host:port", "rows": N}'  fills the topic; then what a run feeds a broker of its own
python -m benchmarks.run_simulator '{"in_memory": true}'                  what it makes: columns, and encoded events
python -m benchmarks.run_simulator '{"vehicles": 100000, "ticks": 150}'   the process's memory as it goes on
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import psutil

from benchmarks.load import START, fill
from benchmarks.rig import free_port
from fleetlake.broker.embedded import EmbeddedBroker
from fleetlake.broker.producer import EventProducer
from fleetlake.broker.settings import KafkaSettings
from fleetlake.broker.topics import ensure_topics
from fleetlake.contracts.events import EVENTS, Event
from fleetlake.simulate.events import KINDS
from fleetlake.simulate.run import Journey, SimulationSettings, run_simulation, simulate_journey
from fleetlake.simulate.sink import EventSink

TO_KAFKA = SimulationSettings(1_000, START)
WARM_UP_TICKS = 150  # what the broker's JVM needs to have compiled itself
TO_KAFKA_TICKS = 700  # 3.2 million events
IN_MEMORY = SimulationSettings(10_000, START)
IN_MEMORY_TICKS = 220  # 7.6 million events
MEMORY_EVERY_TICKS = 10


class Nowhere:
    """A sink that keeps nothing."""

    def send(self, event: Event, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        pass

    def flush(self) -> None:
        pass


def main() -> None:
    job = json.loads(sys.argv[1])
    if "ticks" in job:
        found = follow_memory(job["vehicles"], job["ticks"])
    elif job.get("in_memory"):
        found = make_in_memory()
    else:
        fill(KafkaSettings(job["servers"]), job["rows"])
        found = feed_kafka()
    print(json.dumps({"version": f"fleetlake {importlib.metadata.version('fleetlake')}", **found}), flush=True)


def feed_kafka() -> dict[str, Any]:
    """All five kinds of events, from the first tick to the last acknowledgement; without a pace, to a broker that is warm."""
    with tempfile.TemporaryDirectory(prefix="fleetlake-feed-") as home:
        broker = EmbeddedBroker(Path(home), free_port())
        broker.start()
        try:
            ensure_topics(broker.settings, [event.topic for event in EVENTS])
            with EventProducer(broker.settings) as producer:
                run_ticks(TO_KAFKA, WARM_UP_TICKS, producer)
                began, cpu_s = time.perf_counter(), time.process_time()
                sent = run_ticks(TO_KAFKA, TO_KAFKA_TICKS, producer)
                took_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_s
        finally:
            broker.stop()
    return {
        "events_per_s": sent / took_s,
        "cpu_s_per_million": cpu_s / sent * 1e6,
        "note": "one process, run_simulation, five kinds",
    }


def run_ticks(settings: SimulationSettings, ticks: int, sink: EventSink, look: Callable[[int], None] = lambda tick: None) -> int:
    """The first so many ticks of a run; how many events were sent. look: called with each tick's number, counted from 1."""
    numbers = iter(range(1, ticks + 1))

    def stopped() -> bool:
        look(number := next(numbers))
        return number == ticks

    return sum(tally.sent for tally in run_simulation(settings, sink, stopped=stopped).tallies.values())


def make_in_memory() -> dict[str, Any]:
    """Events of all five kinds: made as columns, a number or an index for each of their values; and encoded."""
    began, cpu_s = time.perf_counter(), time.process_time()
    columns = sum(len(tick.report.who) * len(KINDS) for tick in islice(Journey(IN_MEMORY).ticks(), IN_MEMORY_TICKS))
    columns_per_s = columns / (time.perf_counter() - began)
    began, cpu_s = time.perf_counter(), time.process_time()
    made = sum(len(batch.values) for batches in islice(simulate_journey(IN_MEMORY), IN_MEMORY_TICKS) for batch in batches)
    took_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_s
    return {
        "events_per_s": made / took_s,
        "cpu_s_per_million": cpu_s / made * 1e6,
        "columns_per_s": columns_per_s,
        "note": f"one process; encoded as JSON, one after the other; as columns alone {columns_per_s:,.0f}",
    }


def follow_memory(vehicles: int, ticks: int) -> dict[str, Any]:
    """MB of this process every MEMORY_EVERY_TICKS ticks, events encoded and sent nowhere."""
    process, resident_mb = psutil.Process(), []

    def look(tick: int) -> None:
        if tick % MEMORY_EVERY_TICKS == 0:
            resident_mb.append(round(process.memory_info().rss / 1e6))

    began = time.perf_counter()
    sent = run_ticks(SimulationSettings(vehicles, START), ticks, Nowhere(), look)
    return {"events_per_s": sent / (time.perf_counter() - began), "every_ticks": MEMORY_EVERY_TICKS, "resident_mb": resident_mb}


if __name__ == "__main__":
    main()
