"""Folders with any name: what each library makes of a location is the folder that was meant, and nothing lands anywhere else."""

from __future__ import annotations

import os
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyiceberg.io.pyarrow import PyArrowFileIO
from sqlalchemy.engine import make_url

from fleetlake.config.settings import Settings
from fleetlake.config.wiring import open_lake_from, spark_settings
from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.events import VEHICLE
from fleetlake.contracts.tables import bronze_of
from fleetlake.foundation.errors import BadInput
from fleetlake.lake.catalog import Lake
from fleetlake.lake.commits import commit
from fleetlake.lake.places import (
    local_path,
    location_of,
    path_of_pattern,
    pattern_of,
    require_usable,
    require_usable_by_spark,
    sqlite_path,
    sqlite_uri,
)  # fmt: skip
from fleetlake.lake.write import write_files
from fleetlake.maintain.compaction import CompactionPolicy, compact
from fleetlake.maintain.orphans import delete_orphans
from fleetlake.serve.query import run_query

TABLE = bronze_of(VEHICLE)
NAMES = ["fleet #2?a%20b%", 'sp ace\'s "x"', "ü日;,@", "x{{DATA}}\\", "br[1]*", "k=v", "**", "file:~$HOME"]
USUAL = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/"), min_size=1)
HARD = st.text("#?%20;[]*{}'\"\\ :@=&+~ü,", min_size=1)
PARTS = (USUAL | HARD).filter(lambda part: part not in (".", ".."))
PATHS = st.lists(PARTS, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))


@given(PATHS)
def test_every_library_reads_the_path_that_was_meant(path: str) -> None:
    location = location_of(path)
    assert PyArrowFileIO.parse_location(location)[2] == path
    assert local_path(location) == path
    assert local_path(f"{location}/data/1.parquet") == f"{path}/data/1.parquet"
    assert make_url(sqlite_uri(path)).database == path
    assert sqlite_path(sqlite_uri(path)) == Path(path)
    assert path_of_pattern(pattern_of(path)) == path or "[" in path  # a name that looks like a pattern of ours is read as one


@pytest.mark.parametrize(
    ("location", "path"),
    [("file:///a/b%20c", "/a/b%20c"), ("/a/b", "/a/b"), ("s3://bucket/a", None), ("file:/a/b", "/a/b"), ("file://host/a", "/a")],
)
def test_local_path(location: str, path: str | None) -> None:
    assert local_path(location) == path


def append(lake: Lake, offset: int) -> None:
    rows = pa.Table.from_pylist([{"kafka_partition": 0, "kafka_offset": offset}], schema=table_schema(TABLE))
    commit(lake.table(TABLE.name), added=write_files(lake.table(TABLE.name), rows, folder=f"job/{offset}"), properties={})


@pytest.mark.parametrize("name", NAMES)
def test_a_lake_in_a_folder_of_any_name_is_in_that_folder(tmp_path: Path, name: str) -> None:
    """Beside it lies a folder that the name would match, were it taken for a pattern."""
    home, neighbour = tmp_path / name, tmp_path / name.replace("*", "%20").replace("[1]", "1").replace("?", "x")
    for folder in {home, neighbour}:
        with closing(open_lake_from(Settings(home=folder))) as lake:
            lake.ensure([TABLE])
            for offset in range(3):
                append(lake, offset)
    stray = home / "warehouse" / "bronze" / "vehicle" / "data" / "stray.parquet"
    stray.write_bytes(b"1")
    os.utime(stray, (time.time() - 4 * 86_400,) * 2)
    with closing(open_lake_from(Settings(home=home))) as lake:
        assert compact(lake, TABLE.name, CompactionPolicy(), wait=lambda attempt: None, read_up_to=set()).removed == 3
        assert delete_orphans(lake, TABLE.name, timedelta(days=3), wait=lambda attempt: None).files == (str(stray),)
        count = run_query(lake, "SELECT count(*), sum(kafka_offset) FROM bronze.vehicle", None).to_pylist()
    assert [tuple(row.values()) for row in count] == [(3, 3)]
    assert {path.name for path in tmp_path.iterdir()} == {home.name, neighbour.name}


@pytest.mark.parametrize("name", ["two\nlines", "tab\tx", "bell\x07", os.fsdecode(b"\xff")])
def test_a_name_that_nothing_could_carry_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match=r"a folder whose name has a line break.*at home"):
        require_usable(Path("/data", name), "home")


@pytest.mark.parametrize("name", ["fleet #2", "a?b", "a%20b", "br[1]*", "a,b", "semi;colon"])
def test_spark_refuses_a_home_whose_name_it_would_misread(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match=r"Spark can't use a folder with .*--engine native"):
        spark_settings(Settings(home=tmp_path / name))
    assert not (tmp_path / name).exists()
    require_usable_by_spark("/data/sp ace/quo'te/ü日", "home")
