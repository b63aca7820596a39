"""What is wrong with credentials, region, bucket or permissions is one line, exit code 2, within seconds, and nothing is made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.aws_server import AwsServer, aws_server
from tests.conftest import free_ports
from tests.forking import run_fleetlake
from tests.glue_front import GlueFront, glue_front
from tests.s3_server import BUCKET, S3Server, s3_server

pytestmark = pytest.mark.timeout(600)
CLOSED = "http://127.0.0.1:9"
DENIED = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3"), free_ports()) as server:
        yield server


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsServer]:
    with aws_server(tmp_path_factory.mktemp("aws"), free_ports()) as server:
        yield server


@pytest.fixture
def glue(aws: AwsServer) -> Iterator[GlueFront]:
    with glue_front(aws.endpoint) as front:
        yield front
        aws.reset()


@contextmanager
def bucket_of_others() -> Iterator[str]:
    """An S3 that denies everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(403)
            self.send_header("content-type", "application/xml")
            self.send_header("content-length", str(len(DENIED)))
            self.end_headers()
            self.wfile.write(DENIED)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            serving.join()


class Asker:
    """Runs commands with the aws profile, some of its settings and of the environment different (None: not there)."""

    def __init__(self, folder: Path, glue: GlueFront, s3: S3Server, aws: AwsServer) -> None:
        self._folder, self._glue = folder, glue
        self._given: dict[str, str | None] = {
            "type": "glue", "warehouse": f"s3://{BUCKET}/warehouse", "s3.region": "eu-west-2", "s3.endpoint": s3.endpoint,
            "glue.endpoint": glue.endpoint,
        }  # fmt: skip
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "FLEETLAKE"))}
        self._environment: dict[str, str | None] = kept | dict(aws.environment)
        for name in ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION"):
            del self._environment[name]

    def run(
        self, *command: str, settings: dict[str, str | None] | None = None, environment: dict[str, str | None] | None = None
    ) -> subprocess.CompletedProcess[str]:
        properties = {name: value for name, value in (self._given | (settings or {})).items() if value is not None}
        lines = "".join(f"{json.dumps(name)} = {json.dumps(value)}\n" for name, value in properties.items())
        file = self._folder / "fleetlake.toml"
        file.write_text(f"[profile.aws.lake.properties]\n{lines}")
        given = {name: value for name, value in (self._environment | (environment or {})).items() if value is not None}
        words = ["--config", str(file), "--home", str(self._folder / "home"), "--profile", "aws", *command]
        if "PYTHONPATH" in (environment or {}):  # what it imports is to be different
            command = [sys.executable, "-m", "fleetlake.cli.main", *words]
            return subprocess.run(command, env=given, capture_output=True, text=True, timeout=60, check=False)
        return run_fleetlake(*words, env=given, timeout=60)

    def refused(self, *command: str, **different: dict[str, str | None]) -> str:
        done = self.run(*command, **different)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
        assert not {"CreateDatabase", "CreateTable"} & set(self._glue.calls), "nothing is half made"
        assert "test-secret" not in done.stderr
        return done.stderr


@pytest.fixture
def asker(tmp_path: Path, glue: GlueFront, s3: S3Server, aws: AwsServer) -> Asker:
    return Asker(tmp_path, glue, s3, aws)


@pytest.mark.parametrize(
    ("settings", "environment", "said"),
    [
        (
            {"warehouse": "s3://Fleet/warehouse"},
            {},
            "error: 'Fleet' can't be the name of a bucket here: it has upper case; at lake.properties.warehouse",
        ),
        ({"warehouse": "s3://fleet.lake/w"}, {}, "error: 'fleet.lake' can't be the name of a bucket here: it has a dot"),
        ({"warehouse": "file:///tmp/w"}, {}, "error: a lake in Glue is on S3; at lake.properties.warehouse"),
        ({"s3.region": None}, {}, "error: no AWS region is given; at lake.properties.s3.region"),
        ({"s3.region": "London"}, {}, "error: 'London' is not an AWS region; at lake.properties.s3.region"),
        ({"s3.region": "env:NOT_THERE"}, {}, "error: environment variable NOT_THERE is not set; at lake.properties.s3.region"),
        ({"warehouse": "s3://no-such-bucket/w"}, {}, "error: there is no bucket no-such-bucket; at s3://no-such-bucket/w"),
        ({"glue.endpoint": CLOSED}, {}, "error: AWS can't be reached: Could not connect to the endpoint URL"),
        (
            {"s3.endpoint": CLOSED},
            {},
            f"error: AWS can't be reached: When listing objects under key 'warehouse/' in bucket '{BUCKET}'",
        ),
        ({}, {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "error: no usable AWS credentials"),
        ({}, {"AWS_SECRET_ACCESS_KEY": "wrong"}, "error: AWS does not accept the credentials; at s3://fleet/warehouse"),
        ({}, {"AWS_ACCESS_KEY_ID": "wrong"}, "error: AWS does not accept the credentials; at s3://fleet/warehouse"),
        ({}, {"AWS_PROFILE": "nobody"}, "error: no usable AWS credentials: The config profile (nobody) could not be found"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    asker: Asker, settings: dict[str, str | None], environment: dict[str, str | None], said: str
) -> None:
    assert asker.refused("transform", settings=settings, environment=environment).startswith(said)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("UnrecognizedClientException", "AWS does not accept the credentials"),
        ("403 AccessDeniedException", "the credentials may not do this: "),
        ("ExpiredTokenException", "the AWS credentials have expired"),
    ],
)
@pytest.mark.parametrize(
    "command", [("query", "SELECT 1"), ("snapshots", "gold.trips"), ("transform",), ("etl", "--landing", f"s3a://{BUCKET}/l")]
)
def test_what_glue_says_is_told(asker: Asker, glue: GlueFront, code: str, said: str, command: tuple[str, ...]) -> None:
    glue.faults["*"] = [code] * 50
    assert asker.refused(*command).startswith(f"error: {said}")


def test_a_bucket_of_others_is_told_before_anything_is_made(asker: Asker) -> None:
    with bucket_of_others() as endpoint:
        for command in (("transform",), ("transform", "--engine", "spark"), ("etl", "--landing", f"s3a://{BUCKET}/landing")):
            said = asker.refused(*command, settings={"s3.endpoint": endpoint})
            assert said.startswith("error: the credentials may not do this: When listing objects")
            assert "a bucket may be another account's" in said


def test_without_boto3_it_says_how_to_get_it(asker: Asker, tmp_path: Path) -> None:
    for name in ("boto3", "botocore"):
        (tmp_path / "without" / name).mkdir(parents=True)
        (tmp_path / "without" / name / "__init__.py").write_text(f"raise ImportError('No module named {name}')\n")
    said = asker.refused("query", "SELECT 1", environment={"PYTHONPATH": str(tmp_path / "without")})
    assert said == "error: boto3 is not installed; try: pip install 'fleetlake[aws]', in a clone: make cloud\n"


def test_the_doctor_looks_at_each_thing_in_turn(asker: Asker) -> None:
    def seen(**different: dict[str, str | None]) -> list[tuple[str, str]]:
        findings = json.loads(asker.run("doctor", "--json", **different).stdout)
        return [(finding["what"], finding["state"]) for finding in findings if finding["what"].startswith(("AWS", "boto3"))]

    fine = [("AWS settings", "ok"), ("boto3", "ok"), ("AWS Glue", "ok"), ("AWS S3", "ok")]
    assert seen() == fine
    assert seen(settings={"s3.region": "London"}) == [("AWS settings", "broken")]
    assert seen(settings={"warehouse": "s3://no-such-bucket/w"}) == [*fine[:-1], ("AWS S3", "broken")]
    assert seen(settings={"glue.endpoint": CLOSED}) == [*fine[:2], ("AWS Glue", "broken"), ("AWS S3", "ok")]


def test_secrets_may_be_references_and_are_never_shown(asker: Asker, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("test-secret\n")
    keys: dict[str, str | None] = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "MY_KEY": "test-key"}
    referred: dict[str, str | None] = {
        f"{service}.{name}": value
        for service in ("s3", "glue")
        for name, value in {"access-key-id": "env:MY_KEY", "secret-access-key": f"file:{tmp_path}/secret"}.items()
    }
    done = asker.run("snapshots", "gold.trips", settings=referred, environment=keys)
    assert "there is no table gold.trips" in done.stderr, "it got as far as that"
    shown = asker.run("config", "show", settings=referred, environment=keys).stdout
    assert "env:MY_KEY" in shown
    assert "test-secret" not in shown
    assert "test-key" not in shown
