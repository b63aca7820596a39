"""Where an id is found: as a value where ids are, and, if it is long enough, as a whole name in texts, in any spelling."""

from __future__ import annotations

import csv
import gzip
import html
import io
import json
import re
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyiceberg.io.pyarrow import PyArrowFileIO

from fleetlake.maintain.erase_name import DeviceName
from fleetlake.maintain.erase_rows import candidates
from fleetlake.maintain.erase_search import BLOCK_BYTES, Found, Searched, search_file

LONG, SHORT = DeviceName("vehicle-1"), DeviceName("7")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"vehicle-1", True), (b'{"deviceId": "vehicle-1"}', True), (b"\xff\xfevehicle-1\xff", True), (b"vehicle-1/77", True),
        (rb'"\u0076ehicle-1"', True), (rb'"\u0076\u0065hicl\u0065\u002D\u0031"', True), (rb'"vehicle\u002d1"', True),
        (b"vehicle-10", False), (b"xvehicle-1", False), (b"a-vehicle-1", False), (b"vehicle-1_b", False), (b"VEHICLE-1", False),
        (b"", False),
    ],
)  # fmt: skip
def test_an_id_is_a_whole_name(content: bytes, expected: bool) -> None:
    assert bool(re.search(LONG.word_in_bytes, content)) == expected
    assert candidates(pa.array([content, None], pa.binary()), LONG.word_in_bytes).to_pylist() == [expected, False]
    assert bool(LONG.word.search(content.decode(errors="replace"))) == expected


@given(st.text(min_size=1, max_size=12).filter(lambda text: text.encode(errors="ignore").decode() == text))
def test_any_id_is_found_as_json_writes_it_and_as_it_is(device_id: str) -> None:
    device = DeviceName(device_id)
    for ascii_only in (True, False):
        written = json.dumps({"deviceId": device_id}, ensure_ascii=ascii_only).encode()
        for content in (written, b" " + device_id.encode() + b" "):
            assert re.search(device.anywhere, content), content
            assert candidates(pa.array([content], pa.binary()), device.anywhere).to_pylist() == [True], content
        assert device.member.search(written.decode()), written


@given(st.text("\"'&<>;\\\\a-1ü", min_size=1, max_size=12))
def test_any_id_is_found_as_csv_and_html_write_it(device_id: str) -> None:
    device, row = DeviceName(device_id), io.StringIO()
    csv.writer(row, quoting=csv.QUOTE_ALL).writerow([device_id])
    numbers = "".join(f"&#{ord(character)};" if character in "\"'&<>" else character for character in device_id)
    for text in (row.getvalue(), f"<td>{html.escape(device_id)}</td>", f"<td>{html.escape(device_id, quote=False)}</td>", numbers):
        assert re.search(device.anywhere, text.encode()), text
        assert candidates(pa.array([text.encode()], pa.binary()), device.anywhere).to_pylist() == [True], text
        if device.beginning_in_latin_bytes:
            assert re.search(device.beginning_in_latin_bytes, text.encode("latin-1")), text


def test_an_id_of_quotes_is_looked_for_in_no_time() -> None:
    """Each of its quotes by itself may not be one or two of the text's: all ways would be tried."""
    device, text = DeviceName('"' * 40 + "vehicle"), '"' * 4000 + "<"
    began = time.monotonic()
    assert not re.search(device.anywhere, text.encode())
    assert time.monotonic() - began < 5


def test_the_name_in_a_table_of_another_program_is_whole() -> None:
    device = DeviceName('say"van-77')
    assert [bool(re.search(device.word_in_bytes, text)) for text in (b'1,"say""van-77",2', b'1,"say""van-770",2')] == [True, False]
    assert device.mask_text('"say""van-77",<b>say&quot;van-77</b>', device.word) == '"[erased]",<b>[erased]</b>'


@pytest.mark.parametrize(
    ("device_id", "in_texts", "in_metadata"),
    [("7", False, False), ("123456789", False, False), ("2026-01-05", False, False), ("Rain", False, False), (" ", False, False),
     ("vehicle", True, False), ("veh-0001", True, True), ("sim7-00000", True, True)],
)  # fmt: skip
def test_length_and_place_say_what_is_evidence(device_id: str, in_texts: bool, in_metadata: bool) -> None:
    device = DeviceName(device_id)
    assert (device.is_sought_in_texts, device.is_sought_in_metadata) == (in_texts, in_metadata)


def test_every_kind_of_file(tmp_path: Path) -> None:
    pq.write_table(pa.table({"device_id": ["x", "vehicle-1", "7"]}), tmp_path / "rows.parquet", compression="zstd")
    pq.write_table(pa.table({"device_id": ["x"], "description": ["vehicle-1, lane 7"]}), tmp_path / "named.parquet")
    pq.write_table(pa.table({"device_id": ["vehicle-10", "77"], "event_id": ["vehicle-1/3", "7/3"]}), tmp_path / "others.parquet")
    (tmp_path / "border.json").write_bytes(b" " * (BLOCK_BYTES - 2) + b"vehicle-1 ")
    (tmp_path / "member.json").write_text('{"deviceId": "7"}')
    (tmp_path / "number.json").write_text('{"current-schema-id": 7, "added-records": "7"}')
    (tmp_path / "v1.metadata.json.gz").write_bytes(gzip.compress(b'{"name": "vehicle-1"}' * 3))
    (tmp_path / "cut.json.gz").write_bytes(gzip.compress(b'{"name": "vehicle-1"}' * 3)[:-9])
    (tmp_path / "half.parquet").write_bytes(b"PAR1")
    (tmp_path / "empty.avro").write_bytes(b"")
    no, broken = Searched(), Searched(is_broken=True)
    own, named = Searched(Found.OWN), Searched(Found.NAMED)
    expected = {
        "rows.parquet": (own, own), "named.parquet": (named, no), "others.parquet": (no, no), "border.json": (named, no),
        "member.json": (no, named), "number.json": (no, no), "v1.metadata.json.gz": (named, no),
        "cut.json.gz": (Searched(Found.OWN, is_broken=True), broken), "half.parquet": (broken, broken),
        "empty.avro": (broken, broken), "absent.json": (no, no),
    }  # fmt: skip
    io = PyArrowFileIO()
    assert {name: tuple(search_file(io, str(tmp_path / name), device) for device in (LONG, SHORT)) for name in expected} == expected


def test_what_was_masked_is_no_finding_also_where_a_bound_or_block_cuts_it(tmp_path: Path) -> None:
    texts = ["behind [erased], left", "behind [erased", "[erased"]
    for device in map(DeviceName, ("erased", "[erased]", "erased]")):
        assert not any(device.is_named_in(text) for text in texts)
        assert device.is_named_in(f"[erased] {device.id} ") is (device.id != "[erased]")
        pq.write_table(
            pa.table({"description": texts[:1], "payload": [b'{"deviceId":"[erased]","lat":']}), tmp_path / "rows.parquet"
        )
        (tmp_path / "log.txt").write_text("[erased] went, and [erased] too")
        for name in ("rows.parquet", "log.txt"):
            assert search_file(PyArrowFileIO(), str(tmp_path / name), device).found is (
                Found.OWN if device.id == "[erased]" and name == "rows.parquet" else Found.NOTHING
            )


def test_statistics_say_of_another_s_payload_what_its_rows_say(tmp_path: Path) -> None:
    payloads = [b'{"deviceId":"acme:vehicle-1","lat":', b'{"deviceId":"7.5","lat":']
    pq.write_table(pa.table({"payload": payloads, "reject_reason": ["wrong_type: deviceId: x"] * 2}), tmp_path / "rows.parquet")
    for device in (LONG, SHORT, DeviceName("deviceId"), DeviceName("wrong_type")):
        assert search_file(PyArrowFileIO(), str(tmp_path / "rows.parquet"), device) == Searched()
