"""How to reach Kafka. Secrets are references until the moment a client is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fleetlake.foundation.errors import BadInput
from fleetlake.foundation.references import resolve

DEFAULT_PORT = 19092
JAVA_NAMES = {
    "security.protocol": "security.protocol",
    "ssl.ca.location": "ssl.truststore.location",
    "ssl.keystore.location": "ssl.keystore.location",
    "ssl.key.password": "ssl.key.password",
    "ssl.endpoint.identification.algorithm": "ssl.endpoint.identification.algorithm",
}  # librdkafka's name to the Java client's


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """Where Kafka is and how to get in.

    bootstrap_servers: host:port, comma-separated. properties: passed to librdkafka as they are (security.protocol, sasl.*,
    ssl.*); a value `env:NAME` or `file:PATH` stands for what is there. partitions: of a topic that has to be made.
    embedded: it is fleetlake's own broker, so fleetlake can start it.
    """

    bootstrap_servers: str = f"127.0.0.1:{DEFAULT_PORT}"
    properties: Mapping[str, str] = field(default_factory=dict)
    partitions: int = 4
    embedded: bool = False

    def client_config(self) -> dict[str, str | int | float | bool]:
        """What every client starts from, secrets resolved. BadInput if a reference leads nowhere."""
        config: dict[str, str | int | float | bool] = {"bootstrap.servers": self.bootstrap_servers, "client.id": "fleetlake"}
        return config | {name: resolve(value, f"kafka.properties.{name}") for name, value in self.properties.items()}

    def java_config(self) -> dict[str, str]:
        """The same for a Kafka client in Java, as Spark has it. BadInput for a setting it has no counterpart of."""
        return {"bootstrap.servers": self.bootstrap_servers, **java_properties(self.client_config())}


def java_properties(client: Mapping[str, object]) -> dict[str, str]:
    """librdkafka's security settings under the names of the Java client. BadInput for one without a counterpart."""
    given = {name: str(value) for name, value in client.items() if name not in ("bootstrap.servers", "client.id")}
    found: dict[str, str] = {}
    user, password = given.pop("sasl.username", None), given.pop("sasl.password", None)
    mechanism = given.pop("sasl.mechanisms", given.pop("sasl.mechanism", None))
    if mechanism:
        found["sasl.mechanism"] = mechanism
    if user is not None and password is not None:
        module = "scram.Scram" if (mechanism or "").startswith("SCRAM") else "plain.Plain"
        found["sasl.jaas.config"] = (
            f"org.apache.kafka.common.security.{module}LoginModule required username={_jaas(user)} password={_jaas(password)};"
        )
    for name, value in given.items():
        if name not in JAVA_NAMES:
            raise BadInput(
                f"the Java client of Kafka, which Spark uses, has no setting like {name}",
                where=f"kafka.properties.{name}",
                allowed=", ".join(("sasl.username", "sasl.password", "sasl.mechanisms", *JAVA_NAMES)),
                hint="use --engine native",
            )
        found[JAVA_NAMES[name]] = value
    if "ssl.truststore.location" in found:
        found["ssl.truststore.type"] = "PEM"
    if "ssl.keystore.location" in found:
        found["ssl.keystore.type"] = "PEM"
    return found


def _jaas(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
