"""Rows the tests of the models are made of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

T0 = datetime(2026, 1, 1, 8, tzinfo=UTC)
Rows = list[dict[str, Any]]


def fix(
    at_s: float, speed_kmh: float | None, ignition: bool | None = None, *, device_id: str = "v1", **more: Any
) -> dict[str, Any]:
    """A fix `at_s` seconds after T0, all but in one place unless told otherwise: to the last digit would be a frozen one."""
    made = {"device_id": device_id, "event_time": T0 + timedelta(seconds=at_s), "speed_kmh": speed_kmh, "ignition": ignition}
    return made | {"event_id": f"{device_id}-{at_s:012.3f}", "latitude": 52.0 + at_s * 1e-7, "longitude": -1.0} | more


def seconds(row: dict[str, Any], name: str) -> float:
    return float((row[name] - T0).total_seconds())
