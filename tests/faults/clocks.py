"""The time of day as a process under test sees it: shifted, at whatever place something of ours or of PyIceberg's asks for it."""

from __future__ import annotations

import importlib
import random
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

BY_DATETIME = ("pyiceberg.table.update", "fleetlake.maintain.expiry", "fleetlake.maintain.orphans", "fleetlake.maintain.erase")


class Clock:
    """This process's clock. offset_s: how far it is ahead; it may be set at any time. What waits uses another one, as it should."""

    def __init__(self) -> None:
        self.offset_s: Callable[[], float] = lambda: 0.0

    def shift(self, offset_s: float) -> None:
        """From now on the clock is so far ahead."""
        self._take_over(lambda: offset_s)

    def jump(self, jumps_s: tuple[int, ...]) -> None:
        """From now on the clock jumps, back and forward, whenever it is asked for."""
        draw = random.Random(str(jumps_s))
        self._take_over(lambda: draw.choice(jumps_s))

    def _take_over(self, offset_s: Callable[[], float]) -> None:
        self.offset_s = offset_s
        if time.time_ns is not _real_ns:
            return
        time.time_ns = lambda: _real_ns() + int(self.offset_s() * 1_000_000_000)
        time.time = lambda: time.time_ns() / 1_000_000_000
        for name in BY_DATETIME:
            importlib.import_module(name).datetime = _Shifted  # type: ignore[attr-defined]


class _Shifted(datetime):
    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return datetime.fromtimestamp(time.time(), tz)


_real_ns = time.time_ns
CLOCK = Clock()
