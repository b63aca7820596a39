"""A secret that would be committed fails the check; what is known to be none does not."""

import subprocess
from pathlib import Path

import pytest
from checks import secrets

KEY = "AKIA" + "Z7QH2NTVX4PWKM3R"


@pytest.fixture
def work_tree(tmp_path: Path) -> Path:
    """A repository with one clean file."""
    root = tmp_path / "work"
    root.mkdir()
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    (root / "clean.py").write_text("print('nothing')\n")
    return root


@pytest.fixture
def known(tmp_path: Path) -> Path:
    path = tmp_path / "known.txt"
    path.write_text("# none\n")
    return path


def test_a_planted_secret_fails_and_is_not_repeated(work_tree: Path, known: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert secrets.main(work_tree, known) == 0
    (work_tree / "settings.py").write_text(f"# where\nACCESS = '{KEY}'\n")
    assert secrets.main(work_tree, known) == 1
    out = capsys.readouterr().out
    assert "settings.py:2: AWS Access Key" in out
    assert KEY not in out


@pytest.mark.parametrize(
    "text",
    [
        "password = 'Xk29vQmz81'\n",  # pragma: allowlist secret
        "-----BEGIN RSA " + "PRIVATE KEY-----\n",
        "url = 'https://me:" + "Xk29vQmz81@example.org/'\n",
        "token = 'ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8'\n",
    ],
)
def test_kinds_of_secrets(work_tree: Path, known: Path, text: str) -> None:
    (work_tree / "x.py").write_text(text)
    assert secrets.main(work_tree, known) == 1


def test_what_is_known_passes_until_it_changes_or_goes(work_tree: Path, known: Path) -> None:
    (work_tree / "x.py").write_text(f"ACCESS = '{KEY}'\n")
    found = secrets.find_secrets(work_tree, secrets.committed(work_tree))
    known.write_text("".join(f"{find.entry} made up\n" for find in found))
    assert secrets.main(work_tree, known) == 0
    (work_tree / "x.py").write_text(f"\n\nACCESS = '{KEY}'\n")
    assert secrets.main(work_tree, known) == 0
    (work_tree / "x.py").write_text(f"ACCESS = '{KEY[:-1]}Q'\n")
    assert secrets.main(work_tree, known) == 1
    (work_tree / "x.py").unlink()
    assert secrets.main(work_tree, known) == 1


def test_what_git_ignores_is_left_alone(work_tree: Path, known: Path) -> None:
    (work_tree / ".gitignore").write_text("local.py\n")
    (work_tree / "local.py").write_text(f"ACCESS = '{KEY}'\n")
    assert secrets.main(work_tree, known) == 0


def test_an_exception_without_a_reason_and_a_folder_without_git_are_errors(
    work_tree: Path, known: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert secrets.main(tmp_path, known) == 2
    known.write_text("x.py 0123\n")
    assert secrets.main(work_tree, known) == 2
    assert "why it is no secret" in capsys.readouterr().err


def test_many_files_are_scanned_by_several_processes(work_tree: Path, known: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(secrets.FEW):
        (work_tree / f"{number}.py").write_text(f"ACCESS = '{KEY}'\n")
    assert secrets.main(work_tree, known) == 1
    assert f"{secrets.FEW + 1} files, {secrets.FEW} to look at" in capsys.readouterr().out
