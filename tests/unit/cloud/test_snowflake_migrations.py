"""The migrations: the committed files are what the contracts say, each statement in its place, nothing secret, nothing replaced."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from fleetlake.cloud.snowflake.files import migration_files
from fleetlake.cloud.snowflake.migrations import migrations
from fleetlake.cloud.snowflake.plan import plan_text, planned
from fleetlake.cloud.snowflake.statements import SnowflakeObjectKind, Thing, grant, grant_name, literal
from fleetlake.cloud.snowflake.target import LINKED, LISTED, PLACEHOLDERS, SnowflakeTarget
from fleetlake.cloud.views import views
from fleetlake.contracts.tables import all_tables
from fleetlake.foundation.errors import BadInput

FOLDER = Path(__file__).parents[3] / "deploy" / "snowflake"
MODES = (LISTED, LINKED)


def statements_of(target: SnowflakeTarget) -> list[str]:
    return [statement.sql for migration in migrations(target) for statement in migration.statements]


def test_the_committed_files_are_current() -> None:
    committed = {str(path.relative_to(FOLDER)): path.read_text("utf-8") for path in FOLDER.rglob("*.sql")}
    assert committed == migration_files(), "python -m docs.generate"


@pytest.mark.parametrize("mode", MODES)
def test_numbers_follow_each_other_and_pass_one_comes_first(mode: str) -> None:
    plan = migrations(PLACEHOLDERS.in_mode(mode))
    assert [migration.number for migration in plan] == list(range(1, len(plan) + 1))
    assert [migration.pass_number for migration in plan] == [1] * 3 + [2] * (len(plan) - 3)
    assert plan[0].file_name == "001_warehouse_and_database.sql"


@pytest.mark.parametrize("mode", MODES)
def test_what_is_needed_is_made_before(mode: str) -> None:
    target = PLACEHOLDERS.in_mode(mode)
    made: set[Thing] = set()
    by_itself = {f"{target.linked_database}.{table.name.upper()}" for table in all_tables()}
    by_itself |= {f"{target.linked_database}.{table.layer.upper()}" for table in all_tables()}
    for migration in migrations(target):
        for statement in migration.statements:
            assert [thing for thing in statement.needs if thing not in made and thing.name not in by_itself] == []
            assert statement.makes not in made
            made.add(statement.makes)


def test_every_table_of_bronze_silver_and_gold_is_listed_once_by_its_own_name() -> None:
    created = [sql for sql in statements_of(PLACEHOLDERS) if sql.startswith("CREATE ICEBERG TABLE")]
    found = {}
    for sql in created:
        names = re.findall(r"CATALOG_(?:NAMESPACE|TABLE_NAME) = '(\w+)'", sql)
        found[f"{names[1]}.{names[0]}"] = sql.split("\n")[0].rpartition(" ")[2]
    assert found == {table.name: f"FLEETLAKE.{table.name.upper()}" for table in all_tables()}
    assert len(created) == len(all_tables())


def test_a_linked_table_has_a_view_of_the_contracts_columns_so_both_modes_read_alike() -> None:
    sql = {statement.makes.name: statement.sql for m in migrations(PLACEHOLDERS.in_mode(LINKED)) for statement in m.statements}
    for table in all_tables():
        view = sql[f"FLEETLAKE.{table.name.upper()}"]
        assert re.findall(r'^  "(\w+)" AS (\w+),?$', view, re.MULTILINE) == [(c.name, c.name.upper()) for c in table.columns]
        assert view.endswith(f'FROM FLEETLAKE_LAKE."{table.layer}"."{table.kind}"')
    analysts = [
        {s.makes.name: s.sql for m in migrations(PLACEHOLDERS.in_mode(mode)) if m.title == "views" for s in m.statements}
        for mode in MODES
    ]
    assert analysts[0] == analysts[1]
    assert set(analysts[0]) == {f"FLEETLAKE.ANALYTICS.{view.name.upper()}" for view in views()}


@pytest.mark.parametrize("mode", MODES)
def test_only_views_are_ever_replaced_and_nothing_is_dropped(mode: str) -> None:
    for sql in statements_of(PLACEHOLDERS.in_mode(mode)):
        assert not re.search(r"\bDROP\b", sql)
        assert "OR REPLACE" not in sql or sql.startswith("CREATE OR REPLACE VIEW"), sql
        assert sql.startswith(("GRANT ", "CREATE OR REPLACE VIEW ")) or "IF NOT EXISTS" in sql or "LINKED_CATALOG" in sql


@pytest.mark.parametrize("mode", MODES)
def test_analysts_may_read_silver_gold_and_the_views_and_write_nothing(mode: str) -> None:
    granted = Counter(sql.split()[1] for sql in statements_of(PLACEHOLDERS.in_mode(mode)) if sql.startswith("GRANT "))
    readable = sum(table.layer != "bronze" for table in all_tables())
    assert granted["SELECT"] == readable * (1 if mode == LISTED else 2) + len(views())
    assert set(granted) == {"USAGE", "SELECT", "ROLE"}
    assert not [sql for sql in statements_of(PLACEHOLDERS.in_mode(mode)) if sql.startswith("GRANT ") and "BRONZE" in sql.upper()]


def test_nothing_is_written_through_snowflake() -> None:
    assert any("ALLOW_WRITES = FALSE" in sql for sql in statements_of(PLACEHOLDERS))
    assert any("ALLOWED_WRITE_OPERATIONS = NONE" in sql for sql in statements_of(PLACEHOLDERS.in_mode(LINKED)))


def test_names_of_a_configuration() -> None:
    target = replace(PLACEHOLDERS, database="lake", warehouse="small", analyst_role="readers", stack="my-lake")
    assert (target.volume, target.integration, target.linked_database) == ("MY_LAKE_VOLUME", "MY_LAKE_GLUE", "LAKE_LAKE")
    assert any(sql.startswith("GRANT SELECT ON ICEBERG TABLE LAKE.GOLD.TRIPS TO ROLE READERS") for sql in statements_of(target))


@pytest.mark.parametrize("name", ["", "fleet-lake", "a.b", "x; DROP DATABASE y", "1a", "a b", "ä"])
@pytest.mark.parametrize("field", ["database", "warehouse", "admin_role", "analyst_role"])
def test_what_is_no_name_is_refused(field: str, name: str) -> None:
    with pytest.raises(BadInput, match=rf"is no name for Snowflake; at snowflake\.{field}"):
        replace(PLACEHOLDERS, **{field: name})


@pytest.mark.parametrize("name", ["select", "Table", "ACCOUNT"])
@pytest.mark.parametrize("field", ["database", "warehouse", "admin_role", "analyst_role"])
def test_a_reserved_word_is_refused(field: str, name: str) -> None:
    with pytest.raises(BadInput, match=rf"is a reserved word of Snowflake's; at snowflake\.{field}"):
        replace(PLACEHOLDERS, **{field: name})


@pytest.mark.parametrize("role", ["SYSADMIN", "AccountAdmin", "securityadmin", "useradmin", "orgadmin", "public"])
def test_analysts_get_a_role_of_their_own(role: str) -> None:
    with pytest.raises(BadInput, match=r"is one of Snowflake's system roles; at snowflake\.analyst_role"):
        replace(PLACEHOLDERS, analyst_role=role)


def test_analysts_do_not_get_the_role_that_makes_everything() -> None:
    with pytest.raises(BadInput, match=r"the role that makes everything; at snowflake\.analyst_role"):
        replace(PLACEHOLDERS, admin_role="loader", analyst_role="LOADER")


INJECTED = "x; DROP DATABASE PROD; --"


def test_a_stack_that_is_more_than_a_name_is_refused() -> None:
    for stack in (INJECTED, "lake\n", "", "9"):
        with pytest.raises(BadInput, match=r"is no name for Snowflake; at aws\.stack"):
            replace(PLACEHOLDERS, stack=stack)


@pytest.mark.parametrize("field", ["stack", "database", "warehouse"])
@pytest.mark.parametrize("mode", MODES)
def test_no_statement_is_written_with_a_name_that_is_more_than_a_name(mode: str, field: str) -> None:
    target = PLACEHOLDERS.in_mode(mode)
    object.__setattr__(target, field, INJECTED)  # as if nothing had been checked before
    with pytest.raises(BadInput, match="can't stand in a statement"):
        migrations(target)


@pytest.mark.parametrize("given", [(INJECTED, "READERS"), ("LAKE", INJECTED), ("LAKE.GOLD.A.B", "READERS")])
def test_no_grant_either(given: tuple[str, str]) -> None:
    with pytest.raises(BadInput, match="can't stand in a statement"):
        grant("USAGE", "DATABASE", *given)


def test_a_constant_can_hold_anything() -> None:
    assert literal("a vehicle's \\ way") == "'a vehicle''s \\\\ way'"


def test_a_grant_is_the_same_however_snowflake_calls_it() -> None:
    said = grant_name("SELECT", "ICEBERG TABLE", 'FLEETLAKE_LAKE."gold"."trips"')
    assert (
        said
        == grant_name("SELECT", "TABLE", "FLEETLAKE_LAKE.gold.trips")
        == grant_name("select", "ICEBERG_TABLE", "FLEETLAKE_LAKE.GOLD.TRIPS")
    )


@pytest.mark.parametrize("mode", MODES)
def test_a_plan_has_every_statement_and_the_handshake_between_the_passes(mode: str) -> None:
    target = PLACEHOLDERS.in_mode(mode)
    steps = planned(target)
    assert [step["statement"] for step in steps if step["stage"] != "handshake"] == [f"{sql};" for sql in statements_of(target)]
    order = [step["stage"] for step in steps]
    assert order == sorted(order, key=[1, "handshake", 2].index)
    between = [step["statement"] for step in steps if step["stage"] == "handshake"]
    assert between[:2] == ["DESC EXTERNAL VOLUME FLEETLAKE_VOLUME;", f"DESC CATALOG INTEGRATION {target.integration};"]
    assert all(step["statement"] in plan_text(target) for step in steps)


def test_the_command_plans_without_credentials_network_boto3_or_connector(tmp_path: Path) -> None:
    command = [
        sys.executable, "-c",
        "import sys, socket\n"
        "sys.modules['boto3'] = sys.modules['botocore'] = sys.modules['snowflake'] = None\n"
        "def no(*a, **k): raise AssertionError('network')\n"
        "socket.socket.connect = no\n"
        "from fleetlake.cli.main import main\n"
        "main()",
        "deploy", "snowflake", "plan", "--json", "--mode", "linked",
    ]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env={"PATH": "/usr/bin", "HOME": str(tmp_path)})
    assert (ran.returncode, ran.stderr) == (0, "")
    steps = json.loads(ran.stdout)
    assert {step["stage"] for step in steps} == {1, "handshake", 2}
    assert not re.search(r"\d{12}", ran.stdout)
    assert SnowflakeObjectKind.INTEGRATION in {step["makes"].rpartition(" ")[0] for step in steps}
