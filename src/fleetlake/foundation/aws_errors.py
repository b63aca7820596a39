"""What an error of AWS means, whichever driver brought it: boto3, Arrow's S3 or Java's. Goes by names and texts; imports none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fleetlake.foundation.errors import BadInput, FleetlakeError, Missing, Retryable

NOT_ALLOWED = (
    "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403", "Forbidden", "AllAccessDisabled",
)  # fmt: skip
BAD_CREDENTIALS = (
    "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidAccessKeyId", "AuthFailure",
    "InvalidToken", "InvalidSignatureException", "IncompleteSignature", "MissingAuthenticationTokenException",
)  # fmt: skip
EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired")
BUSY = (
    "Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown", "ServiceUnavailable",
    "InternalServiceException", "InternalFailure", "InternalError", "InternalServerException", "ServiceUnavailableException",
    "OperationTimeoutException", "FederationSourceRetryableException", "500", "502", "503", "504", "429",
)  # fmt: skip
WRONG_REGION = ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301")
NO_CREDENTIALS = (
    "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "TokenRetrievalError", "ProfileNotFound",
)  # fmt: skip
UNREACHED = (
    "EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError", "HTTPClientError",
    "ProxyConnectionError", "SSLError", "NetworkConnection", "RequestTimeout",
)  # fmt: skip
ACCOUNT = re.compile(r"(?<!\d)\d{12}(?!\d)")
CREDENTIALS_HINT = "aws sso login, AWS_PROFILE=NAME, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
TOO_MANY, SERVERS_FAULT = 429, 500  # HTTP's
REGION_HINT = "is the region right, and is there a way to AWS from here?"
NOT_INSTALLED = ("boto3", "botocore")
BOTO3_HINT = "pip install 'fleetlake[aws]', in a clone: make cloud"
# Arrow: `... bucket 'b': AWS Error NO_SUCH_BUCKET during HeadBucket operation: text`, or UNKNOWN with the code in the text.
ARROW = re.compile(r"AWS Error (?P<code>[A-Z_]+)")
ARROW_UNKNOWN = re.compile(r"ExceptionName: (?P<code>\w+)|HTTP status (?P<status>301|403|429|5\d\d)|<Code>(?P<xml>\w+)</Code>")
BUCKET = re.compile(r"bucket '(?P<name>[^']+)'|s3a?://(?P<in_uri>[^/\s'`]+)")


class UnreachableAws(Retryable):
    """Nothing answers there: down, or the wrong region or endpoint. Exit code 2, as the latter is the user's to mend."""

    exit_code = 2


def without_accounts(text: str) -> str:
    """Text of AWS as it may be shown: on one line, account ids masked."""
    return ACCOUNT.sub("************", " ".join(text.split()))


def error_code(error: BaseException) -> str:
    """AWS's code of an error of boto3 or Arrow; empty for what never reached AWS."""
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict):
        return str(response.get("Error", {}).get("Code", ""))
    found = ARROW.search(str(error))
    if found is None:
        return ""
    if found["code"] == "UNKNOWN" and (unknown := ARROW_UNKNOWN.search(str(error))):
        return next(group for group in unknown.groups() if group)
    return found["code"].title().replace("_", "")


def is_of_aws(error: BaseException) -> bool:
    """Whether boto3, or Arrow on behalf of S3, raised it, or boto3 would be needed and is not there."""
    if isinstance(error, ImportError):
        return any(name in str(error) for name in NOT_INSTALLED)
    if any(base.__module__.startswith("botocore.") for base in type(error).__mro__):
        return True
    return isinstance(error, OSError) and ARROW.search(str(error)) is not None


def explain(error: BaseException, where: str) -> FleetlakeError:
    """An error of AWS in one line of our own kind; exit code 2 where the user has to change something."""
    kind, code, said = type(error).__name__, error_code(error), without_accounts(str(error))
    where = without_accounts(where)
    if isinstance(error, ImportError):
        return Missing("boto3 is not installed", hint=BOTO3_HINT)
    if kind in NO_CREDENTIALS:
        return BadInput(f"no usable AWS credentials: {said}", where=where, hint=CREDENTIALS_HINT)
    if kind == "NoRegionError":
        return BadInput("no AWS region is given", where=where, hint="fleetlake --set aws.region=eu-west-2 ...")
    if kind in ("SSOTokenLoadError", "UnauthorizedSSOTokenError") or code in EXPIRED:
        return BadInput("the AWS credentials have expired", where=where, hint=CREDENTIALS_HINT)
    if code in BAD_CREDENTIALS:
        return BadInput("AWS does not accept the credentials", where=where, hint=CREDENTIALS_HINT)
    if code == "NoSuchBucket":
        bucket = BUCKET.search(str(error))
        name = f" {next(group for group in bucket.groups() if group)}" if bucket else ""
        return Missing(f"there is no bucket{name}", where=where, hint="fleetlake deploy aws apply makes it; else its name is wrong")
    if code in WRONG_REGION:
        return BadInput(f"the bucket is in another region: {said}", where=where, hint="set s3.region to where the bucket is")
    if code in NOT_ALLOWED:
        return BadInput(
            f"the credentials may not do this: {said}",
            where=where,
            hint="ask for the permission named, or use another role; a bucket may be another account's",
        )
    if kind in UNREACHED or code in UNREACHED:
        return UnreachableAws(f"AWS can't be reached: {said}", where=where, hint=REGION_HINT)
    if code in BUSY or _status(error) >= SERVERS_FAULT or _status(error) == TOO_MANY:
        return Retryable(f"AWS is busy: {said}", where=where, hint="run it again")
    return BadInput(f"AWS refused: {said}", where=where)


def _status(error: BaseException) -> int:
    """The HTTP status of an error of boto3; 0 where there is none."""
    response: Any = getattr(error, "response", None)
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)) if isinstance(response, dict) else 0


def was_repeated(error: BaseException | None) -> bool:
    """Whether boto3 sent the request more than once: what the last answer says may be about what the first one did."""
    response: Any = getattr(error, "response", None)
    return isinstance(response, dict) and int(response.get("ResponseMetadata", {}).get("RetryAttempts", 0)) > 0


def is_refusal(error: BaseException) -> bool:
    """Whether AWS said that these credentials may not, and so did nothing."""
    refused = (
        error_code(error) in (*NOT_ALLOWED, *BAD_CREDENTIALS, *EXPIRED, "NoSuchBucket") or type(error).__name__ in NO_CREDENTIALS
    )
    return refused and is_of_aws(error) and not was_repeated(error)


@contextmanager
def aws_told(where: str) -> Iterator[None]:
    """What a driver of AWS raises inside is raised as one of ours; other errors pass. where: what was asked for."""
    try:
        yield
    except FleetlakeError:
        raise
    except Exception as error:
        if is_of_aws(error):
            raise explain(error, where) from error
        raise
