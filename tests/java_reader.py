"""Iceberg's Java reader in a JVM of its own, without a Spark session: what Spark, Trino and Athena would refuse, it refuses.

A table takes it a tenth of a second: its metadata is loaded, a scan is planned, and all its rows are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyspark
from py4j import java_gateway, protocol
from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway
from pyiceberg.table import Table as IcebergTable

from fleetlake.lake.spark import S3_NAMES
from fleetlake.runtime.jars import SPARK, SPARK_S3
from fleetlake.runtime.java import java_for_kafka

JAVA = [
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    *(f"--add-opens=java.base/{p}=ALL-UNNAMED" for p in ("java.lang", "java.nio")),
]


class JavaReader:
    """A JVM that reads tables with Iceberg's own classes. log: the file for what it says on stderr. Ends with `stop`."""

    def __init__(self, log: Path) -> None:
        jars = [*SPARK.ensure(), *SPARK_S3.ensure()]
        hadoop = Path(pyspark.__file__).parent / "jars" / "*"
        self._log = log.open("w")
        port, token = launch_gateway(
            classpath=":".join(map(str, [*jars, hadoop])), jarpath=str(next(hadoop.parent.glob("py4j*.jar"))),
            javaopts=JAVA, java_path=str(java_for_kafka()), die_on_exit=True, enable_auth=True,
            redirect_stdout=self._log, redirect_stderr=self._log,
        )  # fmt: skip
        self._gateway = JavaGateway(gateway_parameters=GatewayParameters(port=port, auth_token=token, auto_convert=True))

    def count_rows(self, table: IcebergTable) -> tuple[int, int]:
        """Returns the table's rows as its metadata and manifests count them, and as its data files hold them.

        Raises Java's exception, with Iceberg's words, for a table it does not take.
        """
        with _errors_of_py4j():
            return self._count_rows(table)

    def _count_rows(self, table: IcebergTable) -> tuple[int, int]:
        java: Any = self._gateway.jvm
        location = table.metadata_location
        on_s3 = location.startswith("s3")
        files = java.org.apache.iceberg.aws.s3.S3FileIO() if on_s3 else java.org.apache.iceberg.hadoop.HadoopFileIO()
        if not on_s3:
            files.setConf(java.org.apache.hadoop.conf.Configuration())
        files.initialize(_java_properties(table.io.properties))
        name = ".".join(table.name())
        loaded = java.org.apache.iceberg.BaseTable(java.org.apache.iceberg.StaticTableOperations(location, files), name)
        planned = loaded.newScan().planFiles()
        tasks, counted = planned.iterator(), 0
        while tasks.hasNext():
            counted += tasks.next().file().recordCount()
        planned.close()
        rows = java.org.apache.iceberg.data.IcebergGenerics.read(loaded).build()
        held = java.org.apache.iceberg.relocated.com.google.common.collect.Iterables.size(rows)
        rows.close()
        if on_s3:
            files.close()
        return counted, int(held)

    def stop(self) -> None:
        self._gateway.shutdown()
        self._log.close()


@contextmanager
def _errors_of_py4j() -> Iterator[None]:
    """Keeps Py4J's errors what they are: pyspark, once it had a session in this process, takes each for one of its own JVM's."""
    kept, java_gateway.get_return_value = java_gateway.get_return_value, protocol.get_return_value
    try:
        yield
    finally:
        java_gateway.get_return_value = kept


def _java_properties(properties: Mapping[str, Any]) -> dict[str, str]:
    """PyIceberg's S3 settings under the names that Iceberg's S3FileIO has for them."""
    return {S3_NAMES[name][0]: str(value) for name, value in properties.items() if name in S3_NAMES}
