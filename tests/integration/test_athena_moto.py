"""The commands of Athena as users run them, against moto's server. It runs no SQL: what a query returns is set by the test.

moto 5.2 knows neither BatchGetNamedQuery nor UpdateNamedQuery; `apply` over those is in tests/unit/cloud/test_athena_apply.py.
"""

from __future__ import annotations

import csv
import json
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from tests.aws_server import REGION, AwsServer, aws_server
from tests.conftest import free_ports
from tests.forking import run_fleetlake

BUCKET, WORKGROUP = "athena-tests", "fleetlake"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsServer]:
    with aws_server(tmp_path_factory.mktemp("aws"), free_ports()) as made:
        yield made


@pytest.fixture(autouse=True)
def _nothing_from_before(server: AwsServer) -> None:
    server.reset()


def client(server: AwsServer, service: str) -> Any:
    import boto3

    return boto3.session.Session("test-key", "test-secret", region_name=REGION).client(service, endpoint_url=server.endpoint)


def make_workgroup(server: AwsServer) -> None:
    client(server, "s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    configuration = {"ResultConfiguration": {"OutputLocation": f"s3://{BUCKET}/query-results/"}}
    client(server, "athena").create_work_group(Name=WORKGROUP, Configuration=configuration)


def set_result(server: AwsServer, columns: dict[str, str], *rows: tuple[str | None, ...]) -> None:
    data = [{"Data": [{} if value is None else {"VarCharValue": value} for value in row]} for row in rows]
    info = [{"Name": name, "Type": type_} for name, type_ in columns.items()]
    body = {"region": REGION, "results": [{"rows": data, "column_info": info}]}
    request = urllib.request.Request(f"{server.endpoint}/moto-api/static/athena/query-results", json.dumps(body).encode())  # noqa: S310
    urllib.request.urlopen(request, timeout=30).close()  # noqa: S310


def fleetlake(server: AwsServer | None, folder: Path, *arguments: str, expect: int = 0) -> tuple[str, str]:
    """stdout and stderr of a command; without a server there are no credentials and no way to AWS either."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "FLEETLAKE"))}
    nowhere = {
        "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    }  # fmt: skip
    words = ("--home", str(folder), "--set", f"aws.region={REGION}", *arguments)
    done = run_fleetlake(*words, env=kept | (dict(server.environment) if server else nowhere), timeout=120, cwd=folder)
    assert done.returncode == expect, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    assert DEFAULT_ACCOUNT_ID not in done.stdout + done.stderr
    return done.stdout, done.stderr


def test_a_plan_needs_no_credentials_and_no_network(tmp_path: Path) -> None:
    text, _ = fleetlake(None, tmp_path, "deploy", "athena", "plan")
    assert text.startswith("-- Glue database fleet, made if absent\n\n-- 1. table fleet.landing_vehicle\nCREATE EXTERNAL TABLE")
    assert "-- 14. view fleet.driver_weeks\nCREATE OR REPLACE VIEW" in text
    assert "VACUUM raw.gps;" in text
    assert "s3://<bucket>/landing/" in text
    told = json.loads(fleetlake(None, tmp_path, "--set", f"aws.bucket={BUCKET}", "deploy", "athena", "plan", "--json")[0])
    assert told["landing"] == f"s3://{BUCKET}/landing"
    assert [one["name"] for one in told["statements"]][-4:] == ["fleet_state", "trips", "quarantine", "driver_weeks"]
    assert len(told["named_queries"]) > 50


@pytest.mark.parametrize(
    ("setting", "said"),
    [("aws.bucket=Upper", "upper case"), ("aws.bucket=a.dot", "dot"), ("aws.view_database=Fleet", "no name for a Glue database")],
)
def test_a_name_that_aws_would_refuse(tmp_path: Path, setting: str, said: str) -> None:
    for command in ("plan", "apply"):
        _, error = fleetlake(None, tmp_path, "--set", setting, "deploy", "athena", command, expect=2)
        assert said in error
        assert error.count("\n") == 1


def test_apply_without_credentials(tmp_path: Path) -> None:
    _, error = fleetlake(None, tmp_path, "deploy", "athena", "apply", expect=2)
    assert error.startswith("error: no usable AWS credentials")
    assert error.count("\n") == 1


def test_apply_without_a_workgroup_makes_nothing(server: AwsServer, tmp_path: Path) -> None:
    _, error = fleetlake(server, tmp_path, "deploy", "athena", "apply", expect=2)
    assert error.startswith("error: there is no Athena workgroup fleetlake; at aws.workgroup")
    assert client(server, "glue").get_databases()["DatabaseList"] == []


def test_apply_without_the_bucket_makes_nothing(server: AwsServer, tmp_path: Path) -> None:
    make_workgroup(server)
    _, error = fleetlake(server, tmp_path, "--set", "aws.bucket=not-there", "deploy", "athena", "apply", expect=2)
    assert error.startswith("error: there is no bucket of that name; at aws.bucket")
    assert client(server, "glue").get_databases()["DatabaseList"] == []


def test_apply_on_an_empty_account(server: AwsServer, tmp_path: Path) -> None:
    """Tables and named queries are made, views wait for the lake's tables."""
    make_workgroup(server)
    out, _ = fleetlake(server, tmp_path, "--set", f"aws.bucket={BUCKET}", "deploy", "athena", "apply", "--json")
    outcomes = json.loads(out)["outcomes"]
    assert {(one["kind"], one["done"]) for one in outcomes} == {
        ("database", "created"), ("table", "created"), ("view", "waits"), ("named query", "created"),
    }  # fmt: skip
    athena = client(server, "athena")
    ran = [
        athena.get_query_execution(QueryExecutionId=one)["QueryExecution"]
        for one in athena.list_query_executions()["QueryExecutionIds"]
    ]
    assert len(ran) == 10
    assert {one["WorkGroup"] for one in ran} == {WORKGROUP}
    named = [one["name"] for one in outcomes if one["kind"] == "named query"]
    ids = [
        one for page in athena.get_paginator("list_named_queries").paginate(WorkGroup=WORKGROUP) for one in page["NamedQueryIds"]
    ]
    assert sorted(athena.get_named_query(NamedQueryId=one)["NamedQuery"]["Name"] for one in ids) == sorted(named)


COLUMNS = {"device_id": "varchar", "trips": "bigint", "first_time": "timestamp with time zone"}
ROWS = [("a", "3", "2026-01-01 08:00:00.000 UTC"), ("b", None, None)]
AS_JSON = [
    {"device_id": "a", "trips": 3, "first_time": "2026-01-01T08:00:00Z"},
    {"device_id": "b", "trips": None, "first_time": None},
]


def test_a_query_as_json_csv_and_table(server: AwsServer, tmp_path: Path) -> None:
    make_workgroup(server)
    for form in ("--json", "--csv", ""):
        set_result(server, COLUMNS, *ROWS)
        out, error = fleetlake(server, tmp_path, "athena", "query", "SELECT 1", *([form] if form else []))
        assert "bytes scanned, 0." in error
        assert error.count("\n") == 1
        if form == "--json":
            assert json.loads(out) == AS_JSON
        elif form == "--csv":
            assert list(csv.reader(out.splitlines())) == [list(COLUMNS), ["a", "3", "2026-01-01T08:00:00Z"], ["b", "", ""]]
        else:
            assert [line.split() for line in out.splitlines()] == [list(COLUMNS), ["a", "3", "2026-01-01", "08:00:00Z"], ["b"]]


def test_a_table_says_that_there_is_more(server: AwsServer, tmp_path: Path) -> None:
    make_workgroup(server)
    set_result(server, {"n": "integer"}, *((str(number),) for number in range(60)))
    out, error = fleetlake(server, tmp_path, "athena", "query", "SELECT n", "--limit", "7")
    assert out.split() == ["n", *map(str, range(7))]
    assert error.startswith("there are more than these 7 rows; --limit 0 shows all\n")
    set_result(server, {"n": "integer"}, *((str(number),) for number in range(60)))
    out, error = fleetlake(server, tmp_path, "athena", "query", "SELECT n", "--limit", "60")
    assert out.split() == ["n", *map(str, range(60))]
    assert "there are more" not in error


def test_what_is_sent_for_a_named_query(server: AwsServer, tmp_path: Path) -> None:
    make_workgroup(server)
    fleetlake(server, tmp_path, "athena", "query", "--named", "trips_of_a_day", "--parameter", "2026-01-31")
    athena = client(server, "athena")
    (ran,) = athena.list_query_executions()["QueryExecutionIds"]
    found = athena.get_query_execution(QueryExecutionId=ran)["QueryExecution"]
    assert "WHERE CAST(start_time AS date) = CAST(? AS date)" in found["Query"]
    assert found["ExecutionParameters"] == ["'2026-01-31'"]
    assert found["QueryExecutionContext"] == {"Database": "fleet"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--named", "nothing"], "there is no named query nothing; allowed: distances_at_a_snapshot"),
        (["--named", "trips_of_a_day"], "has 1 parameters, 0 are given"),
        ([], "a statement or --named, one of them"),
        (["SELECT 1", "--named", "fleet_state_now"], "a statement or --named, one of them"),
        (["SELECT 1", "--json", "--csv"], "--json and --csv together"),
    ],
)
def test_a_query_that_is_not_sent(tmp_path: Path, arguments: list[str], said: str) -> None:
    _, error = fleetlake(None, tmp_path, "athena", "query", *arguments, expect=2)
    assert said in error
    assert error.count("\n") == 1
