"""The stack's template: both linters, each exception argued, and what the plan says of it."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from tests.tools import tool_folder

from fleetlake.cloud.aws.deployment import Wanted
from fleetlake.cloud.aws.package import build_package
from fleetlake.cloud.aws.template import MOST_BYTES, parse, resources, template_text, with_names
from fleetlake.cloud.aws.trust import PARTS
from fleetlake.cloud.snowflake.target import lake_tables
from fleetlake.contracts.tables import all_tables
from fleetlake.foundation.errors import BadInput

ROOT = Path(__file__).parents[3]
BOTH = pytest.mark.parametrize("optimizers", [False, True])


@pytest.fixture(scope="module")
def checkov() -> Path:
    return tool_folder("checkov") / "checkov"


def written(folder: Path, *, optimizers: bool) -> Path:
    file = folder / "stack.yaml"
    file.write_text(template_text(optimizers=optimizers))
    return file


@BOTH
def test_cfn_lint_has_nothing_to_say(tmp_path: Path, optimizers: bool) -> None:
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--include-checks", "I", "--ignore-checks", "I1002", "--"]
    done = subprocess.run([*command, str(written(tmp_path, optimizers=optimizers))], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.timeout(600)  # the first time it is installed
def test_checkov_finds_nothing_that_is_not_argued(tmp_path: Path, checkov: Path) -> None:
    command = [str(checkov), "-f", str(written(tmp_path, optimizers=True)), "--framework", "cloudformation", "-o", "json"]
    done = subprocess.run([*command, "--skip-download"], capture_output=True, text=True)
    found = json.loads(done.stdout)
    assert found["summary"]["failed"] == 0, found["results"]["failed_checks"]
    assert found["summary"]["parsing_errors"] == 0
    assert found["summary"]["passed"] > 40
    skipped = {(one["resource"].split(".")[-1], one["check_id"]) for one in found["results"]["skipped_checks"]}
    assert skipped == set(arguments())


def arguments() -> dict[tuple[str, str], str]:
    """The reason for each skip, by resource and check."""
    return {
        (name, skip["id"]): skip["comment"]
        for name, body in parse(template_text())["Resources"].items()
        for skip in body.get("Metadata", {}).get("checkov", {}).get("skip", ())
    }


def test_each_skip_has_a_reason() -> None:
    assert all(len(comment.split()) > 5 for comment in arguments().values())


def test_the_plan_names_what_is_named() -> None:
    made = {one.logical_id: one for one in resources(template_text(), "trucks", {"BucketName": "b", "ViewDatabase": "v"})}
    assert (made["Bucket"].name, made["SnowflakeRole"].name, made["ViewsDatabase"].name) == ("b", "trucks-snowflake", "v")
    assert (made["MskCluster"].condition, made["Bucket"].kept, made["Job"].kept) == ("Msk", True, False)
    assert all(one.purpose for one in resources(template_text(optimizers=True), "trucks", {}))


def test_three_optimizers_a_table_fit_into_a_request() -> None:
    text = template_text(optimizers=True)
    assert len(text.encode()) < MOST_BYTES
    bodies = [body["Properties"] for body in parse(text)["Resources"].values() if body["Type"] == "AWS::Glue::TableOptimizer"]
    kinds = {"compaction", "retention", "orphan_file_deletion"}
    wanted = {(table.layer, table.kind, kind) for table in all_tables() for kind in kinds}
    assert {(body["DatabaseName"], body["TableName"], body["Type"]) for body in bodies} == wanted


def test_everything_that_holds_data_outlives_the_stack() -> None:
    kept = {one.type for one in resources(template_text(), "s", {}) if one.kept}
    assert kept == {"AWS::S3::Bucket", "AWS::Glue::Database"}
    policies = {body.get("DeletionPolicy", "") for body in parse(template_text())["Resources"].values()}
    assert policies == {"", "RetainExceptOnCreate"}  # a first apply that fails leaves nothing


def test_the_names_of_what_is_kept_are_written_out() -> None:
    """CloudFormation imports an existing bucket or database only then."""
    made = parse(with_names(template_text(), "trucks-1", "views"))["Resources"]
    kept = [body["Properties"] for body in made.values() if body.get("DeletionPolicy")]
    assert sorted(one.get("BucketName") or one["DatabaseName"] for one in kept) == [
        "bronze", "gold", "raw", "silver", "trucks-1", "views",
    ]  # fmt: skip
    assert all(one["DatabaseInput"]["Name"] == one["DatabaseName"] for one in kept if "DatabaseName" in one)


def statements() -> list[Any]:
    found: list[Any] = []
    for body in parse(template_text())["Resources"].values():
        properties = body["Properties"]
        documents = [properties["PolicyDocument"]] if "PolicyDocument" in properties else []
        documents += [policy["PolicyDocument"] for policy in properties.get("Policies", ())]
        found += [one for document in documents for one in document["Statement"] if one["Effect"] == "Allow"]
    return found


def test_no_right_is_wider_than_it_has_to_be() -> None:
    everywhere = [one for one in statements() if one["Resource"] == "*"]
    assert [one["Action"] for one in everywhere] == ["cloudwatch:PutMetricData"]
    assert everywhere[0]["Condition"] == {"StringEquals": {"cloudwatch:namespace": "Glue"}}
    actions = [action for one in statements() for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])]
    assert [action for action in actions if "*" in action] == []
    deleting = [one["Resource"] for one in statements() if "glue:DeleteTable" in one["Action"]]
    assert [of["Fn::Sub"].rpartition(":")[2] for resources_ in deleting for of in resources_] == [
        "catalog", "database/bronze", "table/bronze/*",
    ]  # fmt: skip  # the ingest makes an empty table of the other engine anew


def test_snowflake_may_read_every_database_it_has_tables_of() -> None:
    (policy,) = parse(template_text())["Resources"]["SnowflakeRole"]["Properties"]["Policies"]
    (glue,) = [one for one in policy["PolicyDocument"]["Statement"] if "glue:GetTable" in one["Action"]]
    named = {resource["Fn::Sub"].rpartition(":")[2] for resource in glue["Resource"]}
    layers = {table.layer for table in lake_tables()}
    assert named == {"catalog"} | {f"database/{layer}" for layer in layers} | {f"table/{layer}/*" for layer in layers}


def test_snowflake_is_trusted_by_part_each_with_its_own_external_id() -> None:
    template = parse(template_text())
    branches = [
        one["Fn::If"] for one in template["Resources"]["SnowflakeRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    ]
    assert len(branches) == len(PARTS)
    for prefix, (condition, allowed, denied) in zip(PARTS.values(), branches, strict=True):
        assert template["Conditions"][condition] == {"Fn::Not": [{"Fn::Equals": [{"Ref": f"{prefix}ExternalId"}, ""]}]}
        assert allowed["Principal"] == {"AWS": {"Ref": f"{prefix}UserArn"}}
        assert allowed["Condition"] == {"StringEquals": {"sts:ExternalId": {"Ref": f"{prefix}ExternalId"}}}
        assert denied["Effect"] == "Deny"
        assert template["Parameters"][f"{prefix}ExternalId"]["NoEcho"] is True
        assert template["Parameters"][f"{prefix}UserArn"]["NoEcho"] is True


def test_the_job_has_the_parameters_of_its_documentation() -> None:
    arguments = parse(template_text())["Resources"]["Job"]["Properties"]["DefaultArguments"]
    documented = (ROOT / "docs" / "glue.md").read_text()
    assert {"--landing", "--catalog", "--conf", "--datalake-formats", "--extra-py-files"} <= set(arguments)
    for setting in arguments["--conf"]["Fn::Join"][1]:
        text = setting if isinstance(setting, str) else setting["Fn::Sub"]
        assert text.replace("${Bucket}", "$BUCKET") in documented


def test_the_package_is_the_same_twice_and_can_be_imported() -> None:
    package = build_package()
    assert package == build_package()
    with zipfile.ZipFile(BytesIO(package.archive)) as archive:
        names = archive.namelist()
    assert "fleetlake/ingest/spark/etl.py" in names
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


@pytest.mark.parametrize(
    ("principal", "service", "arn"),
    [
        ("", "ec2.amazonaws.com", ""),
        ("ecs-tasks.amazonaws.com", "ecs-tasks.amazonaws.com", ""),
        ("arn:aws:iam::aws:x", "ec2.amazonaws.com", "arn:aws:iam::aws:x"),
    ],
)
def test_who_may_take_the_ingests_role(principal: str, service: str, arn: str) -> None:
    given = Wanted("s", principal=principal).parameters("k", "b")
    assert (given["IngestService"], given["IngestPrincipalArn"]) == (service, arn)
    assert not {"WithEmr", "KmsKeyArn"} & set(given)  # not given: stays as it is


def test_one_subnet_is_too_few() -> None:
    with pytest.raises(BadInput, match="two availability zones"):
        Wanted("s", msk_subnets="subnet-1")
