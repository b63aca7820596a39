"""Every dependency is pinned and hashed, and what is installed is what is locked: `python -m checks.locks`. Works offline."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PYTHON_LOCKS = "requirements/*.lock"
JAR_LOCKS = ("src/fleetlake/runtime/locks/*.lock", "benchmarks/locks/*.lock", "tests/*.lock")
SETS = {"run": (), "spark": ("spark",), "cloud": ("aws", "snowflake"), "dev": ("dev", "spark", "aws", "snowflake")}  # lock: extras
JAR = re.compile(r"(?P<name>[\w.-]+:[\w.-]+):(?P<version>[\w.+-]+)(?::[\w.-]+)? [0-9a-f]{64}", re.ASCII)
PINNED = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)==(?P<version>[\w.!+-]+)(?P<marker> ;.*)?", re.ASCII)
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Locked:
    """One package of a lock. ecosystem: PyPI or Maven. marker: where it is installed, "" for everywhere."""

    ecosystem: str
    name: str
    version: str
    marker: str = ""


def read_python_lock(text: str) -> tuple[list[Locked], list[tuple[int, str]]]:
    """The packages of a requirements file, and line number and text of what is not `name==version` with at least one SHA-256."""
    locked, wrong = [], []
    for number, line in _logical_lines(text):
        first, *rest = re.split(r"\s+(?=--)", line)
        pinned = PINNED.fullmatch(first)
        if pinned is None or not rest or not all(map(HASH.fullmatch, rest)):
            wrong.append((number, first))
        else:
            locked.append(
                Locked("PyPI", canonicalize_name(pinned["name"]), pinned["version"], (pinned["marker"] or "").lstrip(" ;"))
            )
    return locked, wrong


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    parts: list[str] = []
    for number, line in enumerate([*text.splitlines(), ""], 1):
        start = start if parts else number
        parts.append(line.removesuffix("\\").strip())
        if not line.endswith("\\"):
            whole, parts = " ".join(part for part in parts if part), []
            if whole and not whole.startswith("#"):
                yield start, whole


def read_jar_lock(text: str) -> tuple[list[Locked], list[tuple[int, str]]]:
    """The same of a list of jars: `group:artifact:version[:classifier] sha256`."""
    locked, wrong = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if line and not line.startswith("#"):
            jar = JAR.fullmatch(line)
            if jar is None:
                wrong.append((number, line))
            else:
                locked.append(Locked("Maven", jar["name"], jar["version"]))
    return locked, wrong


def read_locks(root: Path) -> tuple[dict[str, list[Locked]], list[str]]:
    """Each lock's packages by its path, and a line for each thing that is wrong in one."""
    locks, wrong = {}, []
    kinds = [(PYTHON_LOCKS, read_python_lock), *((pattern, read_jar_lock) for pattern in JAR_LOCKS)]
    for pattern, read in kinds:
        for path in sorted(root.glob(pattern)):
            name = path.relative_to(root).as_posix()
            locks[name], bad = read(path.read_text())
            wrong += [f"{name}:{number}: not pinned with a SHA-256: {line}" for number, line in bad]
            if not locks[name]:
                wrong.append(f"{name}: locks nothing")
    return locks, wrong


def against_project(project: dict[str, object], locks: dict[str, list[Locked]]) -> Iterator[str]:
    """A line for each dependency of pyproject.toml that its lock lacks or has in a version that is not allowed."""
    section: dict = project["project"]  # type: ignore[type-arg,assignment]
    for lock, extras in SETS.items():
        name = f"requirements/{lock}.lock"
        versions = {package.name: package.version for package in locks.get(name, [])}
        for text in [*section["dependencies"], *(entry for extra in extras for entry in section["optional-dependencies"][extra])]:
            wanted = Requirement(text)
            version = versions.get(canonicalize_name(wanted.name))
            if version is None or version not in wanted.specifier:
                yield f"{name}: {text} of pyproject.toml is locked as {version}; run make lock"


def against_installed(locked: list[Locked], installed: dict[str, str]) -> Iterator[str]:
    """A line for each package of a lock that belongs on this machine and is not installed in the locked version."""
    for package in locked:
        here = not package.marker or Marker(package.marker).evaluate()
        if here and installed.get(package.name) != package.version:
            seen = installed.get(package.name, "not installed")
            yield f"{package.name} is {seen}, locked is {package.version}; run make clean check"


def judge(root: Path) -> tuple[dict[str, list[Locked]], list[str]]:
    """Each lock's packages, and a line for each thing that is wrong with the locks themselves."""
    locks, wrong = read_locks(root)
    return locks, [*wrong, *against_project(tomllib.loads((root / "pyproject.toml").read_text()), locks)]


def main(root: Path = ROOT) -> int:
    """Judges the locks and what is installed here. 0 if all holds, else 1."""
    locks, wrong = judge(root)
    installed = {str(canonicalize_name(found.name)): found.version for found in metadata.distributions()}
    wrong += against_installed(locks.get("requirements/dev.lock", []), installed)
    checked = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    if checked.returncode:
        wrong += [f"pip check: {line}" for line in (checked.stdout + checked.stderr).splitlines()]
    packages = sum(map(len, locks.values()))
    print("\n".join([*wrong, f"locks: {len(locks)} files, {packages} packages, each with its SHA-256; {len(wrong)} wrong"]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
