"""The same lake on Spark: a session whose catalog is the one PyIceberg uses, told from the same properties."""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fleetlake.foundation.errors import BadInput, Missing, Retryable
from fleetlake.foundation.private import make_private_folder
from fleetlake.lake.aws_properties import is_on_aws
from fleetlake.lake.catalog import LakeSettings
from fleetlake.lake.places import local_path, require_usable_by_spark, sqlite_path
from fleetlake.runtime.jars import SPARK, SPARK_S3
from fleetlake.runtime.java import Java, java_for_spark
from fleetlake.runtime.spill import spill_folder

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LOOPBACK, SUBMIT = "127.0.0.1", "submit"
SAFE_PATH = "PYTHONSAFEPATH"  # Spark starts workers by `python -m`, which would import what is in the working folder first
LOCAL_DIR = "spark.local.dir"  # what shuffles, sorts and state stores of a driver and its tasks spill to
OVER_SPARKS_OWN = ("lz4-java-",)  # jars that pyspark has too old a one of: ours come first (checks/advisories.toml)
ICEBERG = "org.apache.iceberg"
SQLITE_BUSY_MS = 60_000  # five queries commit to one SQLite file; each waits for its turn
# PyIceberg's names of S3 settings, and what Iceberg's S3FileIO and Hadoop's s3a call them.
S3_NAMES = {
    "s3.endpoint": ("s3.endpoint", "fs.s3a.endpoint"),
    "s3.access-key-id": ("s3.access-key-id", "fs.s3a.access.key"),
    "s3.secret-access-key": ("s3.secret-access-key", "fs.s3a.secret.key"),
    "s3.session-token": ("s3.session-token", "fs.s3a.session.token"),
    "s3.region": ("client.region", "fs.s3a.endpoint.region"),
    "client.region": ("client.region", "fs.s3a.endpoint.region"),
    "glue.region": ("client.region", "fs.s3a.endpoint.region"),
    "s3.path-style-access": ("s3.path-style-access", "fs.s3a.path.style.access"),
}


@dataclass(frozen=True, slots=True)
class SparkSettings:
    """master: local[N], spark://HOST:PORT, yarn, or `submit` under spark-submit, which has started Spark with master and jars.

    properties: passed to Spark as they are, over our own defaults. log: the file for what the JVM says; None: stderr.
    """

    master: str = "local[*]"
    log: Path | None = None
    properties: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def spark_session(spark: SparkSettings, lake: LakeSettings, *, app_name: str, s3: bool = False) -> Iterator[SparkSession]:
    """A session that reads and writes the lake as catalog `lake.name`; stopped when the context ends.

    s3: whether paths outside the catalog are on S3 too. The session is in UTC and talks on the loopback interface unless the master
    is another machine. Missing without pyspark, a whole JDK or the jars; Retryable if the master does not answer.
    """
    java = require_spark(spark)
    conf = session_conf(spark, lake, app_name=app_name, s3=s3)
    with ExitStack() as stack:
        if spark.master.startswith("local"):  # elsewhere the workers say where they spill
            conf = {LOCAL_DIR: str(stack.enter_context(spill_folder("spark")))} | conf
        with _stderr_to(spark.log):  # which the JVM inherits
            session = _start(conf, java)
        stack.callback(_stop, session)
        yield session


def require_spark(spark: SparkSettings) -> Java | None:
    """The Java to start Spark on; None where it runs already. Missing without pyspark or a whole JDK: asked before what is slow."""
    if importlib.util.find_spec("pyspark") is None:
        raise Missing("pyspark is not installed", hint="pip install 'fleetlake[spark]', or use --engine native")
    return None if spark.master == SUBMIT else java_for_spark()


def attach(session: SparkSession, lake: LakeSettings) -> None:
    """Makes another lake a catalog of a running session, under the lake's name, which must be new to it."""
    for name, value in catalog_conf(lake).items():
        session.conf.set(f"spark.sql.catalog.{lake.name}{name}", value)


def session_conf(spark: SparkSettings, lake: LakeSettings, *, app_name: str, s3: bool = False) -> dict[str, str]:
    """Everything the session is configured with."""
    conf = {
        "spark.app.name": app_name,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        f"spark.executorEnv.{SAFE_PATH}": "1",
        "spark.sql.shuffle.partitions": "8",
        "spark.sql.extensions": f"{ICEBERG}.spark.extensions.IcebergSparkSessionExtensions",
        "spark.sql.streaming.stateStore.providerClass": (
            "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
        ),
        "spark.sql.streaming.noDataMicroBatches.enabled": "false",
        **{f"spark.sql.catalog.{lake.name}{name}": value for name, value in catalog_conf(lake).items()},
        **{f"spark.hadoop.{name}": value for name, value in s3a_conf(lake.properties).items()},
    }
    if spark.master != SUBMIT:
        jars = [*SPARK.ensure(), *(SPARK_S3.ensure() if s3 or is_on_aws(lake.properties) else [])]
        first = ":".join(str(jar) for jar in jars if jar.name.startswith(OVER_SPARKS_OWN))
        conf |= {"spark.master": spark.master, "spark.jars": ",".join(map(str, jars)), "spark.driver.memory": "1g"}
        conf |= {"spark.driver.extraClassPath": first, "spark.executor.extraClassPath": first}
    if spark.master.startswith("local") or LOOPBACK in spark.master:
        conf |= {"spark.driver.host": LOOPBACK, "spark.driver.bindAddress": LOOPBACK}
    return conf | dict(spark.properties)


def catalog_conf(lake: LakeSettings) -> dict[str, str]:
    """PyIceberg's catalog properties as those of Iceberg's Spark catalog; keys begin with a dot, but for the class itself.

    BadInput for a kind of catalog that Spark has no counterpart of, and for a folder whose name Spark would misread.
    """
    given = dict(lake.properties)
    if warehouse := local_path(given.get("warehouse", "")):
        require_usable_by_spark(warehouse, "lake.properties.warehouse")
    kind, uri = given.pop("type", ""), given.pop("uri", "")
    conf = {"": f"{ICEBERG}.spark.SparkCatalog", ".cache-enabled": "false"}
    if kind == "sql":
        conf |= {".type": "jdbc", ".uri": _jdbc(uri), ".jdbc.schema-version": "V1"}
    elif kind in ("glue", "rest", "hive"):
        conf |= {".type": kind} | ({".uri": uri} if uri else {})
    else:
        raise BadInput(
            f"Spark can't use a catalog of type {kind or '(none)'}", where="lake.properties.type", allowed="sql, glue, rest, hive"
        )
    if is_on_aws(lake.properties):
        conf[".io-impl"] = f"{ICEBERG}.aws.s3.S3FileIO"
    for name, value in given.items():
        conf[f".{S3_NAMES[name][0] if name in S3_NAMES else name}"] = value
    if given.get("s3.region", "") != given.get("glue.region", given.get("s3.region", "")):
        conf[".client.region"], conf[".s3.cross-region-access-enabled"] = given["glue.region"], "true"
    return conf


def s3a_conf(properties: Mapping[str, str]) -> dict[str, str]:
    """PyIceberg's S3 properties as those of Hadoop's s3a, for checkpoints and landings."""
    conf = {S3_NAMES[name][1]: value for name, value in properties.items() if name in S3_NAMES}
    if properties.get("s3.region"):
        conf["fs.s3a.endpoint.region"] = properties["s3.region"]
    if "fs.s3a.endpoint" in conf:
        conf |= {
            "fs.s3a.path.style.access": "true",
            "fs.s3a.connection.ssl.enabled": str(conf["fs.s3a.endpoint"].startswith("https")).lower(),
        }
    return conf


def _jdbc(uri: str) -> str:
    if file := sqlite_path(uri):
        require_usable_by_spark(str(file), "lake.properties.uri")
        return f"jdbc:sqlite:{file}?busy_timeout={SQLITE_BUSY_MS}"
    return f"jdbc:{uri.replace('+psycopg2', '')}"


def _start(conf: Mapping[str, str], java: Java | None) -> SparkSession:
    from pyspark import SparkConf
    from pyspark.sql import SparkSession

    if java is not None:
        os.environ["JAVA_HOME"] = str(java.home)
        os.environ.setdefault("SPARK_LOCAL_IP", LOOPBACK)
        # Python workers import fleetlake: the same interpreter in local mode and on a cluster of this machine.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    logging.getLogger("py4j").setLevel(logging.ERROR)
    configured = SparkConf()
    configured.setAll(list(conf.items()))
    try:
        with _safe_path_of_workers():
            session: SparkSession = SparkSession.Builder().config(conf=configured).getOrCreate()
    except Exception as error:  # of pyspark, of py4j, of the operating system
        raise Retryable(
            f"Spark did not start: {error}".split("\n")[0],
            where=f"master {conf.get('spark.master', SUBMIT)}",
            hint="fleetlake cluster status, fleetlake doctor",
        ) from error
    return session


@contextmanager
def _safe_path_of_workers() -> Iterator[None]:
    """Starts a JVM meanwhile whose Python workers have a safe path; what this process starts otherwise is not concerned."""
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = before or "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[SAFE_PATH]


@contextmanager
def _stderr_to(log: Path | None) -> Iterator[None]:
    """What processes started meanwhile write to stderr goes to `log`."""
    if log is None:
        yield
        return
    make_private_folder(log.parent)
    sys.stderr.flush()
    kept = os.dup(2)
    with log.open("a") as file:
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)


def _stop(session: SparkSession) -> None:
    """Stops the session and the JVM behind it, so that nothing of it is left when the command ends, and another can begin."""
    from pyspark import SparkContext

    gateway = SparkContext._gateway
    with suppress(Exception):  # the JVM may be gone already
        session.stop()
    if gateway is None or gateway.proc is None:
        return  # spark-submit's JVM started us, not we it
    gateway.shutdown()
    gateway.proc.stdin.close()  # which it takes as the end of its driver
    gateway.proc.wait()
    SparkContext._gateway = SparkContext._jvm = None
