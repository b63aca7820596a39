"""The one door to AWS: clients of a region with short retries, and every error of boto3 as one of ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fleetlake.foundation.errors import BadInput, FleetlakeError, Missing, Retryable

REGION = re.compile(r"^[a-z]{2}(-[a-z]+)+-\d$")
NOT_ALLOWED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403", "Forbidden")
BAD_CREDENTIALS = (
    "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidAccessKeyId", "AuthFailure",
    "InvalidToken",
)  # fmt: skip
EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired")
BUSY = ("Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown", "ServiceUnavailable")
ACCOUNT = re.compile(r"(?<!\d)\d{12}(?!\d)")
CREDENTIALS_HINT = "aws sso login, AWS_PROFILE=NAME, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


@dataclass(frozen=True, slots=True)
class Aws:
    """Clients of one region. Credentials come from where every AWS tool takes them (environment, ~/.aws, the machine's role)."""

    region: str

    def client(self, service: str) -> Any:
        """A boto3 client. Missing without boto3; BadInput for something that is no region, or a profile there is none of."""
        try:
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError
        except ImportError as error:
            raise Missing("boto3 is not installed", hint="pip install 'fleetlake[aws]', in a clone: make cloud") from error
        require_region(self.region)
        config = Config(connect_timeout=5, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 4})
        try:
            return boto3.session.Session(region_name=self.region).client(service, config=config)
        except BotoCoreError as error:
            raise explain(error, f"AWS {service}") from error

    def account(self) -> str:
        """The account the credentials belong to; the cheapest way to learn that they don't work."""
        with told("AWS sts"):
            return str(self.client("sts").get_caller_identity()["Account"])


def without_accounts(text: str) -> str:
    """Text of AWS as it may be shown: on one line, account ids masked."""
    return ACCOUNT.sub("************", " ".join(text.split()))


def require_region(region: str) -> None:
    """BadInput if it does not look like a region; whether there is one of that name only AWS knows."""
    if not REGION.match(region):
        raise BadInput(
            f"{region!r} is not an AWS region" if region else "no AWS region is given",
            where="aws.region",
            allowed="a name like eu-west-2",
            hint="fleetlake --set aws.region=eu-west-2 ...",
        )


@contextmanager
def told(where: str) -> Iterator[None]:
    """What boto3 raises inside is raised as one of ours. where: the service and what it was asked for."""
    try:
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as error:
        raise Missing("boto3 is not installed", hint="pip install 'fleetlake[aws]', in a clone: make cloud") from error
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise explain(error, where) from error


def error_code(error: Exception) -> str:
    """AWS's code of a ClientError; empty for what never reached AWS."""
    response: Any = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code", ""))


def explain(error: Exception, where: str) -> FleetlakeError:
    """An error of boto3 or botocore in one line of our own kind; exit code 2 where the user has to change something."""
    kind, code = type(error).__name__, error_code(error)
    said = without_accounts(str(error))
    if kind in (
        "NoCredentialsError",
        "PartialCredentialsError",
        "CredentialRetrievalError",
        "TokenRetrievalError",
        "ProfileNotFound",
    ):
        return BadInput(f"no usable AWS credentials: {said}", where=where, hint=CREDENTIALS_HINT)
    if kind in ("SSOTokenLoadError", "UnauthorizedSSOTokenError") or code in EXPIRED:
        return BadInput("the AWS credentials have expired", where=where, hint=CREDENTIALS_HINT)
    if code in BAD_CREDENTIALS:
        return BadInput("AWS does not accept the credentials", where=where, hint=CREDENTIALS_HINT)
    if code in NOT_ALLOWED:
        return BadInput(
            f"the credentials may not do this: {said}", where=where, hint="ask for the permission named, or use another role"
        )
    if kind in ("EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError", "HTTPClientError"):
        return Retryable(
            f"AWS can't be reached: {said}", where=where, hint="is aws.region right, and is there a way to AWS from here?"
        )
    if code in BUSY:
        return Retryable(f"AWS is busy: {said}", where=where, hint="run it again")
    return BadInput(f"AWS refused: {said}", where=where)
