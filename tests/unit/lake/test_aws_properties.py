"""What a lake on AWS is given, and what AWS's errors are called: tables of cases."""

import pytest

from fleetlake.foundation.aws_errors import UnreachableAws, explain, is_of_aws, is_refusal, was_repeated
from fleetlake.foundation.errors import BadInput, FleetlakeError, Missing, Retryable
from fleetlake.lake.aws_properties import aws_properties, is_on_aws
from fleetlake.lake.catalog import LakeSettings
from fleetlake.lake.spark import catalog_conf, s3a_conf

ACCOUNT = "0" * 11 + "1"
GLUE = {"type": "glue", "warehouse": "s3://fleet/warehouse"}


@pytest.mark.parametrize(
    ("given", "regions"),
    [
        ({}, ("eu-west-2",) * 3),
        ({"client.region": "us-east-1"}, ("us-east-1",) * 3),
        ({"s3.region": "us-east-1", "glue.region": "eu-west-1"}, ("us-east-1", "us-east-1", "eu-west-1")),
    ],
)
def test_each_service_gets_a_region(given: dict[str, str], regions: tuple[str, ...]) -> None:
    made = aws_properties(GLUE | given, region="eu-west-2")
    assert tuple(made[name] for name in ("s3.region", "client.region", "glue.region")) == regions


def test_what_is_configured_stays() -> None:
    made = aws_properties(GLUE | {"s3.connect-timeout": "60", "x": "y"}, region="eu-west-2")
    assert (made["s3.connect-timeout"], made["s3.request-timeout"], made["x"]) == ("60", "10", "y")


@pytest.mark.parametrize(
    ("warehouse", "said"),
    [
        ("s3://Fleet/w", "'Fleet' can't be the name"),
        ("s3://fleet.lake/w", "'fleet.lake' can't be the name"),
        ("s3://f_l/w", "'f_l' can't be the name"),
        ("s3:///w", "'' can't be the name"),
        ("s3://-fleet/w", "'-fleet' can't"),
        ("file:///w", "a lake in Glue is on S3"),
    ],
)
def test_a_warehouse_that_can_not_be(warehouse: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        aws_properties(GLUE | {"warehouse": warehouse}, region="eu-west-2")


@pytest.mark.parametrize("region", ["", "London", "eu-west", "eu_west_2"])
def test_a_region_that_can_not_be(region: str) -> None:
    with pytest.raises(BadInput, match="AWS region"):
        aws_properties(GLUE, region=region)


def test_a_local_lake_is_not_on_aws() -> None:
    assert not is_on_aws({"type": "sql", "warehouse": "file:///w"})
    assert is_on_aws({"type": "sql", "warehouse": "s3a://fleet/w"})


class ClientError(Exception):
    """As boto3 raises it."""

    __module__ = "botocore.exceptions"

    def __init__(self, code: str, retries: int = 0) -> None:
        self.response = {"Error": {"Code": code}, "ResponseMetadata": {"RetryAttempts": retries}}
        super().__init__(f"An error occurred ({code}) for arn:aws:iam::{ACCOUNT}:role/x")


def arrow(code: str, more: str = "") -> OSError:
    return OSError(
        f"When listing objects under key 'w/' in bucket 'fleet': AWS Error {code} during ListObjectsV2 operation: {more}"
    )


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (ClientError("AccessDeniedException"), BadInput, "the credentials may not do this"),
        (ClientError("ExpiredTokenException"), BadInput, "the AWS credentials have expired"),
        (ClientError("UnrecognizedClientException"), BadInput, "AWS does not accept the credentials"),
        (ClientError("ThrottlingException"), Retryable, "AWS is busy"),
        (ClientError("InternalServiceException"), Retryable, "AWS is busy"),
        (ClientError("SomethingElse"), BadInput, "AWS refused"),
        (arrow("ACCESS_DENIED"), BadInput, "the credentials may not do this"),
        (arrow("SIGNATURE_DOES_NOT_MATCH"), BadInput, "AWS does not accept the credentials"),
        (arrow("INVALID_ACCESS_KEY_ID"), BadInput, "AWS does not accept the credentials"),
        (arrow("NO_SUCH_BUCKET"), Missing, "there is no bucket fleet"),
        (arrow("NETWORK_CONNECTION", "curlCode: 7"), UnreachableAws, "AWS can't be reached"),
        (arrow("SLOW_DOWN"), Retryable, "AWS is busy"),
        (arrow("UNKNOWN (HTTP status 503)", "No response body."), Retryable, "AWS is busy"),
        (arrow("UNKNOWN (HTTP status 429)", "No response body."), Retryable, "AWS is busy"),
        (ClientError("OperationTimeoutException"), Retryable, "AWS is busy"),
        (arrow("UNKNOWN (HTTP status 400)", "Unable to parse ExceptionName: ExpiredToken Message: x"), BadInput, "have expired"),
        (arrow("UNKNOWN (HTTP status 301)", "No response body."), BadInput, "the bucket is in another region"),
        (ImportError("No module named 'boto3'"), Missing, "boto3 is not installed"),
    ],
)
def test_an_error_of_aws_is_one_line_of_ours(error: Exception, kind: type[FleetlakeError], said: str) -> None:
    assert is_of_aws(error)
    told = explain(error, "here")
    assert isinstance(told, kind)
    assert said in str(told)
    assert ACCOUNT not in str(told)
    assert "\n" not in str(told)


@pytest.mark.parametrize("error", [OSError("disk full"), ValueError("AWS Error"), ImportError("No module named 'x'")])
def test_other_errors_are_not_aws(error: Exception) -> None:
    assert not is_of_aws(error)


def test_a_refusal_is_certain_only_if_the_request_was_sent_once() -> None:
    assert is_refusal(ClientError("AccessDeniedException"))
    assert not is_refusal(ClientError("AccessDeniedException", retries=1))
    assert not is_refusal(ClientError("InternalServiceException"))
    assert was_repeated(ClientError("ConcurrentModificationException", retries=1))
    assert not was_repeated(ClientError("ConcurrentModificationException"))
    assert not was_repeated(None)


def test_spark_takes_each_region_where_it_belongs() -> None:
    lake = LakeSettings("glue", aws_properties({"type": "glue", "warehouse": "s3://lake/w", "s3.region": "eu-west-1"}, region=""))
    assert (catalog_conf(lake)[".client.region"], s3a_conf(lake.properties)["fs.s3a.endpoint.region"]) == ("eu-west-1", "eu-west-1")
    assert ".s3.cross-region-access-enabled" not in catalog_conf(lake)
    given = {"type": "glue", "warehouse": "s3://lake/w", "s3.region": "eu-west-1", "glue.region": "eu-west-2"}
    apart = LakeSettings("glue", aws_properties(given, region=""))
    assert s3a_conf(apart.properties)["fs.s3a.endpoint.region"] == "eu-west-1"
    assert catalog_conf(apart)[".client.region"] == "eu-west-2"
    assert catalog_conf(apart)[".s3.cross-region-access-enabled"] == "true"
