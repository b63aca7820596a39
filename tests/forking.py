"""Processes forked from one that has imported everything: to import takes longer than most of what tests have them do."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing.context import ForkServerContext
from pathlib import Path

PRELOADED = [
    "__main__", "tests.faults.scenarios", "tests.faults.driver", "tests.forking", "boto3", "duckdb", "pyarrow.compute",
    "pyarrow.fs", "pyarrow.parquet", "pydantic", "pyiceberg.catalog.glue", "pyiceberg.catalog.sql", "pyiceberg.io.pyarrow",
    "fleetlake.workflows.ingest", "fleetlake.cli.main", "fleetlake.config.settings", "fleetlake.config.wiring",
    "fleetlake.transform.native", "fleetlake.transform.runner",
]  # fmt: skip


def forking() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def run_fleetlake(
    *arguments: str, env: Mapping[str, str], timeout: float, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs the command in a process, environment and folder of its own, without input. tests/unit/cli/test_main.py starts it as
    users do, and waits for its imports.
    """
    with tempfile.TemporaryDirectory(prefix="command-") as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        process = forking().Process(target=_command, args=(arguments, dict(env), cwd or Path.cwd(), out, err))
        process.start()
        process.join(timeout)
        if process.is_alive():
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(arguments, timeout, out.read_text(), err.read_text())
        assert process.exitcode is not None
        return subprocess.CompletedProcess(arguments, process.exitcode, out.read_text(), err.read_text())


def _command(arguments: tuple[str, ...], environment: Mapping[str, str], folder: Path, out: Path, err: Path) -> None:
    """The forked process."""
    for descriptor, place in enumerate((Path(os.devnull), out, err)):
        flags = os.O_RDONLY if descriptor == 0 else os.O_WRONLY | os.O_CREAT
        os.dup2(os.open(place, flags, 0o600), descriptor)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["fleetlake", *arguments]
    from fleetlake.cli.main import main

    main()
