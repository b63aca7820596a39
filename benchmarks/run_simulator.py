"""Our simulator: fills the topic, or generates in memory. Prints one JSON line."""

from __future__ import annotations

import importlib.metadata
import json
import sys

from benchmarks.load import fill, simulate_in_memory
from fleetlake.broker.settings import KafkaSettings


def main() -> None:
    job = json.loads(sys.argv[1])
    rate = simulate_in_memory() if job["in_memory"] else fill(KafkaSettings(job["servers"]), job["rows"])
    print(json.dumps({"version": f"fleetlake {importlib.metadata.version('fleetlake')}", "events_per_s": rate}), flush=True)


if __name__ == "__main__":
    main()
