"""What a full disk and kill -9 leave of a file is read as far as it goes, and what is not read is counted."""

from __future__ import annotations

import gzip
import io
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fleetlake.contracts.events import GPS
from fleetlake.contracts.tables import bronze_of
from fleetlake.lake.catalog import LakeSettings, open_lake
from fleetlake.lake.commits import commit
from fleetlake.lake.write import write_files
from fleetlake.maintain.erase_broken import contents_of, is_whole_avro

ROWS = 3000


def parquet(codec: str) -> tuple[bytes, int]:
    """A file of three row groups, and where its footer begins."""
    chance, stream = random.Random(1), io.BytesIO()
    rows = {"device_id": ["veh-0037", "veh-0038"] * (ROWS // 2), "noise": [chance.random() for _ in range(ROWS)]}
    pq.write_table(pa.table(rows), stream, compression=codec, row_group_size=ROWS // 3, write_statistics=False)
    content = stream.getvalue()
    return content, len(content) - int.from_bytes(content[-8:-4], "little") - 8


@pytest.mark.parametrize("codec", ["zstd", "gzip", "snappy", "none"])
def test_pages_without_a_footer(codec: str) -> None:
    content, footer = parquet(codec)
    found = contents_of(content[:footer])
    assert found.unread_bytes == 0
    assert sum(part.count(b"veh-0037") for part in found.parts) >= 3
    for cut in range(8, footer, footer // 40):
        found = contents_of(content[:cut])
        assert codec == "snappy" or found.unread_bytes == 0, cut
        assert found.unread_bytes < cut


def test_the_last_page_is_read_up_to_the_cut() -> None:
    stream = io.BytesIO()
    chance = random.Random(1)
    ids = [f"veh-{chance.random()}" for _ in range(20_000)]
    pq.write_table(pa.table({"device_id": ids}), stream, compression="zstd", use_dictionary=False, write_statistics=False)
    content = stream.getvalue()
    found = contents_of(content[: len(content) // 2])
    assert found.unread_bytes == 0
    assert ids[5000].encode() in b"".join(found.parts)


def test_avro_cut_anywhere_is_not_whole_and_is_read(tmp_path: Path) -> None:
    settings = LakeSettings("local", {"type": "sql", "uri": f"sqlite:///{tmp_path}/c.db", "warehouse": f"file://{tmp_path}/w"})
    lake = open_lake(settings)
    lake.ensure([bronze_of(GPS)])
    table = lake.table(bronze_of(GPS).name)
    rows = pa.table({"kafka_partition": [0], "kafka_offset": [0], "device_id": ["veh-0037"]})
    commit(table, added=write_files(table, rows, folder="a"), properties={})
    (manifest,) = tmp_path.rglob("*-m0.avro")
    content = manifest.read_bytes()
    assert b"veh-0037" not in content
    assert b"veh-0037" in b"".join(contents_of(content).parts)
    assert is_whole_avro(content)
    for cut in range(len(content)):
        assert not is_whole_avro(content[:cut]) or contents_of(content[:cut]).parts[1:] == [], cut
        assert contents_of(content[:cut]).unread_bytes == 0
    assert b"veh-0037" in b"".join(contents_of(content[:-17]).parts)
    lake.close()


def test_frames_in_bytes_of_no_known_structure() -> None:
    frame = pa.compress(b"veh-0037 " * 50, codec="zstd", asbytes=True)
    packed = b"spill" + frame + b"\0" * 9 + gzip.compress(b"veh-0038 " * 50) + b"end"
    text = b"".join(contents_of(packed).parts[1:])
    assert text.count(b"veh-0037") == text.count(b"veh-0038") == 50
