"""A few seeds of `python -m tests.forensics`."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.forensics import holders, play


@pytest.mark.parametrize("seed", [1, 3])
def test_nothing_of_the_device_is_left_and_nothing_of_others_is_lost(tmp_path: Path, seed: int) -> None:
    assert play(seed, tmp_path) == []


def test_a_copy_is_seen(tmp_path: Path) -> None:
    (tmp_path / "spill.tmp").write_bytes(b"\0quokka-7\0")
    (tmp_path / "other.tmp").write_bytes(b"quokka-70")
    assert [path.name for path in holders(tmp_path, "quokka-7")] == ["spill.tmp"]
