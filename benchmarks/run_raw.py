"""The client's own limit: reads a topic's bytes in one or several processes. Prints one JSON line."""

from __future__ import annotations

import gc
import importlib.metadata
import json
import multiprocessing
import sys
import time
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from fleetlake.broker.settings import KafkaSettings
from fleetlake.broker.topics import watermarks
from fleetlake.contracts.events import VEHICLE
from fleetlake.ingest.reader import TUNING

BATCH = 20_000
Counted = tuple[int, float, float]  # messages, time of day of the first, of the last


def drain(servers: str, share: int, shares: int, found: multiprocessing.Queue[Counted]) -> None:
    gc.disable()
    marks = list(watermarks(KafkaSettings(servers), [VEHICLE.topic])[VEHICLE.topic].items())[share::shares]
    wanted, rows, first = sum(high for _, (_, high) in marks), 0, 0.0
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "raw"} | dict(TUNING) | {"enable.partition.eof": False})
    consumer.assign([TopicPartition(VEHICLE.topic, partition, 0) for partition, _ in marks])
    while rows < wanted:
        batch = consumer.consume(min(BATCH, wanted - rows), 1)  # a batch that can't fill up would wait out its second
        first = first or (time.time() if batch else 0.0)
        rows += sum(1 for message in batch if message.value())
    found.put((rows, first, time.time()))


def main() -> None:
    job: dict[str, Any] = json.loads(sys.argv[1])
    processes, found = job["processes"], multiprocessing.get_context("spawn").Queue()
    workers = [
        multiprocessing.get_context("spawn").Process(target=drain, args=(job["servers"], share, processes, found))
        for share in range(processes)
    ]
    for worker in workers:
        worker.start()
    done: list[Counted] = [found.get() for _ in workers]
    version = f"confluent-kafka {importlib.metadata.version('confluent-kafka')}"
    first, last = min(one[1] for one in done), max(one[2] for one in done)
    print(json.dumps({"version": version, "rows": sum(one[0] for one in done), "first_at": first, "last_at": last}), flush=True)
    for worker in workers:
        worker.join()


if __name__ == "__main__":
    main()
