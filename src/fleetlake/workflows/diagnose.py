"""What this machine has and lacks, one finding a thing."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fleetlake.config.masking import without_secrets
from fleetlake.foundation.errors import BadInput, FleetlakeError
from fleetlake.runtime.java import look_at

if TYPE_CHECKING:
    from fleetlake.config.settings import Settings

GIB = 1024**3
MEND = "fleetlake config show says where it is looked for; a damaged catalog has to come from a backup"
LITTLE_DISK = 5 * GIB


@dataclass(frozen=True, slots=True)
class Finding:
    """state: ok, later (will be fetched or started when needed), missing, taken (a port) or broken. advice: what to do about it."""

    what: str
    state: str
    seen: str
    advice: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Looks at everything; never raises for what it looks at, changes nothing."""
    return [
        _python(),
        _java(),
        _spark(),
        _spark_java(),
        *_jars(),
        *_ports(settings),
        _disk(settings),
        _kafka(settings),
        *_aws(settings),
        *_lake(settings),
    ]


def _python() -> Finding:
    enough = sys.version_info >= (3, 11)
    return Finding(
        "Python", "ok" if enough else "missing", platform.python_version(), "" if enough else "install Python 3.11 or later"
    )


def _java() -> Finding:
    from fleetlake.runtime.java import java_for_kafka

    try:
        command = java_for_kafka()
    except FleetlakeError as error:
        return Finding("Java (Kafka)", "missing", error.what, error.hint)
    java = look_at(Path(command).parent.parent)
    return Finding("Java (Kafka)", "ok", f"{java.version if java else 'unknown'}, {command}")


def _spark() -> Finding:
    if importlib.util.find_spec("pyspark") is None:
        return Finding("Spark", "later", "not installed", "only for --engine spark: pip install 'fleetlake[spark]'")
    return Finding("Spark", "ok", f"pyspark {importlib.metadata.version('pyspark')}")


def _spark_java() -> Finding:
    from fleetlake.runtime.java import java_for_spark

    try:
        java = java_for_spark()
    except FleetlakeError as error:
        return Finding("Java (Spark)", "later", error.what, f"only for --engine spark: {error.hint}")
    return Finding("Java (Spark)", "ok", f"{java.version}, {java.command}")


def _jars() -> Iterator[Finding]:
    from fleetlake.runtime.jars import KAFKA, SPARK, SPARK_S3

    for jars, size, when in ((KAFKA, 43, "fleetlake up"), (SPARK, 75, "--engine spark"), (SPARK_S3, 90, "--engine spark on S3")):
        name, absent = f"jars: {jars.lock.stem}", jars.absent()
        if absent:
            yield Finding(name, "later", f"{len(absent)} not fetched", f"{when} fetches them, {size} MB")
        else:
            yield Finding(name, "ok", str(jars.folder))


def _ports(settings: Settings) -> Iterator[Finding]:
    from fleetlake.config.wiring import embedded_broker

    broker = embedded_broker(settings)
    if broker is None:
        return
    for port in (broker.port, broker.port + 1):
        with socket.socket() as probe:
            taken = probe.connect_ex(("127.0.0.1", port)) == 0
        if taken and broker.pid() is None:
            yield Finding(f"port {port}", "taken", "in use by another program", f"fleetlake --set kafka.port={port + 1000} up")
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
    from fleetlake.broker.topics import cluster_id
    from fleetlake.config.wiring import embedded_broker, kafka_address, kafka_settings

    kafka = kafka_address(settings)
    state = "later" if embedded_broker(settings) else "missing"
    return _try("Kafka", state, lambda: f"{kafka.bootstrap_servers}, cluster {cluster_id(kafka_settings(settings), timeout_s=3)}")


def _aws(settings: Settings) -> Iterator[Finding]:
    """Of a lake on S3 or Glue: what it needs from first to last; nothing after the first that fails."""
    from fleetlake.config.wiring import lake_properties, open_unchecked_lake
    from fleetlake.lake.aws_properties import is_on_aws

    if not is_on_aws(settings.lake.properties):
        return
    yield (configured := _try("AWS settings", "broken", lambda: _region_of(lake_properties(settings))))
    if configured.state != "ok":
        return
    properties = lake_properties(settings)
    if properties.get("type") == "glue":
        yield (boto3 := _boto3())
        if boto3.state != "ok":
            return
        yield _try("AWS Glue", "broken", lambda: f"{len(open_unchecked_lake(settings).names())} tables of ours")
    warehouse = properties.get("warehouse", "")

    def look() -> str:
        open_unchecked_lake(settings).require_storage()
        return f"{warehouse} can be listed"

    if warehouse:
        yield _try("AWS S3", "broken", look)


def _region_of(properties: Mapping[str, str]) -> str:
    return ", ".join(dict.fromkeys(properties[name] for name in ("glue.region", "s3.region")))


def _boto3() -> Finding:
    if importlib.util.find_spec("boto3") is None:
        return Finding("boto3", "missing", "not installed", "pip install 'fleetlake[aws]', in a clone: make cloud")
    return Finding("boto3", "ok", importlib.metadata.version("boto3"))


def _lake(settings: Settings) -> Iterator[Finding]:
    """Whose the lake is, and whether its files are there: of each table the metadata, the manifests and one data file."""
    from fleetlake.config.wiring import lake_properties, open_unchecked_lake
    from fleetlake.foundation.private import is_open_to_others
    from fleetlake.lake.health import examine_lake
    from fleetlake.lake.ownership import require_catalog_file
    from fleetlake.lake.places import local_path, sqlite_path

    if "type" not in settings.lake.properties and not (settings.home / "catalog.db").exists():
        try:
            require_catalog_file(lake_properties(settings))
        except FleetlakeError as error:
            yield Finding("lake", "broken", without_secrets(error.what), error.hint)
        else:
            yield Finding("lake", "later", f"nothing yet under {settings.home}", "fleetlake ingest makes it")
        return

    def look() -> str:
        lake = open_unchecked_lake(settings)
        return f"catalog {settings.lake.name}, {examine_lake(lake)}"

    yield (finding := _try("lake", "broken", look))
    if finding.state != "ok":
        return
    properties = lake_properties(settings)
    catalog, warehouse = sqlite_path(properties.get("uri", "")), local_path(properties.get("warehouse", ""))
    places = (settings.home, catalog, Path(warehouse) if warehouse else None)
    for place in places:
        if place and is_open_to_others(place):
            seen = f"{place} can be read by other users of this machine"
            yield Finding("privacy", "ok", seen, f"if it should not: chmod go= {place}")


def _try(what: str, state: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, "ok", look())
    except FleetlakeError as error:
        hint = MEND if "doctor" in error.hint else error.hint  # the doctor is who is asked
        return Finding(what, "broken" if isinstance(error, BadInput) else state, without_secrets(error.what), hint)
