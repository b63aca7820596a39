"""Programs of other people's that tests run, each in an environment of its own: their pins are not ours."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from fleetlake.runtime.jars import cache_folder

LOCKS = Path(__file__).parents[1] / "requirements"


def tool_folder(name: str, *more: str) -> Path:
    """The `bin` of requirements/<name>.lock, made in the cache folder once. more: arguments that pip and uv share."""
    lock = LOCKS / f"{name}.lock"
    folder = cache_folder() / f"{name}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:16]}"
    ready = folder / "ready"
    if not ready.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(folder)], check=True)
        _install(folder / "bin" / "python", "-q", "--require-hashes", "-r", str(lock), *more)
        ready.touch()
    return folder / "bin"


def _install(python: Path, *what: str) -> None:
    """By uv, which takes a seventh of pip's time; by pip where uv fails, as only pip may have been told of a mirror."""
    uv = [sys.executable, "-m", "uv", "pip", "install", "--python", str(python)]
    if subprocess.run([*uv, *what], check=False).returncode:
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-compile"]  # most is never imported
        subprocess.run([*pip, *what], check=True)
