"""The jars of the peers, locked like our own; fetched into the cache folder on first use."""

from __future__ import annotations

import sys
from pathlib import Path

from fleetlake.runtime.jars import JarSet

LOCKS = Path(__file__).parent / "locks"
CONNECT = JarSet(LOCKS / "connect.lock", "Kafka Connect with Iceberg's sink")
FLINK = JarSet(LOCKS / "flink.lock", "Flink with its connectors to Kafka and Iceberg")


def classpath(jars: JarSet) -> str:
    """Of all the set's jars, fetched if need be."""
    if absent := jars.absent():
        print(f"fetching {jars.what} ({len(absent)} jars, once)", file=sys.stderr)
    return ":".join(map(str, jars.ensure()))


def version(jars: JarSet, artifact: str) -> str:
    return next(jar.version for jar in jars.jars() if jar.artifact == artifact)
