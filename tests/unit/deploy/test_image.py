"""The steps of deploy/compose/Dockerfile without a Docker engine: in a clean folder, on what .dockerignore lets through."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOCKERFILE = ROOT / "deploy" / "compose" / "Dockerfile"
IGNORE = (ROOT / ".dockerignore").read_text()
NOT_HERE = (
    "python -m venv",  # the tests' own environment stands for it
    "pip install --require-hashes",  # minutes, and what `make` does with the same locks
    "pip uninstall -y ziglang",
)


def instructions() -> Iterator[tuple[str, str]]:
    """(word, rest) of each instruction of the first stage, in which the image's software is made."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", "")
    stages = re.split(r"^FROM .*\n", text, flags=re.MULTILINE)
    for line in filter(str.strip, stages[1].splitlines()):
        word, _, rest = line.strip().partition(" ")
        yield word, rest


def copied() -> list[str]:
    """The sources of every COPY from the context, in both stages."""
    lines = re.findall(r"^COPY (?!--from)(.*)", DOCKERFILE.read_text(), re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


def is_let_through(path: str, ignore: str = IGNORE) -> bool:
    """Whether a file gets into the context: as for Docker, the last line that matches it or a folder above it decides."""
    parts, kept = path.split("/"), True
    above = ["/".join(parts[: depth + 1]) for depth in range(len(parts))]
    for line in filter(None, (line.strip() for line in ignore.splitlines())):
        if not line.startswith("#") and any(_pattern(line.removeprefix("!")).fullmatch(each) for each in above):
            kept = line.startswith("!")
    return kept


def _pattern(text: str) -> re.Pattern[str]:
    pieces = re.split(r"(\*\*/|\*\*|\*|\?)", text.strip("/"))
    meaning = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meaning.get(piece, re.escape(piece)) for piece in pieces))


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a builder is sent of this folder."""
    made = tmp_path_factory.mktemp("context")
    for folder, folders, files in os.walk(ROOT):
        if Path(folder) == ROOT:
            folders[:] = [name for name in folders if name not in (".git", ".venv")]  # shut out, as the next test says; large
        for name in files:
            path = (Path(folder) / name).relative_to(ROOT)
            if is_let_through(str(path)):
                (made / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / path, made / path)
    return made


def test_dockerignore_lets_through_what_the_dockerfile_copies_and_nothing_else() -> None:
    kept = {line[1:] for line in IGNORE.splitlines() if line.startswith("!")}
    assert kept == set(copied())
    shut_out = (".git/config", ".venv/bin/python", ".fleetlake/catalog.db", "deploy/compose/.env", "requirements/dev.lock",
                "fleetlake.toml", "src/fleetlake/cli/__pycache__/main.pyc", "src/fleetlake.egg-info/PKG-INFO")  # fmt: skip
    assert [path for path in shut_out if is_let_through(path)] == []


def test_a_pattern_is_read_as_docker_reads_it() -> None:
    ignore = "*\n!src\n**/__pycache__\n!a/*.lock\n"
    let = ["src/a/b.py", "a/x.lock"]
    assert [
        path for path in (*let, "setup.py", "src/a/__pycache__/b.pyc", "a/b/x.lock", "srcs") if is_let_through(path, ignore)
    ] == let


def test_the_image_can_be_built_and_its_software_runs(context: Path, tmp_path: Path) -> None:
    build, site = tmp_path / "build", tmp_path / "site"
    build.mkdir()
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("FLEETLAKE", "PYTHONPATH"))}
    done = []
    for word, rest in instructions():
        if word == "COPY":
            *sources, target = rest.split()
            for source in sources:
                _copy(context / source, build / target, is_folder=target.endswith("/"))
        elif word == "RUN":
            for command in rest.split("&&"):
                done += _carry_out(command.strip(), build, site, environment)
        else:
            assert word in ("ENV", "WORKDIR"), f"what does {word} do here?"
    assert [words[:2] for words in done] == [["pip", "install"], ["python", "-c"]]

    environment["PYTHONPATH"] = str(site)
    loaded = _run(
        [sys.executable, "-c", "from fleetlake.runtime.compiled import PATH, compiled; compiled(); print(PATH)"],
        tmp_path,
        environment,
    )
    assert Path(loaded.strip()).parent == site / "fleetlake" / "runtime"
    health = re.search(r'^HEALTHCHECK .*CMD \["fleetlake", "config", "show"\]', DOCKERFILE.read_text(), re.MULTILINE)
    assert health
    assert "kafka.port" in _run([sys.executable, "-m", "fleetlake.cli.main", "config", "show"], tmp_path, environment)


def _carry_out(command: str, build: Path, site: Path, environment: dict[str, str]) -> list[list[str]]:
    """Runs one command of a RUN line, pip's into `site`; none of those that are not for here."""
    if command.startswith(NOT_HERE):
        return []
    words = shlex.split(command)
    if words[:2] == ["pip", "install"]:
        _run([sys.executable, "-m", *words, "-q", "--target", str(site)], build, environment)
    else:
        assert words[0] == "python", command
        _run([sys.executable, *words[1:]], build, environment | {"PYTHONPATH": str(site)})
    return [words]


def _copy(source: Path, target: Path, *, is_folder: bool) -> None:
    if source.is_dir():
        shutil.copytree(source, target)  # COPY src src: what is in it
    else:
        target = target / source.name if is_folder else target
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout
