"""A real S3 server on the loopback interface, which checks signatures; stopped by process id."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fleetlake.runtime.daemon import Daemon
from fleetlake.runtime.jars import JarSet
from fleetlake.runtime.java import java_for_kafka

S3PROXY = JarSet(Path(__file__).with_name("s3proxy.lock"), "s3proxy")
BUCKET, KEY, SECRET, REGION = "fleet", "test-key", "test-secret", "eu-west-2"


@dataclass(frozen=True, slots=True)
class S3Server:
    port: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def properties(self) -> Mapping[str, str]:
        """PyIceberg's settings to reach it."""
        return {
            "s3.endpoint": self.endpoint, "s3.access-key-id": KEY, "s3.secret-access-key": SECRET, "s3.region": REGION,
            "s3.path-style-access": "true",
        }  # fmt: skip


@contextmanager
def s3_server(folder: Path, port: int) -> Iterator[S3Server]:
    """Runs s3proxy over `folder`, with one bucket."""
    store = folder / "objects"
    store.mkdir(parents=True)
    (store / BUCKET).mkdir(mode=0o700)  # to s3proxy, what others may read is a public bucket: it would ask for no credentials
    properties = folder / "s3proxy.properties"
    properties.write_text(
        f"s3proxy.endpoint=http://127.0.0.1:{port}\ns3proxy.authorization=aws-v4\ns3proxy.identity={KEY}\n"
        f"s3proxy.credential={SECRET}\njclouds.provider=filesystem-nio2\njclouds.filesystem.basedir={store}\n"
        "jclouds.identity=none\njclouds.credential=none\n"
    )
    (jar,) = S3PROXY.ensure()
    daemon = Daemon(folder, "s3proxy", mark=str(properties))
    java = [java_for_kafka(), "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]  # it lives for a test
    process = daemon.start([*java, "-jar", str(jar), "--properties", str(properties)])
    try:
        give_up_at = time.monotonic() + 60
        while not _answers(port):
            assert process.poll() is None, daemon.last_words()
            assert time.monotonic() < give_up_at, daemon.last_words()
            time.sleep(0.05)
        daemon.release(process)
        yield S3Server(port)
    finally:
        daemon.stop()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
