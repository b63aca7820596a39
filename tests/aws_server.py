"""A stand-in for AWS on the loopback interface: moto's server, in a process of its own, stopped by process id."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

REGION = "eu-west-2"
KEY, SECRET = "test-key", "test-secret"
PATIENCE_S = 60


@dataclass(frozen=True, slots=True)
class AwsServer:
    """endpoint: of all services. environment: what makes every AWS tool use it."""

    endpoint: str

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": REGION, "AWS_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }  # fmt: skip

    def reset(self) -> None:
        """Forgets everything that was made."""
        request = urllib.request.Request(f"{self.endpoint}/moto-api/reset", method="POST")  # noqa: S310
        urllib.request.urlopen(request, timeout=30).close()  # noqa: S310


@contextmanager
def aws_server(folder: Path, port: int) -> Iterator[AwsServer]:
    """Runs moto's server; its log is in `folder`."""
    log = folder / "moto.log"
    command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("moto_server.py")), "-H", "127.0.0.1", "-p", str(port)]
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    try:
        server = AwsServer(f"http://127.0.0.1:{port}")
        give_up_at = time.monotonic() + PATIENCE_S
        while not _answers(server):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < give_up_at, log.read_text()
            time.sleep(0.1)
        yield server
    finally:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)
        process.wait(30)


def _answers(server: AwsServer) -> bool:
    try:
        with urllib.request.urlopen(f"{server.endpoint}/moto-api/data.json", timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except OSError:
        return False
