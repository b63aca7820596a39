"""Why a broker does not let us in. librdkafka says it to a callback only, and of certificates too little."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Sequence

from confluent_kafka import KafkaError

from fleetlake.broker.settings import KafkaSettings
from fleetlake.foundation.errors import BadInput

PROBE_TIMEOUT_S = 1.0
SAID = re.compile(
    r"(?:\w+://(?P<where>[^/\s]+)/\S+: )?(?:SASL authentication error: )?(?P<what>.*?)(?: \(after \d+ms in state \w+\))?", re.DOTALL
)  # what librdkafka puts around a reason
ORIGIN = "fleetlake config show says where each setting comes from"
LOGIN = f"kafka.properties.sasl.username, sasl.password and sasl.mechanisms; {ORIGIN}"
PROTOCOL = f"kafka.properties.security.protocol, SASL_SSL for TLS with a login; {ORIGIN}"
CA = f"the PEM file of the CA that issued it as kafka.properties.ssl.ca.location; {ORIGIN}"
NAME = "kafka.bootstrap_servers by a name that is in the certificate"
DATE = "a new certificate for the broker; or this machine's clock is wrong"
WRONG_NAME, WRONG_DATE = (62, 64), (9, 10)  # OpenSSL's X509_V_ERR_*


def reason(error: KafkaError) -> str:
    """Why the broker refuses us, empty if the error does not say that it does."""
    if error.code() == KafkaError._AUTHENTICATION:
        return f"Kafka refuses the login: {_parts(error)[1]}"
    if error.code() == KafkaError._SSL:
        return f"no TLS with Kafka: {_parts(error)[1]}"
    return ""


def refusal(settings: KafkaSettings, errors: Sequence[KafkaError]) -> BadInput | None:
    """The error for what the client reported while nobody answered; None if it may yet succeed. Takes some PROBE_TIMEOUT_S."""
    for error in errors:
        where = _parts(error)[0] or settings.bootstrap_servers
        if error.code() == KafkaError._AUTHENTICATION:
            return BadInput(reason(error), where=where, hint=LOGIN)
        if error.code() == KafkaError._SSL:
            return _certificate_fault(where, settings) or BadInput(reason(error), where=where, hint=PROTOCOL)
    hung_up = [error for error in errors if error.code() == KafkaError._TRANSPORT and "in state SSL_HANDSHAKE" in error.str()]
    if len(hung_up) > 1:  # one may be a broker that goes down just now
        where = _parts(hung_up[0])[0] or settings.bootstrap_servers
        return BadInput("Kafka hangs up as soon as we speak TLS", where=where, hint=PROTOCOL)
    config = settings.client_config()
    if "SSL" not in str(config.get("security.protocol", "PLAINTEXT")).upper():
        for server in settings.bootstrap_servers.split(","):
            if _speaks_tls(server):
                return BadInput("Kafka asks for TLS, and we do not speak it", where=server, hint=PROTOCOL)
    return None


def _parts(error: KafkaError) -> tuple[str, str]:
    """(host:port, what was said) of an error of librdkafka."""
    found = SAID.fullmatch(error.str())
    return (found["where"] or "", found["what"]) if found else ("", error.str())


def _certificate_fault(server: str, settings: KafkaSettings) -> BadInput | None:
    """What is wrong with the broker's certificate, by a look of our own: librdkafka has one sentence for it all."""
    config = settings.client_config()
    try:
        context = ssl.create_default_context(cafile=str(config["ssl.ca.location"]) if "ssl.ca.location" in config else None)
        context.check_hostname = config.get("ssl.endpoint.identification.algorithm", "https") != "none"
        _shake_hands(server, context)
    except ssl.SSLCertVerificationError as error:
        hint = NAME if error.verify_code in WRONG_NAME else DATE if error.verify_code in WRONG_DATE else CA
        return BadInput(f"Kafka's certificate is not accepted: {error.verify_message.rstrip('.')}", where=server, hint=hint)
    except (OSError, ValueError):
        pass
    return None


def _speaks_tls(server: str) -> bool:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing is sent: it is only asked whether it speaks
    try:
        _shake_hands(server, context)
    except (OSError, ValueError):
        return False
    return True


def _shake_hands(server: str, context: ssl.SSLContext) -> None:
    host, _, port = server.strip().rpartition(":")
    host = host.strip("[]")
    with socket.create_connection((host, int(port)), PROBE_TIMEOUT_S) as plain, context.wrap_socket(plain, server_hostname=host):
        pass
