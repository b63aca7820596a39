"""TLS and a login for the embedded broker: the certificate by which it shows that it is itself, and who may come in."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fleetlake.broker.settings import login_module
from fleetlake.foundation.errors import BadInput
from fleetlake.foundation.references import resolve

PROTOCOL, MECHANISM = "SASL_SSL", "PLAIN"
USER_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
ITSELF = "fleetlake-broker"  # by which the broker talks to its own controller; its password is new at each start


@dataclass(frozen=True, slots=True)
class Access:
    """Makes an embedded broker ask for TLS and a password on both of its ports. Whoever is in may do all.

    identity: PEM file with the broker's private key (PKCS #8, not encrypted), then its certificate and those between it and the CA.
    ca: PEM file of the CA that issued it. users: name to password, which may be a reference (env:NAME, file:PATH); not empty.
    """

    identity: Path
    ca: Path
    users: Mapping[str, str] = field(repr=False)

    def client_properties(self) -> dict[str, str]:
        """What a client has to put in kafka.properties to come in as the first of the users."""
        user, password = next(iter(self.users.items()))
        return {
            "security.protocol": PROTOCOL,
            "ssl.ca.location": str(self.ca),
            "sasl.mechanisms": MECHANISM,
            "sasl.username": user,
            "sasl.password": password,
        }

    def server_properties(self) -> dict[str, str]:
        """What server.properties needs beyond the listeners. It holds passwords. BadInput for a name or a reference of no use."""
        own_password = secrets.token_urlsafe(32)
        accounts = {f"user_{name}": password for name, password in {**self._passwords(), ITSELF: own_password}.items()}
        login = login_module(MECHANISM, ITSELF, own_password, accounts)
        return {
            "listener.security.protocol.map": f"{PROTOCOL}:{PROTOCOL},CONTROLLER:{PROTOCOL}",
            "sasl.enabled.mechanisms": MECHANISM,
            "sasl.mechanism.inter.broker.protocol": MECHANISM,
            "sasl.mechanism.controller.protocol": MECHANISM,
            "listener.name.sasl_ssl.plain.sasl.jaas.config": login,
            "listener.name.controller.plain.sasl.jaas.config": login,
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.identity),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.ca),
        }

    def _passwords(self) -> dict[str, str]:
        for name in self.users:
            if not USER_NAME.fullmatch(name) or name == ITSELF:
                raise BadInput(f"a user of the embedded broker can't be called {name!r}", allowed="letters, digits, _ . and -")
        return {name: resolve(password, f"the password of {name}") for name, password in self.users.items()}
