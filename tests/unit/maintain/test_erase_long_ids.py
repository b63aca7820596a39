"""A device whose id is longer than a regular expression may be: no contract bounds an id, and Kafka takes one of a megabyte."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.io.pyarrow import PyArrowFileIO

from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.events import GPS
from fleetlake.contracts.tables import bronze_of
from fleetlake.lake.catalog import Lake, LakeSettings, open_lake
from fleetlake.lake.commits import commit
from fleetlake.lake.scan import Damaged
from fleetlake.lake.write import write_files
from fleetlake.maintain import erase_search, erase_table
from fleetlake.maintain.erase import count_device, erase_device
from fleetlake.maintain.erase_attempts import Wiring
from fleetlake.maintain.erase_name import DeviceName
from fleetlake.maintain.erase_rejects import Named, judge_payload, mask_payload
from fleetlake.maintain.erase_rows import candidates
from fleetlake.maintain.erase_search import BLOCK_BYTES, Found, search_file

T0 = datetime(2026, 1, 1, 8, tzinfo=UTC)
GONE = "veh-1" + "é" * 80_000  # Arrow refuses a pattern of it
OTHER = f"{GONE[:-1]}e"  # as long, and only its last character is another
LONGER_THAN_AN_OVERLAP = GONE[:20_000]
WIRING = Wiring({bronze_of(GPS).name: GPS.topic}, lambda lake: None, lambda attempt: None)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    """A row of the device, one of another that begins alike, and a reject of each, of which one is written with escapes."""
    uri = {"type": "sql", "uri": f"sqlite:///{tmp_path}/catalog.db", "warehouse": f"file://{tmp_path}/warehouse"}
    made = open_lake(LakeSettings("local", uri))
    made.ensure([bronze_of(GPS)])
    good = [{"device_id": device, "event_id": f"e{number}", "event_time": T0} for number, device in enumerate((GONE, OTHER))]
    payloads = [json.dumps({"deviceId": GONE}).encode(), json.dumps({"deviceId": OTHER}, ensure_ascii=False).encode()]
    rejects = [{"reject_reason": "missing: id", "payload": payload} for payload in payloads]
    rows: list[dict[str, Any]] = [
        {"kafka_partition": 0, "kafka_offset": offset, "ingested_at": T0 + timedelta(seconds=offset)} | row
        for offset, row in enumerate([*good, *rejects])
    ]
    schema, table = table_schema(bronze_of(GPS)), made.table(bronze_of(GPS).name)
    arrow = pa.Table.from_pylist([dict.fromkeys(schema.names) | row for row in rows], schema=schema)
    commit(table, added=write_files(table, arrow, folder=uuid.uuid4().hex), properties={})
    yield made
    made.close()


def test_a_device_with_a_long_id_is_counted_and_erased(lake: Lake) -> None:
    """Its file was called damaged, and restoring it was advised."""
    with pytest.raises(pa.ArrowInvalid, match="pattern too large"):
        candidates(pa.array(["x"]), DeviceName(GONE).anywhere)
    counted = count_device(lake, GONE)
    assert [(table.rows, table.masked) for table in counted.tables] == [(2, {})]
    erased = erase_device(lake, GONE, WIRING)
    assert (erased.tables[0].rows, erased.remaining, erased.broken) == (2, (), ())
    left = lake.table(bronze_of(GPS).name).scan().to_arrow()
    assert sorted(left["kafka_offset"].to_pylist()) == [1, 3]
    assert OTHER in left["device_id"].to_pylist()


def test_what_only_begins_like_it_is_another() -> None:
    device = DeviceName(GONE)
    for ascii_only in (True, False):
        named = json.dumps({"deviceId": "x", "description": f"by {GONE}."}, ensure_ascii=ascii_only).encode()
        alike = json.dumps({"deviceId": "x", "description": f"by {OTHER}."}, ensure_ascii=ascii_only).encode()
        assert judge_payload(named, device) is Named.MENTIONED
        assert mask_payload(named, device) == b'{"deviceId": "x", "description": "by [erased]."}'
        assert judge_payload(alike, device) is Named.OTHER


@pytest.mark.parametrize("name", ["a.txt", "b.metadata.json", "c.parquet"])
def test_it_is_found_across_the_border_of_two_blocks_of_a_file(tmp_path: Path, name: str) -> None:
    """More of the block before was not kept than 8 KiB."""
    path, device_id = tmp_path / name, LONGER_THAN_AN_OVERLAP
    content = b" " * (BLOCK_BYTES - len(device_id)) + f'"deviceId": "{device_id}"'.encode()
    path.write_bytes(content)
    assert search_file(PyArrowFileIO(), str(path), DeviceName(device_id)).found
    path.write_bytes(content.replace(device_id.encode(), device_id[:-1].encode()))
    assert search_file(PyArrowFileIO(), str(path), DeviceName(device_id)).found is Found.NOTHING


@pytest.mark.parametrize("error", [pa.ArrowInvalid, EOFError])
@pytest.mark.parametrize("command", [count_device, lambda lake, device: erase_device(lake, device, WIRING)])
def test_what_fails_of_our_own_is_not_taken_for_a_damaged_file(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, error: type[Exception], command: Callable[[Lake, str], object]
) -> None:
    def fail(*arguments: object) -> None:
        raise error("pattern too large - compile failed")

    monkeypatch.setattr(erase_table, "examine", fail)
    with pytest.raises(error, match="pattern too large") as caught:
        command(lake, "veh-1")
    assert not isinstance(caught.value, Damaged)


@pytest.mark.parametrize("error", [pa.ArrowInvalid, KeyError, ValueError])
def test_what_fails_of_our_own_is_not_taken_for_a_broken_file(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fail(*arguments: object, **more: object) -> None:
        raise error("ours")

    monkeypatch.setattr(erase_search, "examine", fail)
    monkeypatch.setattr(erase_search, "_in_bounds", fail)
    table = lake.table(bronze_of(GPS).name)
    snapshot = table.current_snapshot()
    assert snapshot
    files = [task.file.file_path for task in table.scan().plan_files()]
    files += [manifest.manifest_path for manifest in snapshot.manifests(table.io)]
    for path in files:
        with pytest.raises(error, match="ours"):
            search_file(table.io, path, DeviceName("veh-1"))


def test_a_file_that_is_no_parquet_is_damaged_all_the_same(lake: Lake) -> None:
    file = next(iter(lake.table(bronze_of(GPS).name).scan().plan_files())).file
    path = Path(file.file_path.removeprefix("file://"))
    content = path.read_bytes()
    for broken in (content[:-4] + b"XXXX", content[:4] + b"\xff" * (len(content) // 2) + content[4 + len(content) // 2 :]):
        path.write_bytes(broken)
        with pytest.raises(Damaged, match="is missing or damaged"):
            count_device(lake, "veh-1")
