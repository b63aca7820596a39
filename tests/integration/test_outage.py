"""The broker goes away while the ingest runs, and comes back."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.command_line import Cli, send, wait_until
from tests.conftest import free_ports

from fleetlake.broker.embedded import EmbeddedBroker
from fleetlake.broker.producer import EventProducer
from fleetlake.broker.topics import ensure_topics
from fleetlake.contracts.events import EVENTS


def test_an_outage_is_a_line_when_it_begins_and_one_when_it_ends(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path / "home", free_ports())
    cli = Cli(broker, broker.home)
    try:
        broker.start()
        ensure_topics(broker.settings, [event.topic for event in EVENTS])
        with EventProducer(broker.settings) as producer:
            send(producer, 0, 10)
        process = cli.start("ingest")
        wait_until(lambda: cli.rows(EVENTS[-1]) > 0, process)
        broker.stop()
        assert process.stderr
        lines = [process.stderr.readline()]
        broker.start()
        lines.append(process.stderr.readline())
        with EventProducer(broker.settings) as producer:
            send(producer, 10, 10)
        wait_until(lambda: cli.rows(EVENTS[-1]) == 20, process)  # it reads on where it was
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=60)
        assert process.returncode == 0, rest
        assert lines[0] == f"Kafka is lost: no broker answers at 127.0.0.1:{broker.port}; waiting for it\n"
        assert lines[1].startswith("Kafka is back, after ")
        assert rest == ""
        cli.run("ingest", "--once")
        cli.run("verify")
    finally:
        cli.end()
        broker.stop()
