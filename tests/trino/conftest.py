"""Athena's SQL on a real Trino. It fetches 821 MB once and needs Java 24 or later, so it runs only where it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from filled_lake import Filled, filled_lake
from tests.conftest import free_ports
from tests.trino_server import Trino, trino_server

HERE = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """`pytest` leaves this folder out; `pytest tests/trino` is what `make test-athena` runs."""
    asked = (Path(argument.partition("::")[0]).absolute() for argument in config.args)
    return None if any(path.is_relative_to(HERE) for path in asked) else True


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lake")


@pytest.fixture(scope="session")
def filled(folder: Path) -> Iterator[Filled]:
    with filled_lake(folder) as made:
        yield made


@pytest.fixture(scope="session")
def trino(filled: Filled, folder: Path) -> Iterator[Trino]:
    with trino_server(folder / "trino", free_ports(), folder / "catalog.db", folder / "warehouse") as server:
        server.run(f"CREATE SCHEMA {server.schema}")
        yield server
