"""Our Spark engine on local[2]: the topic into two lakes, one after the other in one JVM (cold, warm); live: until stopped."""

from __future__ import annotations

import importlib.metadata
import json
import sys
import time
from functools import partial
from pathlib import Path

from fleetlake.broker.records_at import find_records
from fleetlake.broker.settings import KafkaSettings
from fleetlake.broker.topics import cluster_id, topic_ids, watermarks
from fleetlake.contracts.events import VEHICLE
from fleetlake.ingest.offsets import KafkaTopicState
from fleetlake.ingest.spark.engine import APP_NAME, Sink, SparkIngest, SparkIngestSettings
from fleetlake.lake.catalog import LakeSettings, open_lake
from fleetlake.lake.spark import SparkSettings, attach, spark_session

MASTER, MEMORY = "local[2]", {"spark.driver.memory": "4g"}


def lake_settings(home: Path, phase: str) -> LakeSettings:
    uri, warehouse = f"sqlite:///{home}/{phase}.db", f"file://{home}/{phase}"
    return LakeSettings(f"bench_{phase}", {"type": "sql", "uri": uri, "warehouse": warehouse})


def main() -> None:
    job = json.loads(sys.argv[1])
    home, kafka = Path(job["home"]), KafkaSettings(job["servers"])
    source = KafkaTopicState(
        VEHICLE.topic, cluster_id(kafka), topic_ids(kafka, [VEHICLE.topic])[VEHICLE.topic],
        watermarks(kafka, [VEHICLE.topic])[VEHICLE.topic],
    )  # fmt: skip
    phases = {phase: lake_settings(home, phase) for phase in ("cold", "warm")}
    with spark_session(SparkSettings(MASTER, home / "spark.log", MEMORY), phases["cold"], app_name=APP_NAME) as session:
        print(json.dumps({"version": f"Spark {session.version}, fleetlake {importlib.metadata.version('fleetlake')}"}), flush=True)
        attach(session, phases["warm"])
        for phase, settings in phases.items():
            made = SparkIngestSettings(Sink.ICEBERG, f"{home}/checkpoints/{phase}", f"{home}/landing", home / "lock")
            find = partial(find_records, kafka.client_config())
            engine = SparkIngest(
                session, open_lake(settings), {VEHICLE: source}, kafka.java_config(), made, wait=time.sleep, find=find
            )
            print(json.dumps({"phase": phase}), flush=True)
            engine.run(once=not job["live"])


if __name__ == "__main__":
    main()
