"""What all runs share: the broker, and an S3 server for those that need one."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

from fleetlake.broker.embedded import EmbeddedBroker
from tests.conftest import free_ports
from tests.s3_server import S3Server, s3_server


class Servers:
    """broker: runs already, and is not ended here. The context ends what was started in it."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self.broker = broker
        self._stack = ExitStack()

    def __enter__(self) -> Servers:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @cached_property
    def s3(self) -> S3Server:
        """Started when it is first asked for."""
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-s3-"))
        return self._stack.enter_context(s3_server(Path(folder), free_ports()))
