"""The embedded broker's jars: fetched once by jgo, checked against the lock, kept in the user's cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from fleetlake.foundation.errors import Missing

KAFKA = "org.apache.kafka:kafka_2.13"
LOGGER = "org.slf4j:slf4j-simple"  # what Kafka logs through; without one it says nothing at all


@dataclass(frozen=True, slots=True)
class Jar:
    """One locked jar. sha256: hexadecimal."""

    artifact: str
    version: str
    sha256: str

    @property
    def name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


def locked_jars() -> list[Jar]:
    """What the lock file names."""
    lines = files("fleetlake.broker").joinpath("kafka.lock").read_text().splitlines()
    return [Jar(*line.split()) for line in lines if not line.startswith("#")]


def kafka_version() -> str:
    return _version(KAFKA)


def _version(coordinate: str) -> str:
    return next(jar.version for jar in locked_jars() if jar.artifact == coordinate.partition(":")[2])


def cache_folder() -> Path:
    """`fleetlake` in the user's cache folder (XDG_CACHE_HOME, else ~/.cache)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fleetlake"


def kafka_folder() -> Path:
    """The folder the checked jars are in, once they are."""
    return cache_folder() / f"kafka-{kafka_version()}"


def ensure_kafka_jars() -> Path:
    """The folder with all locked jars, fetching them from the Maven repository if need be (43 MB, about 15 s).

    Jars that were checked once are not checked or fetched again. Missing if they can't be had or differ from the lock.
    """
    folder = kafka_folder()
    if all((folder / jar.name).is_file() for jar in locked_jars()):
        return folder
    if sys.stderr.isatty():
        print(f"fetching Apache Kafka {kafka_version()} (43 MB, once)", file=sys.stderr)
    fetched = {path.name: path for path in _resolve()}
    part = folder.with_name(f"{folder.name}.{os.getpid()}")
    part.mkdir(parents=True, exist_ok=True)
    for jar in locked_jars():
        if jar.name not in fetched:
            raise Missing(f"{jar.name} is not among the jars of {KAFKA}", hint="pip install the locked version of jgo")
        if hashlib.sha256(fetched[jar.name].read_bytes()).hexdigest() != jar.sha256:
            raise Missing(
                f"{jar.name} is not the file the lock names", where=str(fetched[jar.name]), hint="delete it and try again"
            )
        shutil.copyfile(fetched[jar.name], part / jar.name)
    try:
        part.rename(folder)
    except OSError:  # another process was first, or an interrupted one left some there
        shutil.copytree(part, folder, dirs_exist_ok=True)
        shutil.rmtree(part)
    return folder


def _resolve() -> list[Path]:
    import logging

    import jgo

    logging.getLogger("jgo").setLevel(logging.ERROR)
    try:
        environment = jgo.build(f"{KAFKA}:{_version(KAFKA)}+{LOGGER}:{_version(LOGGER)}", cache_dir=cache_folder() / "jgo")
    except Exception as error:  # jgo lets through whatever its HTTP client and parsers raise
        raise Missing(
            f"Apache Kafka could not be fetched: {error}".split("\n")[0],
            where="the Maven repository",
            hint="check the network, or use a Kafka of your own: --set kafka.bootstrap_servers=HOST:PORT",
        ) from error
    return [Path(jar) for jar in environment.all_jars]
