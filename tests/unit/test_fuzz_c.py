"""The C of the package, built with sanitizers and called with anything it may be given: `tests/fuzz_c/fuzz.c`.

Address and undefined-behaviour sanitizers where there is a gcc; else what Zig's compiler, which builds the package, has: undefined
behaviour only. FLEETLAKE_FUZZ=50 runs 50 times as long, from another seed each time.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fuzzing import TIMES

ROOT = Path(__file__).parents[2]
SOURCES = [ROOT / "tests" / "fuzz_c" / "fuzz.c", *sorted((ROOT / "src" / "fleetlake").glob("*/*.c"))]
COMMON = ["-O1", "-g", "-std=c11", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror"]
GCC = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
ZIG = ["-fsanitize=undefined", "-fsanitize-trap=undefined"]
ROUNDS = {"messages": 1_000, "produce": 10_000, "words": 10_000, "waves": 10_000, "plain": 10_000}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz")
    gcc = shutil.which("gcc")
    compiler, sanitizers = ([gcc], GCC) if gcc else ([sys.executable, "-m", "ziglang", "cc"], ZIG)
    environment = os.environ | {"ZIG_GLOBAL_CACHE_DIR": str(folder), "ZIG_LOCAL_CACHE_DIR": str(folder)}
    built = folder / "fuzz"
    command = [*compiler, *COMMON, *sanitizers, *map(str, SOURCES), "-lm", "-o", str(built)]
    subprocess.run(command, check=True, env=environment)
    return built


@pytest.mark.parametrize("name", ROUNDS)
def test_nothing_is_read_or_written_beyond_its_end_and_all_comes_out_right(program: Path, name: str) -> None:
    seed = random.SystemRandom().randrange(2**32) if TIMES else 18
    command = [str(program), name, str(seed), str(ROUNDS[name] * max(TIMES, 1))]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"
