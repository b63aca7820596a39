"""Data quality per device, the worst first."""

from __future__ import annotations

import io
from typing import Any

import pytest
from report_rows import at, fill, row

from fleetlake.contracts.events import GPS, WEATHER
from fleetlake.contracts.positions import POSITIONS
from fleetlake.contracts.tables import bronze_of, silver_of
from fleetlake.lake.catalog import Lake
from fleetlake.serve.quality import QUALITY
from fleetlake.serve.reports import Selection, read_report, write_report


def position(device: str, second: float, quality: str | None = None, hour: float = 8) -> dict[str, Any]:
    return row(POSITIONS, device_id=device, event_time=at(hour, seconds=second), quality=quality)


def reject(offset: int, payload: bytes) -> dict[str, Any]:
    return row(bronze_of(GPS), kafka_offset=offset, reject_reason="range: speed: 900", payload=payload)


@pytest.fixture
def judged(bare_lake: Lake) -> Lake:
    fill(bare_lake, POSITIONS, [
        *(position("good", 3 * n) for n in range(9)), position("good", 24 + 60),
        *(position("bad", 10 * n, quality) for n, quality in enumerate([None, "jump", "jump", "no_fix", None])),
        position("bad", 40, "duplicate_time"), position("bad", 0, "future", hour=99),
    ])  # fmt: skip
    fill(bare_lake, silver_of(GPS), [
        row(silver_of(GPS), event_id=f"e{n}", device_id="good", event_time=at(8, seconds=n), is_late=n < 3) for n in range(5)
    ])  # fmt: skip
    fill(bare_lake, bronze_of(GPS), [
        reject(1, b'{"deviceId": "bad", "timestamp": "2026-01-01T08:00:30.000Z", "speed": 900}'),
        reject(2, b'{"deviceId": "bad", "timestamp": "yesterday"}'),
        reject(3, b'{"deviceId": "mute"}'), reject(4, b"\xff\xfe"), reject(5, b"{broken"), reject(6, b'{"deviceId": null}'),
        row(bronze_of(GPS), kafka_offset=7, device_id="good", event_time=at(8)),
    ])  # fmt: skip
    fill(bare_lake, bronze_of(WEATHER), [
        row(bronze_of(WEATHER), kafka_offset=1, reject_reason="missing: id: -", payload=b'{"deviceId": "bad"}')
    ])  # fmt: skip
    return bare_lake


def quality_of(lake: Lake, selection: Selection | None = None) -> dict[str, dict[str, Any]]:
    return {found["device_id"]: found for found in read_report(lake, QUALITY, selection).rows.to_pylist()}


def test_each_device_is_judged(judged: Lake) -> None:
    found = quality_of(judged)
    assert list(found) == ["mute", "bad", "good"]
    none = {"no_fix": 0, "future": 0, "stale": 0, "duplicate_time": 0, "poor_accuracy": 0, "frozen": 0, "jump": 0}
    assert found["good"] == none | {
        "device_id": "good", "positions": 10, "good": 10, "good_share": 1.0, "longest_gap_s": 60.0,
        "longest_gap_from": at(8, seconds=24), "median_interval_s": 3.0, "late": 3, "rejected": 0, "last_time": at(8, seconds=84),
    }  # fmt: skip
    assert found["bad"] == none | {
        "no_fix": 1, "future": 1, "duplicate_time": 1, "jump": 2,
        "device_id": "bad", "positions": 7, "good": 2, "good_share": 2 / 7, "longest_gap_s": 10.0, "longest_gap_from": at(8),
        "median_interval_s": 10.0, "late": 0, "rejected": 3, "last_time": at(8, seconds=40),
    }  # fmt: skip
    assert (found["mute"]["positions"], found["mute"]["good_share"], found["mute"]["rejected"]) == (0, None, 1)


def test_for_people(judged: Lake) -> None:
    out = io.StringIO()
    write_report(read_report(judged, QUALITY), out=out)
    *lines, last = out.getvalue().splitlines()
    assert lines[:4] == [
        "device  positions    good  no fix  future  twice  jump      gap  every s  late  rejected  last (UTC)",
        "mute            0                                                            0         1",
        "bad             7   28.6%       1       1      1     2  0:00:10     10.0     0         3  2026-01-01 08:00",
        "good           10  100.0%                               0:01:00      3.0     3         0  2026-01-01 08:01",
    ]
    assert " ".join(lines[4:]) == f"({QUALITY.note})"
    assert last == "3 devices, 17 positions, 70.6% good, 3 late, 4 rejected"


def test_a_period_and_a_device(judged: Lake) -> None:
    chosen = quality_of(judged, Selection("bad", at(8, seconds=5), at(8, seconds=31)))
    assert list(chosen) == ["bad"]
    assert (chosen["bad"]["positions"], chosen["bad"]["jump"], chosen["bad"]["no_fix"]) == (3, 2, 1)
    assert chosen["bad"]["rejected"] == 1, "those whose time can be read"
    assert quality_of(judged, Selection("bad", at(7), at(9)))["bad"]["positions"] == 6


def test_positions_are_enough(bare_lake: Lake) -> None:
    fill(bare_lake, POSITIONS, [position("v0", 0)])
    found = quality_of(bare_lake)["v0"]
    assert (found["late"], found["rejected"], found["longest_gap_s"], found["median_interval_s"]) == (0, 0, None, None)
