"""Writes src/fleetlake/runtime/locks: every jar with its version and SHA-256, resolved from the few that are named here.

Run by `make lock`; `python requirements/lock_jars.py NAME...` writes those locks only. Jars that pip's pyspark ships, in whatever
version, are left out of Spark's locks, since Spark's own come first; but for what is named in OVER_SPARKS_OWN.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from jgo.maven import Dependency, MavenContext

from fleetlake.runtime.jars import LOCKS

KAFKA, ICEBERG, SPARK, HADOOP, SDK = "4.1.2", "1.12.0", "4.1.1", "3.4.2", "2.54.17"
CONNECT = "4.1.1"  # what the published figures of Kafka Connect were measured with
FLINK, FLINK_KAFKA, FLINK_ICEBERG, JETTY, SQLITE = "2.0.0", "4.0.1-2.0", "1.11.0", "12.0.22", "3.50.3.0"
BENCHMARKS = Path(__file__).parent.parent / "benchmarks" / "locks"
# Newer than what Kafka asks for, for the advisories of checks/advisories.toml. lz4-java went on under another name, same packages.
LZ4, JACKSON = "at.yawk.lz4:lz4-java:1.14.0", "2.21.8"
NEWER = [
    LZ4,
    "com.github.luben:zstd-jni:1.5.7-28",
    "org.xerial.snappy:snappy-java:1.1.10.12",
    "org.bitbucket.b_c:jose4j:0.9.7",
    *(f"org.apache.logging.log4j:log4j-{part}:2.25.5" for part in ("api", "core")),
    *(f"com.fasterxml.jackson.core:jackson-{part}:{JACKSON}" for part in ("core", "databind")),
    "com.fasterxml.jackson.core:jackson-annotations:2.21",
    *(f"com.fasterxml.jackson.dataformat:jackson-dataformat-{part}:{JACKSON}" for part in ("csv", "yaml")),
    f"com.fasterxml.jackson.datatype:jackson-datatype-jdk8:{JACKSON}",
]
RESOLVED = {
    "kafka": [
        *(f"org.apache.kafka:{part}:{KAFKA}" for part in ("kafka_2.13", "kafka-clients")),
        "org.slf4j:slf4j-simple:1.7.36",
        *NEWER,
    ],
    "spark": [
        LZ4,
        "org.apache.kafka:kafka-clients:3.9.2",
        f"org.apache.spark:spark-sql-kafka-0-10_2.13:{SPARK}",
        f"org.apache.iceberg:iceberg-spark-runtime-4.1_2.13:{ICEBERG}",
        f"org.xerial:sqlite-jdbc:{SQLITE}",
    ],
}
REPLACED = {"org.lz4:lz4-java"}  # by LZ4
OVER_SPARKS_OWN = {"at.yawk.lz4:lz4-java"}  # before Spark's own on its class path, by lake/spark.py
# What the benchmarks compare with. Parts that two of them ask for in different versions are named, so that one is taken.
PEERS_NEED = [
    f"org.apache.hadoop:hadoop-client-runtime:{HADOOP}",
    f"org.xerial:sqlite-jdbc:{SQLITE}",
]
PEERS = {
    "connect": [
        *(f"org.eclipse.jetty:jetty-{part}:{JETTY}" for part in ("server", "http", "io", "util")),
        *(f"org.apache.kafka:connect-{part}:{CONNECT}" for part in ("runtime", "json")),
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


def main(chosen: Sequence[str]) -> None:
    context = MavenContext()
    for name, coordinates in RESOLVED.items():
        if not chosen or name in chosen:
            shipped = set() if name == "kafka" else _shipped_with_pyspark()
            jars = [jar for jar in _resolved(context, coordinates) if _name(jar) not in REPLACED]
            _write(LOCKS / f"{name}.lock", [jar for jar in jars if jar.artifactId not in shipped or _name(jar) in OVER_SPARKS_OWN])
    for name, coordinates in PEERS.items():
        if not chosen or name in chosen:
            _write(BENCHMARKS / f"{name}.lock", _resolved(context, coordinates))
    for name, coordinates in NAMED.items():
        if not chosen or name in chosen:
            _write(LOCKS / f"{name}.lock", [context.create_dependency(coordinate) for coordinate in coordinates])


def _name(jar: Dependency) -> str:
    return f"{jar.groupId}:{jar.artifactId}"


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
    main(sys.argv[1:])
