"""A dependency that is not pinned and hashed, or not the one that is installed, fails the check."""

import shutil
from pathlib import Path

import pytest
from checks import locks
from checks.locks import Locked

DIGEST = "--hash=sha256:" + "0" * 64
GOOD = f"a-b==1.2 ; python_version < '4' \\\n    {DIGEST} \\\n    {DIGEST}\n# why\nc==3 \\\n    {DIGEST}\n"


def test_a_good_lock() -> None:
    assert locks.read_python_lock(GOOD) == ([Locked("PyPI", "a-b", "1.2", "python_version < '4'"), Locked("PyPI", "c", "3")], [])


@pytest.mark.parametrize(
    "line",
    [
        "d==1",
        "d>=1 \\\n    " + DIGEST, "d", "d==1 \\\n    --hash=md5:00", f"d==1 \\\n    {DIGEST[:-1]}", "-r other.txt", "-e .",
        "--index-url https://example.org/simple", "d @ https://example.org/d.whl \\\n    " + DIGEST, "d==1.* \\\n    " + DIGEST,
        f"d==1 \\\n    {DIGEST} \\\n    --config-settings=x",
    ],
)  # fmt: skip
def test_a_line_that_is_not_pinned_and_hashed(line: str) -> None:
    locked, wrong = locks.read_python_lock(GOOD + line + "\n")
    assert [package.name for package in locked] == ["a-b", "c"]
    assert [number for number, _ in wrong] == [7]


@pytest.mark.parametrize("line", ["org.x:y:1.0", "org.x:y " + "0" * 64, "org.x:y:1.0 " + "0" * 63])
def test_a_jar_without_version_or_digest(line: str) -> None:
    good = "# jars\norg.x:y:1.0 " + "0" * 64 + "\norg.x:z:1:all " + "1" * 64 + "\n"
    assert locks.read_jar_lock(good + line) == ([Locked("Maven", "org.x:y", "1.0"), Locked("Maven", "org.x:z", "1")], [(4, line)])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project's own locks, to be spoilt."""
    shutil.copytree(locks.ROOT / "requirements", tmp_path / "requirements")
    shutil.copy(locks.ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_an_unhashed_line_in_a_lock_fails(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert locks.judge(project)[1] == []
    with (project / "requirements" / "run.lock").open("a") as lock:
        lock.write("planted==1.0\n")
    assert locks.main(project) == 1
    assert "not pinned with a SHA-256: planted==1.0" in capsys.readouterr().out


def test_a_dependency_that_is_not_locked(project: Path) -> None:
    path = project / "pyproject.toml"
    path.write_text(path.read_text().replace('    "duckdb==', '    "planted>=1",\n    "duckdb=='))
    wrong = [f"requirements/{lock}.lock: planted>=1 of pyproject.toml is locked as None; run make lock" for lock in locks.SETS]
    assert locks.judge(project)[1] == wrong


def test_what_is_installed_is_what_is_locked() -> None:
    locked = [Locked("PyPI", "a", "1"), Locked("PyPI", "b", "1", "sys_platform == 'nowhere'"), Locked("PyPI", "c", "1")]
    assert list(locks.against_installed(locked, {"a": "1", "c": "2"})) == ["c is 2, locked is 1; run make clean check"]
