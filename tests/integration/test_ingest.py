"""The native ingest against a real broker: what is in Kafka is in bronze, once, whatever happens to the process."""

import json
import random
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.command_line import Cli, send, wait_until

from fleetlake.broker.embedded import EmbeddedBroker
from fleetlake.broker.producer import EventProducer
from fleetlake.contracts.events import EVENTS


@pytest.fixture
def cli(broker: EmbeddedBroker, home: Path) -> Iterator[Cli]:
    made = Cli(broker, home)
    yield made
    made.end()


def test_once_lands_all_and_again_lands_nothing(broker: EmbeddedBroker, cli: Cli) -> None:
    with EventProducer(broker.settings) as producer:
        send(producer, 0, 700)
    landed = json.loads(cli.run("ingest", "--once", "--json"))
    assert {topic: counts["landed"] for topic, counts in landed.items()} == {event.topic: 700 for event in EVENTS}
    assert {counts["rejected"] for counts in landed.values()} == {10}
    again = json.loads(cli.run("ingest", "--once", "--json"))
    assert {counts["landed"] for counts in again.values()} == {0}
    checks = json.loads(cli.run("verify", "--json"))
    assert [check["problems"] for check in checks] == [[]] * 5
    assert {check["rejected"] for check in checks} == {10}


def test_verify_fails_while_records_are_missing(broker: EmbeddedBroker, cli: Cli) -> None:
    cli.run("ingest", "--once")
    with EventProducer(broker.settings) as producer:
        send(producer, 10_000, 20)
    process = cli.start("verify")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "NOT EQUAL" in out
    assert "are not in the table yet" in out
    assert err.startswith("error: the lake and Kafka do not hold the same")


def test_sigterm_commits_what_was_read(broker: EmbeddedBroker, cli: Cli) -> None:
    with EventProducer(broker.settings) as producer:
        send(producer, 20_000, 100)
    landed, patience_s = 0, 1.0
    while not landed and patience_s < 60:  # how far it has read can't be seen from outside, so it gets ever more time
        process = cli.start("--set", "ingest.flush_age_s=3600", "--set", "ingest.flush_rows=100000000", "ingest", "--json")
        with pytest.raises(subprocess.TimeoutExpired):
            process.communicate(timeout=patience_s)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
        if process.returncode != -signal.SIGTERM:  # otherwise it had not even begun
            assert process.returncode == 0, err
            landed = sum(counts["landed"] for counts in json.loads(out).values())
        patience_s *= 2
    assert landed > 0
    cli.run("ingest", "--once")
    cli.run("verify")


def test_kill_9_twenty_times_under_load(broker: EmbeddedBroker, cli: Cli) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    moments = random.Random(seed)
    done = threading.Event()

    def load() -> None:
        first = 100_000
        with EventProducer(broker.settings) as producer:
            while not done.is_set():
                send(producer, first, 20)
                producer.flush()
                first += 20
                done.wait(0.02)

    producing = threading.Thread(target=load)
    producing.start()
    try:
        for _ in range(20):
            process = cli.start("--set", "ingest.flush_age_s=0.05", "ingest")
            with pytest.raises(subprocess.TimeoutExpired):
                process.communicate(timeout=moments.uniform(0.8, 2.0))
            process.kill()
            process.communicate()
    finally:
        done.set()
        producing.join()
    cli.run("ingest", "--once")
    cli.run("verify")


def test_a_second_ingest_fences_the_first(broker: EmbeddedBroker, cli: Cli) -> None:
    with EventProducer(broker.settings) as producer:
        send(producer, 300_000, 50)
        producer.flush()
        first = cli.start("--set", "ingest.flush_age_s=0.05", "ingest")
        wait_until(lambda: cli.rows(EVENTS[-1]) > 0, first)  # so it owns every table by now
        while first.poll() is None:
            cli.run("ingest", "--once")  # takes the tables over
            send(producer, 300_100, 50)
            producer.flush()
    _, err = first.communicate(timeout=60)
    assert first.returncode == 1
    assert err.startswith("error: another ingest took this table over")
    cli.run("ingest", "--once")
    cli.run("verify")


def test_no_broker_is_one_line_and_exit_2(home: Path, broker: EmbeddedBroker) -> None:
    err = Cli(EmbeddedBroker(home, 1), home).run("ingest", "--once", expect=2)
    assert err.startswith("error: Kafka does not answer")
    assert err.count("\n") == 1
