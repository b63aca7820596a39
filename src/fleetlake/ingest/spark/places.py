"""Where a query keeps its state: a folder or an object store's path, seen through Hadoop's file systems."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleetlake.foundation.errors import Retryable
from fleetlake.foundation.private import make_private_folder

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LOCK_TIMEOUT_S, POLL_S = 60.0, 0.1


def has_checkpoint(session: SparkSession, location: str) -> bool:
    """Whether a query has run under the checkpoint: its id is there."""
    jvm: Any = session.sparkContext._jvm
    path = jvm.org.apache.hadoop.fs.Path(f"{location}/metadata")
    configuration: Any = session.sparkContext._jsc
    return bool(path.getFileSystem(configuration.hadoopConfiguration()).exists(path))


@contextmanager
def exclusive(session: SparkSession, path: Path) -> Iterator[None]:
    """Holds the lock file while the context lasts, by the JVM: it is free when the process that commits is gone, not before.

    After kill -9 of a driver its JVM lives on for a moment, so this waits. Retryable if it is still held after LOCK_TIMEOUT_S.
    """
    make_private_folder(path.parent)
    jvm: Any = session.sparkContext._jvm
    file = jvm.java.io.RandomAccessFile(str(path), "rw")
    give_up_at = time.monotonic() + LOCK_TIMEOUT_S
    while (lock := file.getChannel().tryLock()) is None:
        if time.monotonic() > give_up_at:
            file.close()
            raise Retryable(
                "another Spark ingest is running under the same checkpoints",
                where=str(path),
                hint="stop it first; two would double rows",
            )
        time.sleep(POLL_S)
    try:
        yield
    finally:
        try:
            lock.release()
            file.close()
        except Exception:  # noqa: S110  # the JVM is gone, and the lock with it
            pass
