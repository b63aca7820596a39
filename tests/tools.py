"""Programs of other people's that tests run, each in an environment of its own: their pins are not ours."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from fleetlake.runtime.jars import cache_folder

LOCKS = Path(__file__).parents[1] / "requirements"


def tool_folder(name: str, *more: str) -> Path:
    """The `bin` of requirements/<name>.lock, made in the cache folder once. more: arguments of pip's."""
    lock = LOCKS / f"{name}.lock"
    folder = cache_folder() / f"{name}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:16]}"
    ready = folder / "ready"
    if not ready.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = [
            "-m",
            "pip",
            "install",
            "-q",
            "--no-compile",
            "--require-hashes",
            "-r",
        ]  # most of what they bring is never imported
        subprocess.run([str(folder / "bin" / "python"), *install, str(lock), *more], check=True)
        ready.touch()
    return folder / "bin"
