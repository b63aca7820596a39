"""One Spark for all of conformance, that reaches an S3 server too; a package's fixtures end before the next package's begin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from fleetlake.lake.catalog import LakeSettings
from fleetlake.lake.spark import SparkSettings, spark_session
from tests.conftest import INTERPRETED, free_ports
from tests.s3_server import BUCKET, S3Server, s3_server

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="package")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3"), free_ports()) as server:
        yield server


@pytest.fixture(scope="package")
def spark(tmp_path_factory: pytest.TempPathFactory, s3: S3Server) -> Iterator[SparkSession]:
    folder = tmp_path_factory.mktemp("spark")
    java = {"spark.driver.extraJavaOptions": "-XX:+UseSerialGC"}  # it lives for many minutes: compiling itself well pays
    conf = {"spark.sql.shuffle.partitions": "2", **java, **INTERPRETED}
    catalog = {"type": "sql", "uri": f"sqlite:///{folder}/c.db", "warehouse": f"s3://{BUCKET}/unused", **s3.properties}
    settings, unused = SparkSettings("local[2]", folder / "spark.log", conf), LakeSettings("unused", catalog)
    with spark_session(settings, unused, app_name="tests") as session:
        yield session
