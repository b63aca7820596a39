"""What is said of a server that speaks no TLS, or whose certificate has expired."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.certificates import DAY, authority

from fleetlake.broker.embedded import properties_text
from fleetlake.broker.settings import KafkaSettings
from fleetlake.broker.topics import cluster_id, topic_ids
from fleetlake.foundation.errors import BadInput


@contextmanager
def server(greet: Callable[[socket.socket], object]) -> Iterator[str]:
    """Its host:port. It greets whoever comes, and hangs up."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return  # the test is over
            with connection, suppress(OSError):
                connection.settimeout(5)
                greet(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    """Of a server whose certificate, in broker.pem beside it, was valid until yesterday."""
    made = authority("test")
    (tmp_path / "ca.pem").write_bytes(made.certificate())
    (tmp_path / "broker.pem").write_bytes(made.identity(valid=-DAY))
    return tmp_path / "ca.pem"


def test_a_certificate_that_has_expired(ca: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca.with_name("broker.pem"))
    with server(lambda connection: context.wrap_socket(connection, server_side=True).close()) as address:
        settings = KafkaSettings(address, {"security.protocol": "SSL", "ssl.ca.location": str(ca)})
        with pytest.raises(BadInput, match=rf"not accepted: certificate has expired; at {address}; try: a new certificate"):
            cluster_id(settings)


@pytest.mark.parametrize(
    ("greet", "said"),
    [
        (lambda connection: connection.recv(1000), "Kafka hangs up as soon as we speak TLS"),  # so does a real broker
        (lambda connection: connection.sendall(b"SSH-2.0-this is no TLS"), "no TLS with Kafka: .*wrong version number"),
    ],
)
def test_no_tls_on_the_other_side(greet: Callable[[socket.socket], object], said: str) -> None:
    with (
        server(greet) as address,
        pytest.raises(BadInput, match=rf"{said}.*; at {address}; try: kafka\.properties\.security\.protocol"),
    ):
        topic_ids(KafkaSettings(address, {"security.protocol": "SSL"}), ["gps_data"])


def test_what_java_reads_in_the_brokers_configuration_is_ascii() -> None:
    assert properties_text({"a.b": 'C:\\ä"', "c": "\U0001f699\n"}) == 'a.b=C:\\\\\\u00e4"\nc=\\ud83d\\ude99\\u000a\n'
