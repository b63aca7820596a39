"""A Trino on the loopback interface over a lake's own catalog; stopped by process id. Only `make test-athena` runs it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import tarfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleetlake.foundation.errors import Missing
from fleetlake.runtime.jars import SPARK, cache_folder
from fleetlake.runtime.java import INSTALLED, look_at

LOCK = Path(__file__).with_name("trino.lock")
JAVA_FROM = 24
PATIENCE_S = 180
CATALOG, LANDING = "lake", "landing"
PLUGINS = ("hive", "iceberg")


class Failed(Exception):
    """What Trino said of a statement it did not run."""


@dataclass(frozen=True, slots=True)
class Rows:
    """columns: (name, Trino's type). values: as Trino's protocol has them: times as text, bytes in base64."""

    columns: tuple[tuple[str, str], ...]
    values: list[list[Any]]


@dataclass(frozen=True, slots=True)
class Trino:
    """Statements are run in catalog `lake` and, where a name has no dot, in `schema`."""

    port: int
    schema: str = "fleet"

    def run(self, sql: str, parameters: Sequence[str] = ()) -> Rows:
        """parameters: literals for the statement's ?, as Athena takes them. Raises Failed."""
        if parameters:
            sql = f"EXECUTE IMMEDIATE '{sql.replace(chr(39), chr(39) * 2)}' USING {', '.join(parameters)}"
        headers = {
            "X-Trino-User": "tests", "X-Trino-Catalog": CATALOG, "X-Trino-Schema": self.schema, "X-Trino-Time-Zone": "UTC",
            "X-Trino-Client-Capabilities": "PARAMETRIC_DATETIME",
        }  # fmt: skip
        answer = _ask(urllib.request.Request(f"http://127.0.0.1:{self.port}/v1/statement", sql.encode(), headers))
        columns: tuple[tuple[str, str], ...] = ()
        values: list[list[Any]] = []
        while True:
            if "error" in answer:
                raise Failed(answer["error"]["message"])
            columns = columns or tuple((column["name"], column["type"]) for column in answer.get("columns", ()))
            values += answer.get("data", ())
            if "nextUri" not in answer:
                return Rows(columns, values)
            answer = _ask(urllib.request.Request(answer["nextUri"], headers=headers))  # noqa: S310


def java_for_trino() -> str:
    """The first that will do of TRINO_JAVA_HOME, JAVA_HOME and /usr/lib/jvm."""
    named = [Path(home) for home in (os.environ.get("TRINO_JAVA_HOME"), os.environ.get("JAVA_HOME")) if home]
    seen = []
    for home in (*named, *(sorted(INSTALLED.iterdir()) if INSTALLED.is_dir() else ())):
        java = look_at(home)
        if java and int(java.version.partition(".")[0]) >= JAVA_FROM:
            return java.command
        if java:
            seen.append(f"{java.version} in {home}")
    raise Missing(f"Trino needs Java {JAVA_FROM} or later; found {', '.join(seen) or 'none'}", hint="set TRINO_JAVA_HOME")


def distribution() -> Path:
    """The unpacked server with two of its plugins, Iceberg's with SQLite's driver; fetched and checked once."""
    (line,) = (line for line in LOCK.read_text().splitlines() if not line.startswith("#"))
    coordinate, sha256 = line.split()
    group, artifact, version, packaging = coordinate.split(":")
    folder = cache_folder() / f"{artifact}-{version}-{sha256[:12]}"
    if folder.is_dir():
        return folder
    from jgo.maven import MavenContext

    fetched = Path(MavenContext().project(group, artifact).at_version(version).artifact(packaging=packaging).resolve())
    with fetched.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == sha256, f"{fetched} is not the file the lock names; delete it"
    part = folder.with_suffix(f".{os.getpid()}")
    with tarfile.open(fetched) as archive:
        archive.extractall(part, filter="data")
    (unpacked,) = part.iterdir()
    for plugin in (unpacked / "plugin").iterdir():
        if plugin.name not in PLUGINS:
            shutil.rmtree(plugin)
    driver = next(path for path in SPARK.ensure() if path.name.startswith("sqlite-jdbc"))
    shutil.copy(driver, unpacked / "plugin" / "iceberg")
    with suppress(OSError):  # another run was first
        unpacked.rename(folder)
    shutil.rmtree(part)
    return folder


@contextmanager
def trino_server(folder: Path, port: int, catalog_db: Path, warehouse: Path) -> Iterator[Trino]:
    """Runs Trino over a SQLite catalog called `lake`, and a Hive catalog `landing` for files; its log is in `folder`."""
    home, java = distribution(), java_for_trino()
    (folder / "catalog").mkdir(parents=True)
    (folder / "catalog" / f"{CATALOG}.properties").write_text(
        "connector.name=iceberg\niceberg.catalog.type=jdbc\niceberg.jdbc-catalog.driver-class=org.sqlite.JDBC\n"
        f"iceberg.jdbc-catalog.connection-url=jdbc:sqlite:{catalog_db}\niceberg.jdbc-catalog.catalog-name={CATALOG}\n"
        f"iceberg.jdbc-catalog.default-warehouse-dir=file://{warehouse}\niceberg.jdbc-catalog.schema-version=V1\n"
        "fs.hadoop.enabled=true\niceberg.expire-snapshots.min-retention=0s\n"
    )
    (folder / "catalog" / f"{LANDING}.properties").write_text(
        f"connector.name=hive\nhive.metastore=file\nhive.metastore.catalog.dir=file://{folder}/hive\nfs.hadoop.enabled=true\n"
        "hive.recursive-directories=true\nhive.partition-projection-enabled=true\n"
        "hive.ignore-absent-partitions=true\n"  # as Athena does: a projected day need not be there
    )
    (folder / "config.properties").write_text(
        f"coordinator=true\nnode-scheduler.include-coordinator=true\nhttp-server.http.port={port}\n"
        f"discovery.uri=http://127.0.0.1:{port}\nplugin.dir={home}/plugin\ncatalog.config-dir={folder}/catalog\n"
        "query-manager.required-workers=1\nfailure-detector.enabled=false\n"  # it answers before it has itself for a worker
        "node.environment=tests\nnode.bind-ip=127.0.0.1\nnode.internal-address=127.0.0.1\n"
    )
    command = [
        java, "-Xmx2g", "-XX:+UseG1GC", "-XX:G1HeapRegionSize=32M", "-XX:+ExitOnOutOfMemoryError",
        "-Djdk.attach.allowAttachSelf=true", "--add-modules=jdk.incubator.vector", "-Duser.timezone=UTC", "-Dfile.encoding=UTF-8",
        f"-Dnode.data-dir={folder}", f"-Dconfig={folder}/config.properties", "-cp", f"{home}/lib/*", "io.trino.server.TrinoServer",
    ]  # fmt: skip
    log = folder / "trino.log"
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=subprocess.STDOUT)
    try:
        give_up_at = time.monotonic() + PATIENCE_S
        while not _is_ready(port):
            assert process.poll() is None, log.read_text()[-5000:]
            assert time.monotonic() < give_up_at, log.read_text()[-5000:]
            time.sleep(0.2)
        yield Trino(port)
    finally:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)
        process.wait(60)


def _is_ready(port: int) -> bool:
    try:
        return not _ask(urllib.request.Request(f"http://127.0.0.1:{port}/v1/info"))["starting"]
    except OSError:
        return False


def _ask(request: urllib.request.Request) -> dict[str, Any]:
    with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
        told: dict[str, Any] = json.load(answer)
    return told
