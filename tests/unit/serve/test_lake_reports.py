"""Snapshots and the quarantine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fleetlake.foundation.errors import BadInput, Missing
from fleetlake.lake.catalog import Lake
from fleetlake.lake.commits import commit
from fleetlake.serve.quarantine import SHOWN_BYTES, as_document, read_quarantine
from fleetlake.serve.snapshots import list_snapshots

T0 = datetime(2026, 1, 1, 8, tzinfo=UTC)


def test_snapshots_are_listed_oldest_first(lake: Lake, history: Any) -> None:
    ids = [history.gps(1), history.gps(2, 3)]
    table = lake.table("bronze.gps")
    ids.append(str(commit(table, properties={}).metadata.current_snapshot_id))
    rows = list_snapshots(lake, "bronze.gps")
    assert [row.snapshot_id for row in rows] == ids
    assert [(row.added_rows, row.total_rows, row.added_files) for row in rows] == [(1, 1, 1), (2, 3, 1), (0, 3, 0)]
    assert [row.is_current for row in rows] == [False, False, True]
    assert rows[0].properties == {"fleetlake.test": "yes"}
    assert timedelta(0) <= datetime.now(UTC) - rows[0].committed_at < timedelta(minutes=5)


def test_snapshots_of_no_table(lake: Lake) -> None:
    assert list_snapshots(lake, "gold.trips") == []
    for name in ("gold.cars", "nosuch", "gold", "quarantine", ""):
        with pytest.raises(Missing, match=rf"there is no table {name}; allowed: bronze\.emergency, .*silver\.gps") as caught:
            list_snapshots(lake, name)
        assert caught.value.exit_code == 2


@pytest.fixture
def rejects(history: Any) -> Any:
    common = {"kafka_partition": 0, "kafka_timestamp": T0, "ingested_at": T0}
    history.add("bronze.gps", [
        common | {"kafka_offset": 3, "reject_reason": "range: speed: 900", "payload": b'{"speed": 900}'},
        common | {"kafka_offset": 1, "reject_reason": "json: -: not JSON", "payload": b"\xff\x00"},
        common | {"kafka_offset": 2, "event_id": "good", "device_id": "v1", "event_time": T0},
    ])  # fmt: skip
    history.add("bronze.weather", [common | {"kafka_offset": 0, "reject_reason": "json: -: not JSON", "payload": b"\x1b[2J"}])
    return history


def test_quarantine_counts_and_places(lake: Lake, rejects: Any) -> None:
    found = read_quarantine(lake)
    assert [tuple(row.values()) for row in found.counts.to_pylist()] == [
        ("gps_data", "json", 1), ("gps_data", "range", 1), ("weather_data", "json", 1),
    ]  # fmt: skip
    places = [(row["topic"], row["kafka_partition"], row["kafka_offset"]) for row in found.records.to_pylist()]
    assert places == [("gps_data", 0, 1), ("gps_data", 0, 3), ("weather_data", 0, 0)]


def test_quarantine_of_one_topic(lake: Lake, rejects: Any) -> None:
    found = read_quarantine(lake, topic="gps_data", limit=1)
    assert (found.records.num_rows, found.rejected) == (1, 2)
    assert read_quarantine(lake, topic="vehicle_data").rejected == 0
    with pytest.raises(BadInput, match=r"--topic.*gps_data"):
        read_quarantine(lake, topic="cars")


def test_quarantine_shows_the_beginning_of_large_payloads(lake: Lake, rejects: Any) -> None:
    """Of 1,200 of a megabyte each DuckDB's 1 GB would not hold the whole; a character of several bytes is not cut in two."""
    common = {"kafka_partition": 1, "kafka_timestamp": T0, "ingested_at": T0, "reject_reason": "json: -: not JSON"}
    large = "é".encode() * 500_000
    for first in range(0, 1200, 200):
        large_ones = [common | {"kafka_offset": first + at, "payload": b"x" * (at % 2) + large} for at in range(200)]
        rejects.add("bronze.gps", large_ones[::-1])
    found = read_quarantine(lake, topic="gps_data")
    assert [row["kafka_offset"] for row in found.records.select(["kafka_offset"]).to_pylist()] == [1, 3, *range(1200)]
    document: dict[str, Any] = as_document(read_quarantine(lake, topic="gps_data", limit=5))
    assert [record["kafka_offset"] for record in document["records"]] == [1, 3, 0, 1, 2]
    assert [record.get("payload_bytes") for record in document["records"]] == [None, None, 1_000_000, 1_000_001, 1_000_000]
    assert document["records"][2]["payload"] == "é" * (SHOWN_BYTES // 2)
    assert document["records"][3]["payload"] == "x" + "é" * (SHOWN_BYTES // 2 - 1)


def test_quarantine_as_a_document(lake: Lake, rejects: Any) -> None:
    document: dict[str, Any] = as_document(read_quarantine(lake, topic="gps_data"))
    assert document["rejected"] == 2
    binary, text = document["records"]
    assert (binary["payload_base64"], text["payload"]) == ("/wA=", '{"speed": 900}')
