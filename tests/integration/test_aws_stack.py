"""`fleetlake deploy aws` against moto: what is made, what a second time changes, what goes and what stays, what is refused."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from tests.aws_server import KEY, REGION, SECRET, AwsServer, aws_server
from tests.conftest import free_ports
from tests.forking import run_fleetlake

from fleetlake.cloud.aws.deployment import Wanted, discard_stack, prepare_stack
from fleetlake.cloud.aws.preflight import require_ready
from fleetlake.cloud.aws.session import Aws
from fleetlake.cloud.aws.trust import Trust, trust_snowflake
from fleetlake.config.settings import Overrides, load
from fleetlake.foundation.errors import BadInput

STATUS = {"ROLLBACK_COMPLETE": "it can only be deleted", "UPDATE_ROLLBACK_FAILED": "continue-update-rollback"}
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsServer]:
    with aws_server(tmp_path_factory.mktemp("aws"), free_ports()) as made:
        yield made


@pytest.fixture
def aws(server: AwsServer) -> AwsServer:
    server.reset()
    return server


@pytest.fixture
def run(aws: AwsServer, tmp_path: Path) -> Run:
    def run(*arguments: str, region: str = REGION, without: tuple[str, ...] = (), **environment: str) -> tuple[int, str, str]:
        given = {k: v for k, v in os.environ.items() if not k.startswith(("FLEETLAKE", "AWS_"))}
        given |= {name: value for name, value in aws.environment.items() if name not in without} | environment
        done = run_fleetlake("--set", f"aws.region={region}", *arguments, cwd=tmp_path, env=given, timeout=120)
        assert DEFAULT_ACCOUNT_ID not in done.stdout + done.stderr
        return done.returncode, done.stdout, done.stderr

    return run


def client(aws: AwsServer, service: str, region: str = REGION) -> Any:
    return boto3.client(service, region_name=region, endpoint_url=aws.endpoint, aws_access_key_id=KEY, aws_secret_access_key=SECRET)


def made(aws: AwsServer) -> dict[str, list[str]]:
    stacks = client(aws, "cloudformation").describe_stacks()["Stacks"]
    return {
        "stacks": [stack["StackName"] for stack in stacks if stack["StackStatus"] != "DELETE_COMPLETE"],
        "buckets": [bucket["Name"] for bucket in client(aws, "s3").list_buckets()["Buckets"]],
        "roles": sorted(role["RoleName"] for role in client(aws, "iam").list_roles()["Roles"]),
    }


NOTHING: dict[str, list[str]] = {"stacks": [], "buckets": [], "roles": []}
ROLES = ["fleetlake-glue", "fleetlake-ingest", "fleetlake-snowflake"]


def test_apply_twice_and_destroy_with_the_data(run: Run, aws: AwsServer, tmp_path: Path) -> None:
    file = tmp_path / "fleetlake.toml"
    file.write_text('# ours\n[aws]\nview_database = "views" # mine\n')
    code, out, err = run("deploy", "aws", "apply", "--yes")
    assert (code, err) == (0, "")
    assert "stack fleetlake: applied" in out
    found = made(aws)
    assert (found["stacks"], found["roles"]) == (["fleetlake"], ROLES)
    [bucket] = found["buckets"]
    assert {name["Key"].split("/")[-1] for name in client(aws, "s3").list_objects_v2(Bucket=bucket)["Contents"]} == {
        "fleetlake.zip",
        "raw_to_iceberg.py",
    }
    assert file.read_text().startswith('# ours\n[aws]\nview_database = "views" # mine\n')
    settings = load(Overrides(profile="aws", file=file)).settings
    assert (settings.aws.bucket, settings.aws.region, settings.aws.workgroup) == (bucket, REGION, "fleetlake")
    assert (settings.aws.view_database, settings.lake.name) == ("views", "glue")
    assert settings.lake.properties == {
        "type": "glue",
        "warehouse": f"s3://{bucket}/warehouse",
        "client.region": REGION,
        "glue.region": REGION,
        "s3.region": REGION,
    }
    assert settings.ingest.flush_age_s == 60
    assert settings.spark.landing == f"s3a://{bucket}/landing"

    saved = file.read_text()
    code, out, _ = run("--profile", "aws", "deploy", "aws", "apply", "--yes")
    assert code == 0
    assert "stack fleetlake: nothing to change" in out
    assert "is there" in out
    assert file.read_text() == saved
    assert client(aws, "cloudformation").list_change_sets(StackName="fleetlake")["Summaries"][1:] == []

    s3, glue = client(aws, "s3"), client(aws, "glue")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})  # moto takes none from a template
    for body in (b"1", b"2"):
        s3.put_object(Bucket=bucket, Key="warehouse/x", Body=body)
    s3.delete_object(Bucket=bucket, Key="warehouse/x")
    for name, place in (("bronze", bucket), ("silver", "elsewhere")):
        glue.create_database(DatabaseInput={"Name": name})
        glue.create_table(
            DatabaseName=name, TableInput={"Name": "gps", "Parameters": {"metadata_location": f"s3://{place}/warehouse/x"}}
        )
    for name, marks in (("views", {"fleetlake.view.trips": "digest"}), ("gold", {})):
        glue.create_database(DatabaseInput={"Name": name, "Parameters": marks})
        glue.create_table(DatabaseName=name, TableInput={"Name": "trips", "TableType": "VIRTUAL_VIEW"})
    code, out, _ = run("--profile", "aws", "deploy", "aws", "destroy", "--delete-data", "--yes")
    assert code == 0
    assert made(aws) == NOTHING
    assert [database["Name"] for database in glue.get_databases()["DatabaseList"]] == ["silver", "gold"]  # others' table and view


def test_destroy_keeps_the_data(run: Run, aws: AwsServer) -> None:
    assert run("deploy", "aws", "apply", "--yes")[0] == 0
    [bucket] = made(aws)["buckets"]
    s3 = client(aws, "s3")
    for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]:  # moto would not delete a bucket with objects anyway
        s3.delete_object(Bucket=bucket, Key=entry["Key"])
    code, out, _ = run("--profile", "aws", "deploy", "aws", "destroy", "--yes")
    assert code == 0
    assert "stay" in out
    assert made(aws) == NOTHING | {"buckets": [bucket]}
    code, _, err = run("--profile", "aws", "deploy", "aws", "destroy", "--yes")
    assert (code, err.count("\n")) == (2, 1)
    assert "there is no such stack" in err


def test_a_change_that_is_not_wanted_leaves_nothing(aws: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    prepared = prepare_stack(Aws(REGION), Wanted("fleetlake"))
    assert prepared.changes is not None
    assert {"Bucket", "SnowflakeRole"} <= {change.logical_id for change in prepared.changes.changes}
    discard_stack(Aws(REGION), prepared)
    assert made(aws) == NOTHING


def test_a_change_keeps_whom_snowflake_is_trusted_by(run: Run, aws: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("deploy", "aws", "apply", "--yes")[0] == 0
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    user = f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:user/snowflake"
    trusts = {"volume": Trust(user, "one="), "rest": Trust(user, "two=")}
    assert _allowed(aws) == {}
    assert trust_snowflake(Aws(REGION), "fleetlake", trusts)
    assert not trust_snowflake(Aws(REGION), "fleetlake", trusts)
    assert _allowed(aws) == {"Volume": (user, "one="), "Rest": (user, "two=")}
    assert run("--profile", "aws", "deploy", "aws", "apply", "--yes", "--emr")[0] == 0
    assert trust_snowflake(Aws(REGION), "fleetlake", {"glue": Trust(user, "three=")})
    assert _allowed(aws) == {"Volume": (user, "one="), "Glue": (user, "three="), "Rest": (user, "two=")}
    parameters = client(aws, "cloudformation").describe_stacks(StackName="fleetlake")["Stacks"][0]["Parameters"]
    assert {"ParameterKey": "WithEmr", "ParameterValue": "true"} in parameters


def _allowed(aws: AwsServer) -> dict[str, tuple[str, str]]:
    """(principal, external id) by statement."""
    statements = client(aws, "iam").get_role(RoleName="fleetlake-snowflake")["Role"]["AssumeRolePolicyDocument"]["Statement"]
    return {
        one["Sid"]: (one["Principal"]["AWS"], one["Condition"]["StringEquals"]["sts:ExternalId"])
        for one in statements
        if one["Effect"] == "Allow"
    }


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("aws.bucket=Fleet-Lake", "has upper case"),
        ("aws.bucket=fleet.lake", "has a dot"),
        ("aws.bucket=ab", "3 to 63"),
        ("aws.region=london", "'london' is not an AWS region"),
        ("aws.region=eu-west-9", "there is no AWS region eu-west-9"),
        ("aws.region=", "no AWS region is given"),
        ("aws.stack=Fleet", "no name for the stack"),
        ("aws.view_database=Fleet", "no name for a Glue database"),
        ("aws.view_database=gold", "holds the lake's own tables"),
        ("aws.bucket=fleet--x-s3", "S3 keeps names like"),
        ("aws.ingest_principal=me", "'me' can't take a role"),
    ],
)
def test_a_bad_name_makes_nothing(run: Run, aws: AwsServer, assignment: str, said: str) -> None:
    code, out, err = run("--set", assignment, "deploy", "aws", "apply", "--yes", without=("AWS_REGION", "AWS_DEFAULT_REGION"))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert made(aws) == NOTHING


def test_no_credentials(run: Run, aws: AwsServer) -> None:
    code, out, err = run("deploy", "aws", "apply", "--yes", without=("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "no usable AWS credentials" in err
    assert made(aws) == NOTHING


def test_no_terminal_and_no_yes(run: Run, aws: AwsServer) -> None:
    for command in ("apply", "destroy"):
        code, out, err = run("deploy", "aws", command)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "--yes" in err
    assert made(aws) == NOTHING


def test_an_optimizer_needs_its_table(run: Run, aws: AwsServer) -> None:
    code, _, err = run("deploy", "aws", "apply", "--yes", "--optimizers")
    assert (code, err.count("\n")) == (2, 1)
    assert "tables that are not there: bronze.vehicle" in err
    assert made(aws) == NOTHING


def test_a_database_of_somebody_else(run: Run, aws: AwsServer) -> None:
    glue = client(aws, "glue")
    glue.create_database(DatabaseInput={"Name": "gold", "LocationUri": "s3://theirs/gold"})
    code, _, err = run("deploy", "aws", "apply", "--yes")
    assert (code, err.count("\n")) == (2, 1)
    assert "there is a database gold already" in err
    glue.delete_database(Name="gold")
    glue.create_database(DatabaseInput={"Name": "silver"})  # of no place, but somebody's tables are in it
    glue.create_table(DatabaseName="silver", TableInput={"Name": "sales"})
    code, _, err = run("deploy", "aws", "apply", "--yes")
    assert (code, err.count("\n")) == (2, 1)
    assert "there is a database silver already" in err
    assert made(aws) == NOTHING


def test_a_bucket_with_something_in_it_that_no_stack_of_the_name_has_made(run: Run, aws: AwsServer) -> None:
    """`destroy --delete-data` would take all of it."""
    s3 = client(aws, "s3")
    s3.create_bucket(Bucket="old", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="old", Key="precious", Body=b"1")
    code, out, err = run("--set", "aws.bucket=old", "deploy", "aws", "apply", "--yes")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "the stack has not made it" in err
    assert made(aws) == NOTHING | {"buckets": ["old"]}


def test_what_an_earlier_stack_left_may_be_taken_up(aws: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """moto's CloudFormation imports nothing, so just what is looked at before."""
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    s3 = client(aws, "s3")
    s3.create_bucket(Bucket="left", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="left", Key="warehouse/x", Body=b"1")
    s3.put_bucket_tagging(Bucket="left", Tagging={"TagSet": [{"Key": "fleetlake", "Value": "fleetlake"}]})
    assert require_ready(Aws(REGION), "fleetlake", "left", "fleet") == "left"
    with pytest.raises(BadInput, match="the stack has not made it"):
        require_ready(Aws(REGION), "other", "left", "fleet")


def test_a_profile_with_its_tables_elsewhere_is_not_overwritten(run: Run, aws: AwsServer, tmp_path: Path) -> None:
    file = tmp_path / "fleetlake.toml"
    file.write_text('[profile.aws.lake.properties]\ntype = "glue"\nwarehouse = "s3://mine/lake"\n')
    before = file.read_text()
    code, _, err = run("deploy", "aws", "apply", "--yes")
    assert (code, err.count("\n")) == (2, 1)
    assert "has its tables in s3://mine/lake" in err
    assert (file.read_text(), made(aws)) == (before, NOTHING)


ERROR = "<ErrorResponse><Error><Code>{}</Code><Message>no account {} here</Message></Error></ErrorResponse>"
STACK = """<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult><Stacks><member>
<StackName>fleetlake</StackName><StackStatus>{}</StackStatus><CreationTime>2026-01-01T00:00:00Z</CreationTime></member></Stacks>
</DescribeStacksResult></DescribeStacksResponse>"""


@pytest.mark.parametrize("code", ["InvalidClientTokenId", "SignatureDoesNotMatch", "ExpiredToken"])
def test_credentials_that_aws_refuses(run: Run, aws: AwsServer, code: str) -> None:
    with answering(403, ERROR.format(code, DEFAULT_ACCOUNT_ID)) as endpoint:
        exit_code, out, err = run("deploy", "aws", "apply", "--yes", AWS_ENDPOINT_URL_STS=endpoint)
    assert (exit_code, out, err.count("\n")) == (2, "", 1)
    assert "credentials" in err
    assert made(aws) == NOTHING


def test_a_bucket_of_another_account(run: Run, aws: AwsServer) -> None:
    with answering(403, "") as endpoint:
        code, out, err = run("--set", "aws.bucket=theirs", "deploy", "aws", "apply", "--yes", AWS_ENDPOINT_URL_S3=endpoint)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "belongs to another account" in err
    assert made(aws) == NOTHING


def test_a_bucket_in_another_region(run: Run, aws: AwsServer) -> None:
    client(aws, "s3", "eu-central-1").create_bucket(Bucket="far", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    code, out, err = run("--set", "aws.bucket=far", "deploy", "aws", "apply", "--yes")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "the bucket is in eu-central-1, not in eu-west-2" in err
    assert made(aws) == NOTHING | {"buckets": ["far"]}


@pytest.mark.parametrize(("status", "said"), STATUS.items())
def test_a_stack_in_a_bad_state(run: Run, aws: AwsServer, status: str, said: str) -> None:
    with answering(200, STACK.format(status)) as endpoint:
        code, out, err = run("deploy", "aws", "apply", "--yes", AWS_ENDPOINT_URL_CLOUDFORMATION=endpoint)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert made(aws) == NOTHING


@contextmanager
def answering(status: int, body: str) -> Iterator[str]:
    """A server that has one answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body.encode())

        do_GET = do_HEAD = do_POST = answer  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
