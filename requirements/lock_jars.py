"""Writes src/fleetlake/runtime/locks: every jar with its version and SHA-256, resolved from the few that are named here.

Run by `make lock`. Jars that pip's pyspark ships, in whatever version, are left out of Spark's locks: Spark's own come first.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from pathlib import Path

from jgo.maven import Dependency, MavenContext

from fleetlake.runtime.jars import LOCKS

KAFKA, ICEBERG, SPARK, HADOOP, SDK = "4.1.1", "1.12.0", "4.1.1", "3.4.2", "2.54.17"
FLINK, FLINK_KAFKA, FLINK_ICEBERG, JETTY, SQLITE = "2.0.0", "4.0.1-2.0", "1.11.0", "12.0.22", "3.50.3.0"
BENCHMARKS = Path(__file__).parent.parent / "benchmarks" / "locks"
RESOLVED = {
    "kafka": [f"org.apache.kafka:kafka_2.13:{KAFKA}", "org.slf4j:slf4j-simple:1.7.36"],
    "spark": [
        f"org.apache.spark:spark-sql-kafka-0-10_2.13:{SPARK}",
        f"org.apache.iceberg:iceberg-spark-runtime-4.1_2.13:{ICEBERG}",
        f"org.xerial:sqlite-jdbc:{SQLITE}",
    ],
}
# What the benchmarks compare with. Parts that two of them ask for in different versions are named, so that one is taken.
PEERS_NEED = [
    f"org.apache.hadoop:hadoop-client-runtime:{HADOOP}",
    f"org.xerial:sqlite-jdbc:{SQLITE}",
]
PEERS = {
    "connect": [
        *(f"org.eclipse.jetty:jetty-{part}:{JETTY}" for part in ("server", "http", "io", "util")),
        *(f"org.apache.kafka:connect-{part}:{KAFKA}" for part in ("runtime", "json")),
        *(f"org.apache.iceberg:iceberg-{part}:{ICEBERG}" for part in ("kafka-connect", "kafka-connect-events")),
        *(f"org.apache.iceberg:iceberg-{part}:{ICEBERG}" for part in ("parquet", "data", "orc")),
        "org.apache.avro:avro:1.12.1",
        "org.slf4j:slf4j-simple:2.0.17",
        *PEERS_NEED,
    ],
    "flink": [
        *(f"org.apache.flink:flink-{part}:{FLINK}" for part in (
            "annotations", "clients", "connector-datagen", "connector-files", "core", "core-api", "datastream-api", "hadoop-fs",
            "json", "metrics-core", "queryable-state-client-java", "rpc-akka-loader", "rpc-core", "runtime", "streaming-java",
            "table-api-java", "table-api-java-bridge", "table-common", "table-planner_2.12", "table-runtime",
        )),
        f"org.apache.flink:flink-sql-connector-kafka:{FLINK_KAFKA}",
        f"org.apache.iceberg:iceberg-flink-runtime-2.0:{FLINK_ICEBERG}",
        "org.slf4j:slf4j-simple:1.7.36",
        *PEERS_NEED,
    ],
}  # fmt: skip
# iceberg-aws-bundle has the SDK in it, all but these two parts, which hadoop-aws wants; of the same version, since two would mix.
# They stand for the 600 MB of software.amazon.awssdk:bundle that hadoop-aws asks for.
SDK_PARTS = ["apache-client", "s3-transfer-manager"]
NAMED = {
    "spark-s3": [
        f"org.apache.iceberg:iceberg-aws-bundle:{ICEBERG}",
        f"org.apache.hadoop:hadoop-aws:{HADOOP}",
        "software.amazon.s3.analyticsaccelerator:analyticsaccelerator-s3:1.2.1",
        "software.amazon.eventstream:eventstream:1.0.1",
        "org.wildfly.openssl:wildfly-openssl:2.1.4.Final",
        "org.reactivestreams:reactive-streams:1.0.4",
        "commons-logging:commons-logging:1.2",
        *(f"software.amazon.awssdk:{part}:{SDK}" for part in SDK_PARTS),
    ]
}


def main() -> None:
    context = MavenContext()
    for name, coordinates in RESOLVED.items():
        shipped = set() if name == "kafka" else _shipped_with_pyspark()
        _write(LOCKS / f"{name}.lock", [jar for jar in _resolved(context, coordinates) if jar.artifactId not in shipped])
    for name, coordinates in PEERS.items():
        _write(BENCHMARKS / f"{name}.lock", _resolved(context, coordinates))
    for name, coordinates in NAMED.items():
        _write(LOCKS / f"{name}.lock", [context.create_dependency(coordinate) for coordinate in coordinates])


def _resolved(context: MavenContext, coordinates: list[str]) -> list[Dependency]:
    inputs, others = context.resolver.resolve([context.create_dependency(coordinate) for coordinate in coordinates])
    return [jar for jar in (*inputs, *others) if jar.scope != "test"]


def _write(lock: Path, jars: list[Dependency]) -> None:
    lines = sorted({f"{_coordinate(jar)} {_digest(jar)}\n" for jar in jars})
    header = f"# Jars of {lock.stem}: group:artifact:version sha256. Made by `make lock` (requirements/lock_jars.py).\n"
    lock.write_text(header + "".join(lines))


def _coordinate(jar: Dependency) -> str:
    return ":".join(filter(None, (jar.groupId, jar.artifactId, jar.version, jar.classifier)))


def _digest(jar: Dependency) -> str:
    return hashlib.sha256(jar.artifact.resolve().read_bytes()).hexdigest()


def _shipped_with_pyspark() -> set[str]:
    found = importlib.util.find_spec("pyspark")
    if found is None or found.origin is None:
        raise SystemExit("pyspark is not installed: make .venv/dev first")
    return {re.sub(r"-\d.*", "", path.name) for path in (Path(found.origin).parent / "jars").glob("*.jar")}


if __name__ == "__main__":
    main()
