"""Freed memory stays with the process once it has been asked to keep it."""

import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, resource, sys
from fleetlake.runtime.memory import keep_freed_memory
if "keep" in sys.argv:
    keep_freed_memory()
for _ in range(60):
    block = bytearray(40_000_000)  # more than glibc's own threshold ever becomes, so it is mapped anew each time
    del block
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator is meant")
def test_blocks_are_used_again_without_the_kernel() -> None:
    faults = [int(subprocess.check_output([sys.executable, "-c", PROGRAM, how])) for how in ("", "keep")]
    assert faults[1] < faults[0] / 10
