"""Where an id is found: whole names in any spelling, not parts of longer ones."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyiceberg.io.pyarrow import PyArrowFileIO

from fleetlake.maintain.erase_search import BLOCK_BYTES, holds, matches, pattern_of


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"veh-1", True), (b'{"deviceId": "veh-1"}', True), (b"\xff\xfeveh-1\xff", True), (b"veh-1/77", True),
        (rb'"\u0076eh-1"', True), (rb'"\u0076\u0065\u0068\u002D\u0031"', True), (rb'"veh\u002d1"', True),
        (b"veh-10", False), (b"xveh-1", False), (b"a-veh-1", False), (b"veh-1_b", False), (b"VEH-1", False), (b"", False),
    ],
)  # fmt: skip
def test_an_id_is_a_whole_name(content: bytes, expected: bool) -> None:
    pattern = pattern_of("veh-1")
    assert bool(re.search(pattern, content)) == expected
    assert matches(pa.array([content, None], pa.binary()), pattern).to_pylist() == [expected, False]


@given(st.text(min_size=1, max_size=12).filter(lambda text: text.strip() and text.encode(errors="ignore").decode() == text))
def test_any_id_is_found_as_json_writes_it_and_as_it_is(device_id: str) -> None:
    pattern = pattern_of(device_id)
    for ascii_only in (True, False):
        written = json.dumps({"deviceId": device_id}, ensure_ascii=ascii_only).encode()
        for content in (written, b" " + device_id.encode() + b" "):
            assert re.search(pattern, content), content
            assert matches(pa.array([content], pa.binary()), pattern).to_pylist() == [True], content


def test_every_kind_of_file(tmp_path: Path) -> None:
    io, pattern = PyArrowFileIO(), pattern_of("veh-1")
    pq.write_table(pa.table({"a": ["x", "veh-1", "y"]}), tmp_path / "rows.parquet", compression="zstd")
    pq.write_table(pa.table({"a": ["x", "veh-10"], "b": pa.array([b"veh-11", b""])}), tmp_path / "others.parquet")
    (tmp_path / "border.json").write_bytes(b" " * (BLOCK_BYTES - 2) + b"veh-1 ")
    (tmp_path / "half.parquet").write_bytes(b"PAR1")
    expected = {"rows.parquet": True, "others.parquet": False, "border.json": True, "half.parquet": False, "absent.json": False}
    assert {name: holds(io, str(tmp_path / name), pattern) for name in expected} == expected


def test_a_compressed_metadata_file(tmp_path: Path) -> None:
    file = tmp_path / "v1.metadata.json.gz"
    file.write_bytes(gzip.compress(b'{"name": "veh-1"}' * 3))
    assert holds(PyArrowFileIO(), str(file), pattern_of("veh-1"))
