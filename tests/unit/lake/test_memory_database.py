"""DuckDB is opened in one place, and what it spills is below the home; nothing else makes temporary files."""

from __future__ import annotations

import ast
from pathlib import Path

import duckdb
import pytest

import fleetlake
from fleetlake.lake.memory_database import memory_database, small_database
from fleetlake.runtime.spill import ROOT

SOURCE = Path(fleetlake.__file__).parent
ALLOWED = {
    ("lake/memory_database.py", "duckdb.connect"),
    ("runtime/spill.py", "tempfile.mkdtemp"),
    ("runtime/spill.py", "tempfile.gettempdir"),
    ("cli/command_line.py", "tempfile.gettempdir"),  # to say whether its disk is full
    ("cli/crash_log.py", "tempfile.gettempdir"),
    ("cli/crash_log.py", "tempfile.mkstemp"),
    ("workflows/erase.py", "tempfile.gettempdir"),  # to look for spills of older versions
}


def calls(source: str) -> set[str]:
    called = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    named = [
        f"{function.value.id}.{function.attr}"
        for function in called
        if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)
    ]
    return {name for name in named if name == "duckdb.connect" or name.startswith("tempfile.")}


def test_every_temporary_file_has_an_owner() -> None:
    files = {path: path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py")}
    assert {(name, call) for path, name in files.items() for call in calls(path.read_text())} == ALLOWED


def test_a_sort_spills_below_the_root_and_leaves_nothing(tmp_path: Path) -> None:
    token = ROOT.set(tmp_path / "spill")
    with memory_database("compaction", {"memory_limit": "60MB", "threads": 1}) as con:
        sql = "SELECT hash(range) AS h, 'what a device called sim1-00007 says, ' || range AS t FROM range(2_000_000) ORDER BY h"
        reader = con.sql(sql).to_arrow_reader(1000)
        next(reader)
        (folder,) = (tmp_path / "spill").glob("compaction-*")
        assert sum(path.stat().st_size for path in folder.iterdir()) > 1_000_000
    assert [path.name for path in (tmp_path / "spill").iterdir()] == [".lock"]
    ROOT.reset(token)


def test_a_small_database_never_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with small_database({"memory_limit": "20MB", "threads": 1}) as con, pytest.raises(duckdb.OutOfMemoryException):
        con.execute("SELECT hash(range) AS h FROM range(5_000_000) ORDER BY h").fetchall()
    assert list(tmp_path.iterdir()) == []
