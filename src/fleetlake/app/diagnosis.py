"""What this machine has and lacks, one finding a thing."""

from __future__ import annotations

import platform
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetlake.foundation.errors import FleetlakeError

if TYPE_CHECKING:
    from fleetlake.app.settings import Settings

GIB = 1024**3
LITTLE_DISK = 5 * GIB
JAVA_TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class Finding:
    """state: ok, later (will be fetched or started when needed) or missing. advice: how to get it."""

    what: str
    state: str
    seen: str
    advice: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Looks at everything; never raises for what it looks at, changes nothing."""
    return [_python(), _java(), _spark_java(), _jars(), *_ports(settings), _disk(settings), _kafka(settings), _lake(settings)]


def _python() -> Finding:
    enough = sys.version_info >= (3, 11)
    return Finding(
        "Python", "ok" if enough else "missing", platform.python_version(), "" if enough else "install Python 3.11 or later"
    )


def _java() -> Finding:
    from fleetlake.broker.embedded import java_command

    try:
        command = java_command()
    except FleetlakeError as error:
        return Finding("Java (Kafka)", "missing", error.what, error.hint)
    return Finding("Java (Kafka)", "ok", f"{_java_version(command)}, {command}")


def _spark_java() -> Finding:
    """Spark needs a full JDK 17 or 21 on PATH; nothing else does."""
    command = shutil.which("java")
    version = _java_version(command) if command else ""
    if version.partition(".")[0] in ("17", "21"):
        return Finding("Java (Spark)", "ok", f"{version}, {command}")
    advice = "only for --engine spark: install a JDK 17 or 21, on Debian apt-get install openjdk-17-jdk-headless"
    return Finding("Java (Spark)", "later", version or "none on PATH", advice)


def _java_version(command: str) -> str:
    told = subprocess.run([command, "-version"], capture_output=True, text=True, timeout=JAVA_TIMEOUT_S, check=False)  # noqa: S603
    found = re.search(r'version "([^"]+)"', told.stderr)
    return found[1] if found else "unknown"


def _jars() -> Finding:
    from fleetlake.broker.jars import kafka_folder, kafka_version, locked_jars

    folder = kafka_folder()
    absent = [jar.name for jar in locked_jars() if not (folder / jar.name).is_file()]
    if absent:
        return Finding(
            "Kafka's jars", "later", f"{len(absent)} of version {kafka_version()} not fetched", "fleetlake up fetches them, 43 MB"
        )
    return Finding("Kafka's jars", "ok", f"version {kafka_version()}, {folder}")


def _ports(settings: Settings) -> Iterator[Finding]:
    from fleetlake.app.wiring import embedded_broker

    broker = embedded_broker(settings)
    if broker is None:
        return
    for port in (broker.port, broker.port + 1):
        with socket.socket() as probe:
            taken = probe.connect_ex(("127.0.0.1", port)) == 0
        if taken and broker.pid() is None:
            yield Finding(f"port {port}", "missing", "in use by another program", f"fleetlake --set kafka.port={port + 1000} up")
        else:
            yield Finding(f"port {port}", "ok", "our Kafka" if taken else "free")


def _disk(settings: Settings) -> Finding:
    place = settings.home.resolve()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    seen = f"{free / GIB:.0f} GiB free at {place}"
    return (
        Finding("disk", "ok", seen)
        if free >= LITTLE_DISK
        else Finding("disk", "missing", seen, "free some, or fleetlake --home DIR")
    )


def _kafka(settings: Settings) -> Finding:
    from fleetlake.app.wiring import embedded_broker, kafka_settings
    from fleetlake.broker.topics import cluster_id

    kafka = kafka_settings(settings)
    state = "later" if embedded_broker(settings) else "missing"
    return _try("Kafka", state, lambda: f"{kafka.bootstrap_servers}, cluster {cluster_id(kafka, timeout_s=3)}")


def _lake(settings: Settings) -> Finding:
    from fleetlake.app.wiring import lake_properties, open_lake_from

    local = lake_properties(settings)["type"] == "sql" and not (settings.home / "catalog.db").exists()
    if local and "type" not in settings.lake.properties:
        return Finding("lake", "later", f"nothing yet under {settings.home}", "fleetlake ingest makes it")
    return _try("lake", "missing", lambda: f"catalog {settings.lake.name}, {len(open_lake_from(settings).names())} tables")


def _try(what: str, state: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, "ok", look())
    except FleetlakeError as error:
        return Finding(what, state, error.what, error.hint)
