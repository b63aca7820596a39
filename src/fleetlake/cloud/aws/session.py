"""The one door to AWS: clients of a region with short retries, and every error of boto3 as one of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fleetlake.foundation import aws_names
from fleetlake.foundation.aws_errors import BOTO3_HINT, error_code, explain, without_accounts
from fleetlake.foundation.errors import Missing

__all__ = ("Aws", "bounded_session", "error_code", "explain", "known_regions", "require_region", "told", "without_accounts")

PARTITIONS = ("aws", "aws-cn", "aws-us-gov")


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
            raise Missing("boto3 is not installed", hint=BOTO3_HINT) from error
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


def bounded_session() -> Any:
    """A botocore session for a driver that makes its clients itself (PyIceberg): they give an endpoint up within seconds."""
    try:
        import botocore.session
        from botocore.config import Config
    except ImportError as error:
        raise Missing("boto3 is not installed", hint=BOTO3_HINT) from error
    session = botocore.session.get_session()
    session.set_default_client_config(Config(connect_timeout=5, read_timeout=30))
    return session


def require_region(region: str) -> None:
    """BadInput if aws.region does not look like a region."""
    aws_names.require_region(region, "aws.region")


def known_regions() -> tuple[str, ...]:
    """Those that the installed boto3 knows, of all partitions; AWS is not asked."""
    try:
        import boto3
    except ImportError as error:
        raise Missing("boto3 is not installed", hint=BOTO3_HINT) from error
    session = boto3.session.Session()
    return tuple(name for partition in PARTITIONS for name in session.get_available_regions("s3", partition))


@contextmanager
def told(where: str) -> Iterator[None]:
    """What boto3 raises inside is raised as one of ours. where: the service and what it was asked for."""
    try:
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as error:
        raise Missing("boto3 is not installed", hint=BOTO3_HINT) from error
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise explain(error, where) from error
