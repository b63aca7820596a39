"""`python -m benchmarks.side_by_side`: each system on the same topic, one after the other; a JSON line for each phase."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from benchmarks.load import fill
from benchmarks.run_connect import free_port
from benchmarks.systems import SYSTEMS
from benchmarks.throughput import measure
from fleetlake.broker.embedded import EmbeddedBroker
from fleetlake.broker.topics import ensure_topics
from fleetlake.contracts.events import EVENTS


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--only", default=",".join(SYSTEMS), help=f"of {', '.join(SYSTEMS)}; comma-separated")
    arguments.add_argument("--rows", type=int, default=2_000_000)
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="fleetlake-bench-") as name:
        folder = Path(name)
        broker = EmbeddedBroker(folder, free_port())
        broker.start()
        try:
            ensure_topics(broker.settings, [event.topic for event in EVENTS])
            print(json.dumps({"simulator_to_kafka_per_s": fill(broker.settings, chosen.rows)}), flush=True)
            for system in chosen.only.split(","):
                for result in measure(SYSTEMS[system], broker.port, folder, chosen.rows):
                    print(json.dumps(result), flush=True)
        finally:
            broker.stop()


if __name__ == "__main__":
    main()
