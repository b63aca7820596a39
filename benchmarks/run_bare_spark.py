"""Spark as a tutorial has it, a peer: from_json, a watermark, append to Iceberg; no rule checked, nothing rejected."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.outputs import PEER_CATALOG, PEER_FILE
from benchmarks.run_spark import MASTER, MEMORY
from fleetlake.contracts.columns import Type
from fleetlake.contracts.events import VEHICLE
from fleetlake.ingest.spark.engine import RECORDS_A_BATCH, WATERMARK
from fleetlake.lake.catalog import LakeSettings
from fleetlake.lake.spark import SparkSettings, spark_session
from fleetlake.runtime.jars import SPARK

SPARK_TYPES = {
    Type.STRING: "string", Type.DOUBLE: "double", Type.INTEGER: "int", Type.LONG: "bigint", Type.BOOLEAN: "boolean",
    Type.TIMESTAMP: "timestamp", Type.LOCATION: "array<double>",
}  # fmt: skip


def main() -> None:
    job = json.loads(sys.argv[1])
    home = Path(job["home"])
    lake = LakeSettings(
        PEER_CATALOG, {"type": "sql", "uri": f"sqlite:///{home / PEER_FILE}", "warehouse": f"file://{home}/warehouse"}
    )
    columns = ", ".join(f"`{field.name}` {SPARK_TYPES[field.type]}" for field in VEHICLE.fields)
    iceberg = next(jar.version for jar in SPARK.jars() if jar.artifact.startswith("iceberg-spark"))
    with spark_session(SparkSettings(MASTER, home / "spark.log", MEMORY), lake, app_name="bare") as session:
        from pyspark.sql import functions as sf

        print(json.dumps({"version": f"Spark {session.version}, Iceberg {iceberg}"}), flush=True)
        for phase in ("cold",) if job["live"] else ("cold", "warm"):
            print(json.dumps({"phase": phase}), flush=True)
            records = session.readStream.format("kafka").options(
                **{"kafka.bootstrap.servers": job["servers"], "subscribe": VEHICLE.topic},
                startingOffsets="latest" if job["live"] else "earliest", maxOffsetsPerTrigger=str(RECORDS_A_BATCH),
            )  # fmt: skip
            parsed = records.load().select(sf.from_json(sf.col("value").cast("string"), columns).alias("event")).select("event.*")
            writer = parsed.withWatermark("timestamp", WATERMARK).writeStream.outputMode("append").format("iceberg")
            writer = writer.option("checkpointLocation", f"{home}/checkpoints/{phase}").option("fanout-enabled", "true")
            writer = writer.trigger(processingTime="1 second") if job["live"] else writer.trigger(availableNow=True)
            writer.toTable(f"{PEER_CATALOG}.{phase}.{VEHICLE.kind}").awaitTermination()


if __name__ == "__main__":
    main()
