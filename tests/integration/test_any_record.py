"""Whatever bytes and numbers a record is made of, it lands, and every command goes on working."""

from __future__ import annotations

import json
import random
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from tests.command_line import GOOD, POLL_S, Cli

from fleetlake.broker.embedded import EmbeddedBroker
from fleetlake.broker.topics import watermarks
from fleetlake.contracts.events import EVENTS

SEED, RECORDS = 18, 1_500
ANY_INT64 = str(2**63 - 1)
EDGES = [
    -1,
    1,
    2**31,
    253_402_300_799_999,
    253_402_300_800_000,
    1_767_600_000_000_000,
    2**53,
    2**63 // 1000,
    2**63 - 1,
    -2,
    -(2**63),
]


@pytest.fixture
def cli(broker: EmbeddedBroker, home: Path) -> Iterator[Cli]:
    made = Cli(broker, home)
    yield made
    made.end()


def let_in_any_time(broker: EmbeddedBroker) -> None:
    """Makes the broker take any time, as brokers before 3.6 did; waits until it does, with one record in each topic."""
    admin = AdminClient(broker.settings.client_config())
    limits = [
        ConfigEntry(f"message.timestamp.{side}.max.ms", ANY_INT64, incremental_operation=AlterConfigOpType.SET)
        for side in ("after", "before")
    ]
    changes = [ConfigResource(ResourceType.TOPIC, event.topic, incremental_configs=limits) for event in EVENTS]
    for done in admin.incremental_alter_configs(changes).values():
        done.result(30)
    for event in EVENTS:
        while not is_taken(broker, event.topic, time_ms=2**63 - 1):  # a broker carries changes out after it has answered
            time.sleep(POLL_S)


def is_taken(broker: EmbeddedBroker, topic: str, time_ms: int) -> bool:
    refusals: list[str | None] = []
    producer = Producer(broker.settings.client_config())
    producer.produce(
        topic, b"", timestamp=time_ms, on_delivery=lambda error, _: refusals.append(None if error is None else error.name())
    )
    assert producer.flush(30) == 0
    assert refusals in ([None], ["INVALID_TIMESTAMP"])
    return refusals == [None]


def in_kafka(broker: EmbeddedBroker) -> int:
    marks = watermarks(broker.settings, [event.topic for event in EVENTS])
    return sum(high - low for partitions in marks.values() for low, high in partitions.values())


def any_payload(chosen: random.Random, number: int) -> bytes | None:
    good = json.dumps(GOOD | {"id": f"any-{number}", "deviceId": f"veh-{number % 7}"}).encode()
    cut = chosen.randrange(len(good))
    return chosen.choice(
        [good, good, None, b"", chosen.randbytes(chosen.randrange(200)), good[:cut], good[:cut] + b"\0" + good[cut:]]
    )


def send_any(broker: EmbeddedBroker, seed: int, count: int, times_ms: Callable[[random.Random], int]) -> int:
    """Sends records of any key, headers and payload; returns how many the broker took."""
    chosen, taken = random.Random(seed), 0

    def note(error: object, _: object) -> None:
        nonlocal taken
        taken += error is None

    producer = Producer(broker.settings.client_config() | {"linger.ms": 20})
    for number in range(count):
        time_ms = times_ms(chosen)
        headers = [
            (chosen.randbytes(3).hex(), chosen.choice([None, b"", chosen.randbytes(20)])) for _ in range(chosen.randrange(3))
        ]
        key = chosen.choice([None, b"", chosen.randbytes(chosen.randrange(1, 50))])
        topic = EVENTS[number % len(EVENTS)].topic
        producer.produce(topic, any_payload(chosen, number), key, timestamp=time_ms, headers=headers, on_delivery=note)
        producer.poll(0)
    assert producer.flush(60) == 0
    return taken


def test_any_record_lands_and_every_command_goes_on(broker: EmbeddedBroker, cli: Cli) -> None:
    let_in_any_time(broker)
    taken = send_any(broker, SEED, RECORDS, lambda chosen: chosen.choice([*EDGES, *struct.unpack("4q", chosen.randbytes(32))]))
    assert taken == RECORDS
    landed = json.loads(cli.run("ingest", "--once", "--json"))
    assert sum(counts["landed"] for counts in landed.values()) == in_kafka(broker)
    assert all(0 < counts["rejected"] < counts["landed"] for counts in landed.values())
    assert [check["problems"] for check in json.loads(cli.run("verify", "--json"))] == [[]] * 5
    times = json.loads(cli.run("query", "SELECT DISTINCT kafka_timestamp AS t FROM bronze.gps ORDER BY t", "--json"))
    assert {"1970-01-01", "9999-12-31", "None"} <= {str(row["t"])[:10] for row in times}
    cli.run("query", "SELECT * FROM bronze.vehicle")
    cli.run("quarantine")
    assert json.loads(cli.run("quarantine", "--json"))["rejected"] == sum(counts["rejected"] for counts in landed.values())
    for command in (["transform"], ["maintain", "compact"], ["report", "trips"], ["quality"], ["status"], ["verify"]):
        cli.run(*command)
