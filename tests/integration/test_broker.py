"""The embedded broker and its clients, for real."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from tests.conftest import free_ports

from fleetlake.broker.embedded import EmbeddedBroker, new_cluster_id
from fleetlake.broker.producer import EventProducer
from fleetlake.broker.settings import KafkaSettings
from fleetlake.broker.topics import cluster_id, ensure_topics, topic_ids, watermarks
from fleetlake.contracts.events import VEHICLE
from fleetlake.foundation.errors import Missing


def records(settings: KafkaSettings, topic: str) -> int:
    return sum(high - low for low, high in watermarks(settings, [topic])[topic].values())


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_codec_is_taken_and_made_by_the_broker(broker: EmbeddedBroker, codec: str) -> None:
    """The client compresses in C, the broker takes it apart and compresses anew in Java, with the jars of the lock."""
    made = ["gzip", "snappy", "lz4", "zstd", "uncompressed"]
    config = {"bootstrap.servers": broker.settings.bootstrap_servers}
    topics = {kept: f"{codec}-{kept}" for kept in made}
    admin = AdminClient(config)  # its answers come only as long as it is there
    created = admin.create_topics([NewTopic(topic, 1, config={"compression.type": kept}) for kept, topic in topics.items()])
    for done in created.values():
        done.result()
    values = [f"value {number} ".encode() * 20 for number in range(200)]
    producer = Producer(config | {"compression.type": codec, "linger.ms": 50, "acks": "all"})
    for topic in topics.values():
        for value in values:
            producer.produce(topic, value)
    assert producer.flush(60) == 0
    consumer = Consumer(config | {"group.id": codec, "check.crcs": True})
    try:
        for topic in topics.values():
            consumer.assign([TopicPartition(topic, 0, 0)])
            assert [message.value() for message in consumer.consume(len(values), 60)] == values
    finally:
        consumer.close()


def test_it_starts_once_keeps_its_data_and_stops(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path, free_ports())
    try:
        assert broker.start()
        pid, cluster = broker.pid(), cluster_id(broker.settings)
        assert not broker.start()
        assert broker.pid() == pid
        ensure_topics(broker.settings, ["vehicle_data"])
        with EventProducer(broker.settings) as producer:
            producer.send(VEHICLE, [b"veh-1", b"veh-2"], [b"{}", b"[]"])
        assert broker.stop()
        assert broker.pid() is None
        assert not broker.stop()
        assert broker.start()
        assert cluster_id(broker.settings) == cluster
        assert records(broker.settings, "vehicle_data") == 2
    finally:
        broker.stop()


def test_it_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    port = free_ports()
    program = f"""
import os, signal
from pathlib import Path
from fleetlake.broker.embedded import EmbeddedBroker
EmbeddedBroker(Path({str(tmp_path)!r}), {port}).start()
os.kill(os.getpid(), signal.SIGKILL)
"""
    broker = EmbeddedBroker(tmp_path, port)
    try:
        assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -signal.SIGKILL
        assert cluster_id(broker.settings)
        assert not broker.start()
    finally:
        assert broker.stop()


def test_a_cluster_id_is_never_taken_for_an_option() -> None:
    made = {new_cluster_id() for _ in range(2000)}
    assert len(made) == 2000
    assert {len(each) for each in made} == {22}
    assert not [each for each in made if each.startswith("-")]


def test_a_port_in_use_is_refused_by_name_and_nothing_is_left(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(Missing, match=f"port {port} is in use"):
            EmbeddedBroker(tmp_path, port).start()
    assert list(tmp_path.iterdir()) == []


def test_a_pid_that_now_belongs_to_another_program_is_left_alone(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path, free_ports())
    broker.folder.mkdir()
    (broker.folder / "broker.pid").write_text(str(os.getpid()))
    assert broker.pid() is None
    assert not broker.stop()
    assert psutil.pid_exists(os.getpid())


def test_a_topic_made_again_has_another_id(broker: EmbeddedBroker) -> None:
    before = topic_ids(broker.settings, ["gps_data"])
    assert topic_ids(broker.settings, ["gps_data"]) == before
    admin = AdminClient(broker.settings.client_config())  # a client that is dropped forgets what it was asked
    admin.delete_topics(["gps_data"])["gps_data"].result(30)
    give_up_at = time.monotonic() + 30
    while "gps_data" in admin.list_topics(timeout=10).topics:
        assert time.monotonic() < give_up_at
        time.sleep(0.05)
    ensure_topics(broker.settings, ["gps_data"])
    assert topic_ids(broker.settings, ["gps_data"]) != before


def test_a_broker_that_is_not_there_is_one_clear_line() -> None:
    with pytest.raises(Missing, match=r"Kafka does not answer.*fleetlake up"):
        cluster_id(KafkaSettings(f"127.0.0.1:{free_ports()}", embedded=True), timeout_s=1)
    with pytest.raises(Missing, match=r"Kafka does not answer.*start it, or fleetlake config show"):
        cluster_id(KafkaSettings(f"127.0.0.1:{free_ports()}"), timeout_s=1)


def test_a_missing_topic_is_named(broker: EmbeddedBroker) -> None:
    for ask in (watermarks, topic_ids):
        with pytest.raises(Missing, match="there is no topic nope"):
            ask(broker.settings, ["nope"])
