"""`deploy aws plan` and `cost` need neither boto3 nor credentials nor a network, and show no account."""

import json
import os
import subprocess
import sys
from pathlib import Path

from fleetlake.cloud.aws.template import parse, template_text

# Drivers can't be imported, sockets can't be opened.
ALONE = """
import socket, sys
for name in ("boto3", "botocore", "tomlkit", "yaml"):
    sys.modules[name] = None
def refuse(*_):
    raise AssertionError("a socket was opened")
socket.socket.connect = refuse
from fleetlake.cli.main import main
main()
"""


def run(folder: Path, *arguments: str, refused: str = "") -> str:
    """refused: what the one line of stderr says where the command has to fail."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "FLEETLAKE"))}
    command = [sys.executable, "-c", ALONE, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    if refused:
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
        assert refused in done.stderr
    else:
        assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_every_resource_is_shown(tmp_path: Path) -> None:
    out = run(tmp_path, "deploy", "aws", "plan")
    assert [name for name in parse(template_text())["Resources"] if f"  {name} " not in out] == []
    assert "SnowflakeVolumeExternalId  (secret)" in out


def test_as_json_without_the_account(tmp_path: Path) -> None:
    principal = "arn:aws:iam::" + "1" * 12 + ":role/x"
    out = run(tmp_path, "--set", f"aws.ingest_principal={principal}", "deploy", "aws", "plan", "--json")
    assert "1" * 12 not in out
    plan = json.loads(out)
    assert [one["logical_id"] for one in plan["resources"]] == list(parse(template_text())["Resources"])
    values = {one["name"]: one["value"] for one in plan["parameters"]}
    assert (values["WithEmr"], values["SnowflakeRestExternalId"]) == ("false", None)


def test_the_template_itself(tmp_path: Path) -> None:
    assert run(tmp_path, "deploy", "aws", "plan", "--template") == template_text()
    assert run(tmp_path, "deploy", "aws", "plan", "--template", "--optimizers") == template_text(optimizers=True)


def test_the_template_of_a_named_bucket_is_what_would_be_sent(tmp_path: Path) -> None:
    sent = run(tmp_path, "--set", "aws.bucket=mine", "deploy", "aws", "plan", "--template")
    assert parse(sent)["Resources"]["Bucket"]["Properties"]["BucketName"] == "mine"


def test_what_can_not_be_planned(tmp_path: Path) -> None:
    run(tmp_path, "deploy", "aws", "plan", "--template", "--json", refused="--template and --json together")
    run(tmp_path, "deploy", "aws", "plan", "--msk-security-groups", "sg-1", refused="--msk-subnets")
    run(tmp_path, "--set", "aws.region=London", "deploy", "athena", "plan", refused="'London' is not an AWS region")
    run(tmp_path, "--set", "aws.view_database=gold", "deploy", "athena", "plan", refused="holds the lake's own tables")
    for option in ("--tick", "--transform-every", "--athena-gb-a-day"):
        given = {"--tick": "10"} | {option: "inf"}
        words = [word for pair in given.items() for word in pair]
        run(tmp_path, "deploy", "aws", "cost", "--vehicles", "10", *words, refused=f"at {option}")


def test_cost_of_the_configuration(tmp_path: Path) -> None:
    command = ("deploy", "aws", "cost", "--vehicles", "1000", "--tick", "10")
    found = json.loads(run(tmp_path, "--set", "ingest.flush_age_s=60", *command, "--json"))
    assert found["interval_s"] == 60
    assert found["usd"] == sum(line["usd"] for line in found["lines"])
    assert {one["flush_age_s"] for one in found["others"]} == {0.3, 1, 10, 60, 300}
    assert "can't be run so" in run(tmp_path, *command)
