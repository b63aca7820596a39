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
    "ssl.keystore.password": "ssl.keystore.password",
    "ssl.endpoint.identification.algorithm": "ssl.endpoint.identification.algorithm",
}  # librdkafka's name to the Java client's
STORE_TYPES = {"ssl.truststore": "PEM", "ssl.keystore": "PKCS12"}  # what librdkafka reads under these names
# Java would take a PEM key only as text, and Spark shows the options of a source in its plans.
IN_A_KEYSTORE = ("ssl.certificate.location", "ssl.key.location", "ssl.key.password", "ssl.certificate.pem", "ssl.key.pem")


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """Where Kafka is and how to get in.

    bootstrap_servers: host:port, comma-separated. properties: passed to librdkafka as they are (security.protocol, sasl.*,
    ssl.*); a value `env:NAME` or `file:PATH` stands for what is there. partitions: of a topic that has to be made.
    embedded: it is fleetlake's own broker, so fleetlake can start it.
    """

    bootstrap_servers: str = f"127.0.0.1:{DEFAULT_PORT}"
    properties: Mapping[str, str] = field(default_factory=dict, repr=False)
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
        found["sasl.jaas.config"] = login_module(mechanism or "PLAIN", user, password)
    for name, value in given.items():
        if name not in JAVA_NAMES:
            raise BadInput(
                f"the Java client of Kafka, which Spark uses, has no setting like {name}",
                where=f"kafka.properties.{name}",
                allowed=", ".join(("sasl.username", "sasl.password", "sasl.mechanisms", *JAVA_NAMES)),
                hint="a PKCS #12 file as ssl.keystore.location" if name in IN_A_KEYSTORE else "--engine native",
            )
        found[JAVA_NAMES[name]] = value
    if found.get("ssl.endpoint.identification.algorithm") == "none":
        found["ssl.endpoint.identification.algorithm"] = ""  # as Java says it
    return found | {f"{store}.type": kind for store, kind in STORE_TYPES.items() if f"{store}.location" in found}


def login_module(mechanism: str, user: str, password: str, options: Mapping[str, str] | None = None) -> str:
    """A sasl.jaas.config of Java: how to log in with SCRAM or PLAIN. options: further ones of the module."""
    module = "scram.Scram" if mechanism.startswith("SCRAM") else "plain.Plain"
    given = {"username": user, "password": password, **(options or {})}
    text = " ".join(f"{name}={_jaas(value)}" for name, value in given.items())
    return f"org.apache.kafka.common.security.{module}LoginModule required {text};"


def _jaas(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
