"""Flink SQL on its mini-cluster, parallelism 2: INSERT INTO the Iceberg table from Kafka's JSON, until it is stopped."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway  # type: ignore[import-untyped]

from benchmarks.outputs import PEER_CATALOG, PEER_FILE
from benchmarks.peer_jars import FLINK, classpath, version
from fleetlake.contracts.columns import Type
from fleetlake.contracts.events import VEHICLE
from fleetlake.runtime.java import java_for_spark

# The default sink fails on its own state when Flink is started from Maven's jars (Kryo, "wrapped is null"); the newer one does not.
NEWER_SINK = {"table.exec.iceberg.use-v2-sink": "true"}
FLINK_TYPES = {
    Type.STRING: "STRING", Type.DOUBLE: "DOUBLE", Type.INTEGER: "INT", Type.LONG: "BIGINT", Type.BOOLEAN: "BOOLEAN",
    Type.TIMESTAMP: "TIMESTAMP_LTZ(3)", Type.LOCATION: "ARRAY<DOUBLE>",
}  # fmt: skip
OPENED = ("lang", "net", "io", "nio", "lang.reflect", "text", "time", "util", "util.concurrent", "util.concurrent.atomic")


def main() -> None:
    job = json.loads(sys.argv[1])
    home = Path(job["home"])
    options = ["-Xmx4g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
    options += [f"--add-opens=java.base/java.{package}=ALL-UNNAMED" for package in OPENED]
    port, process = launch_gateway(
        classpath=classpath(FLINK), javaopts=options, java_path=java_for_spark().command, die_on_exit=True,
        redirect_stderr=sys.stderr, redirect_stdout=sys.stderr, return_proc=True,
    )  # fmt: skip
    flink = JavaGateway(gateway_parameters=GatewayParameters(port=port)).jvm.org.apache.flink
    conf = flink.configuration.Configuration()
    for name, value in {
        "execution.target": "local", "parallelism.default": "2", "taskmanager.numberOfTaskSlots": "2",
        "jobmanager.bind-host": "127.0.0.1", "taskmanager.bind-host": "127.0.0.1", "taskmanager.host": "127.0.0.1",
        "rest.address": "127.0.0.1", "rest.bind-address": "127.0.0.1", "rest.port": "0", "rest.bind-port": "0",
        "execution.checkpointing.interval": "1 s" if job["live"] else "5 s",
        "execution.checkpointing.dir": f"file://{home}/checkpoints", "table.local-time-zone": "UTC", **NEWER_SINK,
    }.items():  # fmt: skip
        conf.setString(name, value)
    settings = flink.table.api.EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(conf).build()
    tables = flink.table.api.TableEnvironment.create(settings)
    tables.executeSql(f"""
        CREATE CATALOG {PEER_CATALOG} WITH ('type' = 'iceberg', 'catalog-impl' = 'org.apache.iceberg.jdbc.JdbcCatalog',
            'uri' = 'jdbc:sqlite:{home / PEER_FILE}', 'warehouse' = 'file://{home}/warehouse', 'jdbc.schema-version' = 'V1')
    """)
    columns = ", ".join(f"`{field.name}` {FLINK_TYPES[field.type]}" for field in VEHICLE.fields)
    tables.executeSql(f"""
        CREATE TEMPORARY TABLE events ({columns}) WITH ('connector' = 'kafka', 'topic' = '{VEHICLE.topic}',
            'properties.bootstrap.servers' = '{job["servers"]}', 'properties.group.id' = 'flink', 'format' = 'json',
            'scan.startup.mode' = '{"latest" if job["live"] else "earliest"}-offset', 'json.timestamp-format.standard' = 'ISO-8601')
    """)
    versions = f"Flink {version(FLINK, 'flink-core')}, Iceberg {version(FLINK, 'iceberg-flink-runtime-2.0')}"
    print(json.dumps({"version": versions}), flush=True)
    tables.executeSql(f"INSERT INTO {PEER_CATALOG}.run.{VEHICLE.kind} SELECT * FROM events")
    process.wait()


if __name__ == "__main__":
    main()
