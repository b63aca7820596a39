"""Kafka behind TLS and a password: the whole way through it, and what is said when it does not let us in."""

from __future__ import annotations

import json
import stat
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.certificates import authority
from tests.command_line import Cli, send
from tests.conftest import free_ports

from fleetlake.broker.access import Access
from fleetlake.broker.embedded import EmbeddedBroker, properties_text
from fleetlake.broker.producer import EventProducer
from fleetlake.broker.topics import TIMEOUT_S, ensure_topics
from fleetlake.contracts.events import EVENTS
from fleetlake.foundation.errors import BadInput, Retryable
from fleetlake.ingest.reader import Reader
from fleetlake.runtime.jars import KAFKA
from fleetlake.runtime.java import java_for_kafka

PASSWORD = 'Dürre"Rübe\\7'  # what Java and its login modules have to be given escaped  # noqa: S105
OTHER_PASSWORD = "not-this-one-either"  # noqa: S105


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sicher-ä")  # the broker's configuration is not in UTF-8
    ours = authority("ours")
    (made / "ca.pem").write_bytes(ours.certificate())
    (made / "broker.pem").write_bytes(ours.identity())
    (made / "other-ca.pem").write_bytes(authority("another").certificate())
    (made / "password").write_text(PASSWORD)
    return made


@pytest.fixture(scope="module")
def secured(folder: Path) -> Iterator[EmbeddedBroker]:
    """A broker with TLS and a login on both ports."""
    access = Access(folder / "broker.pem", folder / "ca.pem", {"fleet": f"file:{folder}/password"})
    broker = EmbeddedBroker(folder, free_ports(), access)
    try:
        broker.start()
        ensure_topics(broker.settings, [event.topic for event in EVENTS])
        yield broker
    finally:
        broker.stop()


@pytest.fixture
def cli(secured: EmbeddedBroker, home: Path) -> Iterator[Cli]:
    made = Cli(secured, home)
    yield made
    made.end()


def options(broker: EmbeddedBroker, **changed: str) -> list[str]:
    """The command line's settings to reach the broker. changed: properties, with _ for a dot."""
    properties = {**broker.settings.properties, **{name.replace("_", "."): value for name, value in changed.items()}}
    return [part for name, value in properties.items() for part in ("--set", f"kafka.properties.{name}={value}")]


def refused(cli: Cli, *arguments: str) -> str:
    """The one line by which a command that does not get in ends."""
    started = time.monotonic()
    process = cli.start(*arguments)
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - started < TIMEOUT_S  # which it would wait for a broker that does not answer
    assert (process.returncode, out, err.count("\n")) == (2, "", 1), err
    assert PASSWORD not in err
    assert OTHER_PASSWORD not in err
    return err


def test_all_that_was_sent_lands_and_is_verified(secured: EmbeddedBroker, cli: Cli) -> None:
    with EventProducer(secured.settings) as producer:
        send(producer, 0, 100)
    given = options(secured)
    landed = json.loads(cli.run(*given, "ingest", "--once", "--json"))
    assert {counts["landed"] for counts in landed.values()} == {100}
    assert [check["problems"] for check in json.loads(cli.run(*given, "verify", "--json"))] == [[]] * 5


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"sasl_password": OTHER_PASSWORD}, ("Kafka refuses the login: ", "Invalid username or password", "sasl.password")),
        ({"ssl_ca_location": "other-ca.pem"}, ("Kafka's certificate is not accepted: ", "issuer", "ssl.ca.location")),
        ({"security_protocol": "SASL_PLAINTEXT"}, ("Kafka asks for TLS, and we do not speak it", "security.protocol")),
    ],
    ids=["wrong password", "unknown CA", "no TLS"],
)
def test_who_is_not_let_in_is_told_why(
    secured: EmbeddedBroker, cli: Cli, folder: Path, changed: dict[str, str], said: Sequence[str]
) -> None:
    changed = {name: str(folder / value) if value.endswith(".pem") else value for name, value in changed.items()}
    err = refused(cli, *options(secured, **changed), "ingest", "--once")
    assert [part for part in (*said, f"; at 127.0.0.1:{secured.port};") if part not in err] == [], err


def test_a_broker_that_is_not_what_it_is_called(secured: EmbeddedBroker, cli: Cli) -> None:
    err = refused(cli, *options(secured), "--set", f"kafka.bootstrap_servers=localhost:{secured.port}", "simulate")
    assert "Kafka's certificate is not accepted: Hostname mismatch, certificate is not valid for 'localhost'; at localhost" in err


def test_a_mechanism_that_the_broker_has_not(secured: EmbeddedBroker) -> None:
    properties = {**secured.settings.properties, "sasl.mechanisms": "SCRAM-SHA-512"}
    with pytest.raises(BadInput, match=r"refuses the login: .*supported mechanisms: PLAIN"):
        ensure_topics(replace(secured.settings, properties=properties), ["gps_data"])


def test_a_broker_that_runs_for_other_passwords_is_not_waited_for(secured: EmbeddedBroker, folder: Path) -> None:
    access = Access(folder / "broker.pem", folder / "ca.pem", {"fleet": OTHER_PASSWORD})
    with pytest.raises(BadInput, match="refuses the login"):
        EmbeddedBroker(folder, secured.port, access).start()


def test_a_password_that_no_longer_holds_during_a_run_is_told_once(
    secured: EmbeddedBroker, caplog: pytest.LogCaptureFixture
) -> None:
    reader = Reader(secured.settings.client_config() | {"sasl.password": OTHER_PASSWORD}, group="g", start={"gps_data": {0: 0}})

    def told() -> list[str]:
        return sorted(message for name, _, message in caplog.record_tuples if name == "fleetlake.ingest.reader")

    try:
        give_up_at = time.monotonic() + 2 * TIMEOUT_S
        while len(told()) < 2 and time.monotonic() < give_up_at:
            reader.poll(0.1)
        for _ in range(10):  # it goes on trying
            reader.poll(0.1)
    finally:
        reader.close()
    assert told() == [
        f"Kafka is lost: no broker answers at 127.0.0.1:{secured.port}; waiting for it",
        "Kafka refuses the login: Authentication failed: Invalid username or password; trying again until it lets us in",
    ]


def test_records_that_a_producer_may_not_send_are_reported_with_the_reason(secured: EmbeddedBroker) -> None:
    settings = replace(secured.settings, properties={**secured.settings.properties, "sasl.password": OTHER_PASSWORD})
    producer = EventProducer(settings, delivery_timeout_s=1)
    producer.send(EVENTS[0], [b"a"], [b"{}"])
    with pytest.raises(Retryable, match="1 records were not delivered: Kafka refuses the login: Authentication failed"):
        producer.flush()


def test_a_client_in_java_comes_in_by_the_same_settings(secured: EmbeddedBroker, tmp_path: Path) -> None:
    given = tmp_path / "client.properties"
    given.write_text(properties_text(secured.settings.java_config()))
    classpath = ":".join(map(str, KAFKA.ensure()))
    arguments = [
        "--bootstrap-server",
        f"127.0.0.1:{secured.port}",
        "--command-config",
        str(given),
        "--describe",
        "--topic",
        "gps_data",
    ]
    java = [str(java_for_kafka()), "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", classpath, "kafka.admin.ConfigCommand"]
    done = subprocess.run([*java, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert "Dynamic configs for topic gps_data are" in done.stdout, done.stderr


def test_secrets_are_not_shown_and_their_files_are_their_owners(secured: EmbeddedBroker, cli: Cli) -> None:
    shown = cli.run(*options(secured, sasl_password=OTHER_PASSWORD), "config", "show")
    assert "kafka.properties.sasl.password" in shown
    assert OTHER_PASSWORD not in shown
    written = secured.folder / "server.properties"
    assert "user_fleet" in written.read_text()
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert PASSWORD not in (secured.folder / "broker.log").read_text()
    assert OTHER_PASSWORD not in repr(Access(written, written, {"fleet": OTHER_PASSWORD}))
