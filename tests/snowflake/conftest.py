"""A real Snowflake account and a real stack. Costs a little and changes whom the stack trusts, so it runs only when asked for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NEEDED = {
    "FLEETLAKE_TEST_SNOWFLAKE_CONNECTION": "a connection in connections.toml whose user may take ACCOUNTADMIN",
    "FLEETLAKE_TEST_AWS_REGION": "the region of the stack, with AWS credentials where every AWS tool finds them",
    "FLEETLAKE_TEST_STACK": "a stack made for tests by fleetlake deploy aws apply: whom its role trusts is overwritten",
}


def asked_for(config: pytest.Config) -> bool:
    paths = (Path(argument.partition("::")[0]).absolute() for argument in config.args)
    return any(path.is_relative_to(HERE) for path in paths)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """`pytest` leaves this folder out; `pytest tests/snowflake` is what `make test-snowflake` runs."""
    return None if asked_for(config) else True


def pytest_sessionstart(session: pytest.Session) -> None:
    """Ends with exit code 2 and what is missing, before anything is collected."""
    lacking = [f"  {name}: {what}" for name, what in NEEDED.items() if not os.environ.get(name)]
    if lacking and asked_for(session.config):
        pytest.exit("the tests on a real Snowflake account need\n" + "\n".join(lacking), returncode=2)
