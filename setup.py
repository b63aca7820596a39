"""Builds what is written in C. The compiler is Zig's, a wheel of the lock, so none has to be on the machine.

What is built is called through ctypes: it is good for any Python, and needs none of its headers.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

FLAGS = ("-shared", "-fPIC", "-O2", "-std=c11", "-g0", "-mcpu=baseline", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror")


class BuildWithZig(build_ext):
    def build_extension(self, ext: Extension) -> None:
        built = Path(self.get_ext_fullpath(ext.name))
        built.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as cache:
            environment = os.environ | {"ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}
            command = [sys.executable, "-m", "ziglang", "cc", *FLAGS, *ext.sources, "-lm", "-o", str(built)]
            subprocess.run(command, check=True, env=environment)  # noqa: S603 - our own words


setup(
    ext_modules=[Extension("fleetlake.runtime._compiled", sorted(map(str, Path("src/fleetlake").glob("*/*.c"))))],
    cmdclass={"build_ext": BuildWithZig},
)
