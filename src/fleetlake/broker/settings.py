"""How to reach Kafka. Secrets are references until the moment a client is made."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fleetlake.foundation.errors import BadInput

DEFAULT_PORT = 19092


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """Where Kafka is and how to get in.

    bootstrap_servers: host:port, comma-separated. properties: passed to librdkafka as they are (security.protocol, sasl.*,
    ssl.*); a value `env:NAME` or `file:PATH` stands for what is there. partitions: of a topic that has to be made.
    """

    bootstrap_servers: str = f"127.0.0.1:{DEFAULT_PORT}"
    properties: Mapping[str, str] = field(default_factory=dict)
    partitions: int = 4

    def client_config(self) -> dict[str, str | int | float | bool]:
        """What every client starts from, secrets resolved. BadInput if a reference leads nowhere."""
        config: dict[str, str | int | float | bool] = {"bootstrap.servers": self.bootstrap_servers, "client.id": "fleetlake"}
        return config | {name: _resolve(name, value) for name, value in self.properties.items()}


def _resolve(name: str, value: str) -> str:
    kind, _, target = value.partition(":")
    if kind == "env":
        if target not in os.environ:
            raise BadInput(f"environment variable {target} is not set", where=f"kafka.properties.{name}")
        return os.environ[target]
    if kind == "file":
        try:
            return Path(target).read_text().strip()
        except OSError as error:
            raise BadInput(f"{target} can't be read: {error.strerror}", where=f"kafka.properties.{name}") from error
    return value
