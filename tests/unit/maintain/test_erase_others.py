"""An erasure takes nothing of another device: not for its event ids, not for what its texts say, however short the id is."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from test_erase import T0, contents, ingest, opened, row

from fleetlake.contracts.events import EMERGENCY, TRAFFIC
from fleetlake.contracts.tables import all_tables, bronze_of
from fleetlake.foundation.errors import Missing
from fleetlake.lake.catalog import Lake
from fleetlake.lake.commits import commit
from fleetlake.lake.digest import Account, digest_of
from fleetlake.maintain.erase import count_device, erase_device
from fleetlake.transform.marker import read_marker
from fleetlake.transform.runner import run_transform
from fleetlake.transform.settings import TransformSettings
from fleetlake.workflows.erase import SPOILT, erase_wiring

SETTINGS = TransformSettings(threads=1)


def incident(offset: int, device: str, description: str, **more: Any) -> dict[str, Any]:
    made = {"incident_type": "Accident", "status": "Active", "description": description, "incident_id": f"inc-{offset}"}
    return row(offset, device) | made | more


def reject(offset: int, payload: bytes, reason: str = "not_json: -: cut") -> dict[str, Any]:
    return {"kafka_partition": 0, "kafka_offset": offset, "ingested_at": T0, "reject_reason": reason, "payload": payload}


def fill(folder: Path, *, transformed: bool = True) -> Lake:
    lake = opened(folder)
    lake.ensure(all_tables())
    ingest(lake, [row(i, "12", event_id=f"12/7/{i}") for i in range(10)] + [row(10 + i, "7", event_id=f"7/{i}") for i in range(3)])
    ingest(lake, [row(13, "7-b", event_id="7-1"), row(14, "x"), reject(15, b'{"id":"7-000123","lat":51.5,"dev')])
    ingest(lake, [reject(16, b'{"deviceId":"12","speed":"7"}', "wrong_type: speed: 7"), reject(17, b'{"deviceId":7,"id":1}')])
    ingest(lake, [incident(i, "12", "Accident on the M1, lane 7 closed, sim1-00007 in it") for i in range(5)], EMERGENCY)
    ingest(lake, [row(i, "sim1-00007", camera_id="cam-9") for i in range(4)] + [row(4, "12")], TRAFFIC)
    if transformed:
        run_transform(lake, SETTINGS)
    return lake


def without(rows: dict[str, list[str]], *gone: str) -> dict[str, list[str]]:
    return {name: [one for one in found if not any(mark in one for mark in gone)] for name, found in rows.items()}


def test_a_short_id_takes_its_own_rows_alone(tmp_path: Path) -> None:
    lake = fill(tmp_path)
    before = contents(lake)
    counted = count_device(lake, "7")
    assert {table.table: (table.rows, table.masked) for table in counted.tables if table.table.startswith("bronze")} == {
        "bronze.gps": (5, {})
    }
    erased = erase_device(lake, "7", erase_wiring())
    assert erased.remaining == erased.unsearched == erased.broken == ()
    assert {table.table: table.rows for table in erased.tables} == {table.table: table.rows for table in counted.tables}
    rejects = (repr(b'{"id":"7-000123","lat":51.5,"dev'), repr(b'{"deviceId":7,"id":1}'))
    assert lake.table("bronze.erased").scan().to_arrow().num_rows == 5
    assert contents(lake) == without(before, "('device_id', '7')", *rejects)
    run_transform(lake, SETTINGS)
    now = contents(lake)
    run_transform(lake, SETTINGS, full=True)
    assert contents(lake) == now
    with pytest.raises(Missing, match="no rows for device '7'"):
        erase_device(lake, "7", erase_wiring())
    lake.close()


def test_a_real_device_of_one_letter_ends_after_one_commit_a_table(tmp_path: Path) -> None:
    lake = fill(tmp_path, transformed=False)
    waits = list[int]()
    erased = erase_device(lake, "x", replace(erase_wiring(), wait=waits.append))
    assert (erased.remaining, waits) == ((), [])
    assert "('device_id', 'x')" not in repr(contents(lake))
    lake.close()


def test_an_id_of_nobody_leaves_nothing_behind(tmp_path: Path) -> None:
    lake = fill(tmp_path, transformed=False)
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for device_id in ("nobody", "1", "closed", "Accident", "M1", "cam-9", "vehicle", "zstd", "event_time", "  "):
        for erase in (count_device, partial(erase_device, wiring=erase_wiring())):
            with pytest.raises(Missing):
                erase(lake, device_id)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == files
    lake.close()


def test_texts_of_others_are_masked_and_the_rest_of_their_rows_stays(tmp_path: Path) -> None:
    lake = fill(tmp_path)
    ingest(lake, [row(20, "12", event_id="sim1-00007/1"), reject(21, b'{"deviceId":"12","note":"sim1-00007"')])
    ingest(lake, [reject(22, b"what sim1-00007-3 sent", "not_json: -: sim1-00007 is here")])
    run_transform(lake, SETTINGS)
    before = contents(lake)
    counted = count_device(lake, "sim1-00007")
    masked = {table.table: table.masked for table in counted.tables if table.masked}
    assert masked == {"bronze.gps": {"": 1, "12": 1}, "bronze.emergency": {"12": 5}, "silver.emergency": {"12": 5}}
    erased = erase_device(lake, "sim1-00007", erase_wiring())
    assert erased.remaining == ()
    assert {table.table: table.masked for table in erased.tables if table.masked} == masked
    after = contents(lake)
    told = "Accident on the M1, lane 7 closed, [erased] in it"
    for layer in ("bronze", "silver"):
        assert [told in one for one in after[f"{layer}.emergency"]] == [True] * 5
        assert "sim1-00007/1" in repr(after[f"{layer}.gps"])  # an event id is of its own device, whatever it reads like
        assert len(after[f"{layer}.gps"]) == len(before[f"{layer}.gps"])
    assert "what [erased]-3 sent" in repr(after["bronze.gps"])
    assert "not_json: -: [erased] is here" in repr(after["bronze.gps"])
    run_transform(lake, SETTINGS)
    now = contents(lake)
    run_transform(lake, SETTINGS, full=True)
    assert contents(lake) == now
    lake.close()


def test_what_the_rows_add_up_to_follows(tmp_path: Path) -> None:
    lake = opened(tmp_path)
    event = bronze_of(EMERGENCY)
    lake.ensure([event])
    rows = [incident(i, "12" if i % 2 else "sim1-00007", "sim1-00007 is near") for i in range(10)]
    ingest(lake, [*rows, reject(10, b'{"deviceId":"sim1-00007"'), reject(11, b'{"deviceId":"12","note":"sim1-00007"')], EMERGENCY)
    table = lake.table(event.name)
    commit(table, properties=Account(digest_of(table.scan().to_arrow(), table.schema()), "commit").properties())
    erase_device(lake, "sim1-00007", erase_wiring())
    table = lake.table(event.name)
    account, left = Account.of(table.properties), table.scan().to_arrow()
    assert account is not None
    assert len(left) == 6
    assert account.digest == digest_of(left, table.schema())
    lake.close()


def test_an_id_of_blanks_can_be_erased(tmp_path: Path) -> None:
    lake = fill(tmp_path, transformed=False)
    ingest(lake, [row(20, "  "), row(21, " ")])
    erased = erase_device(lake, "  ", erase_wiring())
    assert erased.remaining == ()
    assert [table.rows for table in erased.tables] == [1]
    assert "('device_id', ' ')" in repr(contents(lake))
    lake.close()


def test_cut_and_empty_files_of_a_full_disk_are_searched_and_go_when_they_are_old(tmp_path: Path) -> None:
    lake = fill(tmp_path, transformed=False)
    (data,) = (tmp_path / "warehouse" / "bronze" / "traffic_camera" / "data").rglob("*.parquet")
    manifest = next((tmp_path / "warehouse" / "bronze" / "gps" / "metadata").glob("*-m0.avro"))
    content = data.read_bytes()
    cut = {
        data.parent.parent / "dead" / "day.parquet": content[: len(content) - int.from_bytes(content[-8:-4], "little") - 8],
        data.parent.parent / "dead" / "empty.parquet": b"",
        manifest.with_name("cut-m0.avro"): manifest.read_bytes()[:100],
        manifest.with_name("half-m0.avro"): manifest.read_bytes()[:-20],
        manifest.with_name("empty-m0.avro"): b"",
    }
    holder = next(iter(cut))
    for path, part in cut.items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(part)
    young = erase_device(lake, "sim1-00007", erase_wiring())
    assert young.remaining == (str(holder),)
    assert set(young.broken) == set(map(str, cut))
    assert young.unsearched == ()
    for path in cut:
        os.utime(path, (time.time() - 7200,) * 2)
    old = erase_device(lake, "sim1-00007", erase_wiring())
    assert (old.remaining, old.broken, old.unsearched) == ((), (), ())
    assert not any(path.exists() for path in cut)
    assert old.deleted >= len(cut)
    lake.close()


def test_a_spoilt_table_beside_a_transform_is_spoilt_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake, other = fill(tmp_path), opened(tmp_path)
    real, name, waits = lake.catalog.commit_table, "gold.camera_traffic", list[int]()
    before = read_marker(lake.table(name))
    assert before is not None

    def disturbed(table: Any, *arguments: Any) -> Any:
        if ".".join(table.name()) == name and len(waits) < 2:
            commit(other.table(name), properties=before.properties())  # a transform that has not seen the erasure
        return real(table, *arguments)

    monkeypatch.setattr(lake.catalog, "commit_table", disturbed)
    assert erase_device(lake, "sim1-00007", replace(erase_wiring(), wait=waits.append)).remaining == ()
    assert waits == [0, 1]
    marker = read_marker(lake.table(name))
    assert marker is not None
    assert marker.definition == SPOILT
    lake.close()
    other.close()


def test_rejects_of_neighbours_stay_theirs_and_can_be_erased(tmp_path: Path) -> None:
    lake = opened(tmp_path)
    lake.ensure(all_tables())
    owners = ["acme:veh-1234", "veh-1234 ", "7.5", "veh-200"]
    codecs = ["utf-8", "utf-16", "utf-8", "utf-8"]
    payloads = [f'{{"deviceId":"{owner}","lat":9,'.encode(codec) for owner, codec in zip(owners, codecs, strict=True)]
    noted = b'{"deviceId":"veh-200","lat":9,"note":"veh-1234"'
    ingest(lake, [*(reject(i, payload) for i, payload in enumerate(payloads)), reject(9, noted)])
    ingest(lake, [row(10 + i, device) for i, device in enumerate(["veh-1234", "7", "deviceId", *owners])])
    before = contents(lake)["bronze.gps"]
    assert {table.table: table.masked for table in count_device(lake, "veh-1234").tables} == {"bronze.gps": {"veh-200": 1}}
    for erased in ("veh-1234", "7", "deviceId"):
        done = erase_device(lake, erased, erase_wiring())
        assert (done.remaining, [table.rows for table in done.tables]) == ((), [1]), erased
    gone = [f"('device_id', '{erased}')" for erased in ("veh-1234", "7", "deviceId")]
    left = without({"bronze.gps": before}, *gone)["bronze.gps"]
    assert contents(lake)["bronze.gps"] == sorted(one.replace('"note":"veh-1234"', '"note":"[erased]"') for one in left)
    for owner in owners:
        assert [table.rows for table in erase_device(lake, owner, erase_wiring()).tables] == [3 if owner == "veh-200" else 2]
    assert contents(lake)["bronze.gps"] == []
    lake.close()


def test_devices_called_like_the_mask_can_be_erased_and_no_text_is_masked_twice(tmp_path: Path) -> None:
    lake = opened(tmp_path)
    lake.ensure(all_tables())
    ids = ["erased", "[erased]", "erased]", "[erased", "x [erased]", "device_id"]
    payload = b'{"deviceId":"veh-200","lat":9,"note":"[erased]"'
    ingest(lake, [*(row(i, device) for i, device in enumerate(ids)), reject(20, payload, "not_json: -: [erased]")])
    ingest(lake, [incident(0, "veh-200", "behind [erased], lane closed"), incident(1, "veh-200", "[erased]")], EMERGENCY)
    texts, rejects = contents(lake)["bronze.emergency"], contents(lake)["bronze.gps"][-1:]
    for device in ids:
        erased = erase_device(lake, device, erase_wiring())
        assert erased.remaining == (), device
        assert {table.table: (table.rows, table.masked) for table in erased.tables} == {"bronze.gps": (1, {})}
        assert contents(lake)["bronze.emergency"] == texts
        with pytest.raises(Missing):
            erase_device(lake, device, erase_wiring())
    assert contents(lake)["bronze.gps"] == [one for one in contents(lake)["bronze.gps"] if repr(payload) in one]
    assert len(contents(lake)["bronze.gps"]) == len(rejects)
    lake.close()
