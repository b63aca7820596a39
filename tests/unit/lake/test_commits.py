"""Every change of a table goes through lake/commits.py: one attempt, an outcome that is known or said to be unknown."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import fleetlake
from fleetlake.contracts.columns import Column, Type
from fleetlake.contracts.events import GPS
from fleetlake.contracts.tables import bronze_of
from fleetlake.lake.catalog import LakeSettings, open_lake
from fleetlake.lake.commits import Conflict, commit, commit_properties, commit_schema, move_on
from fleetlake.lake.replace import rows_since

SOURCE = Path(fleetlake.__file__).parent
ONLY_HERE = SOURCE / "lake" / "commits.py"
# What changes a table in PyIceberg by a commit of its own, whose outcome nobody here would know.
COMMITTING = {
    "transaction", "commit_transaction", "commit_table", "update_schema", "update_spec", "update_sort_order", "update_statistics",
    "manage_snapshots", "add_files", "upsert", "dynamic_partition_overwrite",
}  # fmt: skip


def committing_calls(source: str) -> list[str]:
    called = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [function.attr for function in called if isinstance(function, ast.Attribute) and function.attr in COMMITTING]


def test_nothing_commits_past_lake_commits() -> None:
    found = {path: committing_calls(path.read_text()) for path in SOURCE.rglob("*.py")}
    assert found.pop(ONLY_HERE)
    assert {str(path): calls for path, calls in found.items() if calls} == {}


def test_a_call_that_commits_is_seen() -> None:
    assert committing_calls("with stored.transaction() as t:\n    t.set_properties({})") == ["transaction"]


def test_properties_and_schema_are_one_attempt_each(tmp_path: Path) -> None:
    lake = open_lake(
        LakeSettings("local", {"type": "sql", "uri": f"sqlite:///{tmp_path}/catalog.db", "warehouse": f"file://{tmp_path}/w"})
    )
    name = bronze_of(GPS).name
    lake.ensure([bronze_of(GPS)])
    before = lake.table(name)
    commit_properties(lake.table(name), {"a": "1"})
    assert lake.table(name).properties["a"] == "1"
    assert lake.table(name).current_snapshot() is None
    first, second = lake.table(name), lake.table(name)
    commit_schema(first, lambda update: update.add_column("more", first.schema().find_type("speed_kmh")))
    assert "more" in lake.table(name).schema().column_names
    with pytest.raises(Conflict):
        commit_schema(second, lambda update: update.add_column("other", second.schema().find_type("speed_kmh")))
    commit(lake.table(name), properties={})
    with pytest.raises(Conflict):
        commit(before, properties={})
    assert Column("more", Type.DOUBLE, "").name not in before.schema().column_names
    lake.close()


def test_moving_on_refuses_older_commits_and_changes_no_row(tmp_path: Path) -> None:
    lake = open_lake(
        LakeSettings("local", {"type": "sql", "uri": f"sqlite:///{tmp_path}/catalog.db", "warehouse": f"file://{tmp_path}/w"})
    )
    name = bronze_of(GPS).name
    lake.ensure([bronze_of(GPS)])
    for _ in range(2):  # also without a snapshot before
        older, since = lake.table(name), rows_since(lake.table(name))
        move_on(lambda: lake.table(name), wait=lambda attempt: None)
        assert rows_since(lake.table(name)) == since or older.current_snapshot() is None
        with pytest.raises(Conflict):
            commit(older, properties={})
    lake.close()
