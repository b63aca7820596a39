"""Whatever is done to a lake's rows or files, verify notices; of a lake that is as it was made it says nothing.

1,000 seeds: `python -m tests.tampering --seeds 1000`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.tampering import LAKE_SEEDS, make_lake, play

SEEDS_OF_A_LAKE = 8


@pytest.mark.parametrize("lake_seed", range(4))
def test_what_is_tampered_with_is_noticed_and_nothing_else(tmp_path: Path, lake_seed: int) -> None:
    made = make_lake(tmp_path, lake_seed)
    played = [play(made, lake_seed * LAKE_SEEDS + number) for number in range(SEEDS_OF_A_LAKE)]
    made.lake.close()
    assert [problem for _, problem in played if problem] == []
