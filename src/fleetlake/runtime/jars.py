"""Jars: fetched once by jgo, checked against a lock, kept in the user's cache."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fleetlake.foundation.errors import Missing

LOCKS = Path(__file__).parent / "locks"
CONNECTIONS = 8


@dataclass(frozen=True, slots=True)
class Jar:
    """One locked jar. classifier: empty for the plain one. sha256: hexadecimal."""

    group: str
    artifact: str
    version: str
    classifier: str
    sha256: str

    @classmethod
    def of(cls, line: str) -> Jar:
        """The jar of a lock's line: `group:artifact:version[:classifier] sha256`."""
        coordinate, sha256 = line.split()
        group, artifact, version, *classifier = coordinate.split(":")
        return cls(group, artifact, version, classifier[0] if classifier else "", sha256)

    @property
    def name(self) -> str:
        """The file's name."""
        return f"{self.artifact}-{self.version}{f'-{self.classifier}' if self.classifier else ''}.jar"


@dataclass(frozen=True, slots=True)
class JarSet:
    """The jars one lock file names. what: in words, for messages. hint: what to do where they can't be fetched."""

    lock: Path
    what: str
    hint: str = "check the network, then try again"

    def jars(self) -> list[Jar]:
        """What the lock names."""
        return [Jar.of(line) for line in self.lock.read_text().splitlines() if line and not line.startswith("#")]

    @property
    def folder(self) -> Path:
        """Where the checked jars are, once they are; another lock has another folder."""
        digest = hashlib.sha256(self.lock.read_bytes()).hexdigest()[:12]
        return cache_folder() / "jars" / f"{self.lock.stem}-{digest}"

    def absent(self) -> list[Jar]:
        return [jar for jar in self.jars() if not (self.folder / jar.name).is_file()]

    def ensure(self) -> list[Path]:
        """Paths of all jars, fetching them from the Maven repository if need be.

        Jars that were checked once are not checked or fetched again. Missing if they can't be had or differ from the lock.
        """
        folder = self.folder
        if absent := self.absent():
            if sys.stderr.isatty():
                print(f"fetching {self.what} ({len(absent)} jars, once)", file=sys.stderr)
            folder.mkdir(parents=True, exist_ok=True)
            with _one_at_a_time(folder.parent / "fetching.lock"), ThreadPoolExecutor(CONNECTIONS) as pool:
                absent = self.absent()  # another process may have fetched them meanwhile
                for jar, path in zip(absent, pool.map(self._fetch, absent), strict=True):
                    _place(jar, path, folder)
        return [folder / jar.name for jar in self.jars()]

    def _fetch(self, jar: Jar) -> Path:
        from jgo.maven import MavenContext

        try:
            component = MavenContext().project(jar.group, jar.artifact).at_version(jar.version)
            return Path(component.artifact(jar.classifier).resolve())
        except Exception as error:  # jgo lets through whatever its HTTP client and parsers raise
            what = f"{self.what} could not be fetched: {jar.name}: {error}".split("\n")[0]
            raise Missing(what, where="the Maven repository", hint=self.hint) from error


@contextmanager
def _one_at_a_time(file: Path) -> Iterator[None]:
    """Holds a lock on `file`, once no other process does: jgo's cache is not for two that fetch the same."""
    with file.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _place(jar: Jar, fetched: Path, folder: Path) -> None:
    """Copies a fetched jar to where it is used, if it is the one the lock names."""
    if hashlib.sha256(fetched.read_bytes()).hexdigest() != jar.sha256:
        raise Missing(f"{jar.name} is not the file the lock names", where=str(fetched), hint="delete it and try again")
    part = folder / f"{jar.name}.part"
    shutil.copyfile(fetched, part)
    part.replace(folder / jar.name)


def cache_folder() -> Path:
    """`fleetlake` in the user's cache folder (XDG_CACHE_HOME, else ~/.cache)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fleetlake"


KAFKA = JarSet(
    LOCKS / "kafka.lock", "Apache Kafka", "check the network, or use a Kafka of your own: --set kafka.bootstrap_servers=HOST:PORT"
)
SPARK = JarSet(LOCKS / "spark.lock", "Spark's connectors to Kafka, Iceberg and SQLite")
SPARK_S3 = JarSet(LOCKS / "spark-s3.lock", "Spark's connectors to S3 and AWS")


def kafka_version() -> str:
    return next(jar.version for jar in KAFKA.jars() if jar.artifact.startswith("kafka_"))
