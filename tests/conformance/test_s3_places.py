"""On S3, too, a lake takes only what is its tables', and no other lake lies above or below it."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.io.pyarrow import PyArrowFileIO

from fleetlake.config.settings import LakeSection, Settings
from fleetlake.config.wiring import open_lake_from
from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.events import GPS
from fleetlake.contracts.tables import bronze_of
from fleetlake.lake.catalog import Lake
from fleetlake.lake.commits import commit
from fleetlake.lake.unlisted import Claimed
from fleetlake.lake.write import write_files
from fleetlake.maintain.erase import erase_device
from fleetlake.maintain.erase_attempts import Wiring
from fleetlake.maintain.orphans import delete_orphans
from fleetlake.workflows.erase import erase_wiring
from tests.s3_server import BUCKET, S3Server

TABLE, GONE = bronze_of(GPS), "quokka-7"
NAMES_IT = f'{{"deviceId":"{GONE}"}}'.encode()


def made(s3: S3Server, home: Path, warehouse: str) -> Lake:
    home.mkdir(exist_ok=True)
    given = {"type": "sql", "uri": f"sqlite:///{home}/c.db", "warehouse": warehouse, **s3.properties}
    lake = open_lake_from(Settings(home=home, lake=LakeSection(properties=given)))
    lake.ensure([TABLE])
    table = lake.table(TABLE.name)
    rows = [{"kafka_partition": 0, "kafka_offset": i, "device_id": GONE if i else "veh-1"} for i in range(2)]
    arrow = pa.Table.from_pylist(rows, schema=table_schema(TABLE))
    commit(table, added=write_files(table, arrow, folder=home.name), properties={})
    return lake


def devices(lake: Lake) -> list[Any]:
    found: list[Any] = lake.table(TABLE.name).scan(selected_fields=("device_id",)).to_arrow()["device_id"].to_pylist()
    return sorted(found)


def test_only_the_tables_files_go(s3: S3Server, tmp_path: Path) -> None:
    root = f"s3://{BUCKET}/{tmp_path.name}"
    ours, theirs = made(s3, tmp_path / "ours", f"{root}/team"), made(s3, tmp_path / "theirs", f"{root}/team2")
    io, table = PyArrowFileIO(dict(ours.catalog.properties)), f"{root}/team/bronze/gps"
    others = [f"{root}/team/notes.txt", f"{root}/team2/bronze/gps/data/1.txt", f"{table}2/data/1.txt", f"{table}/notes.txt"]
    own = [f"{table}/data/orphan.txt", f"{table}/metadata/orphan.txt"]
    for place in (*others, *own):
        with io.new_output(place).create() as stream:
            stream.write(NAMES_IT)
    wiring = Wiring(erase_wiring().topics, lambda lake: None, lambda attempt: None, lambda: datetime.now(UTC) + timedelta(hours=2))
    erased = erase_device(ours, GONE, wiring)
    assert (devices(ours), devices(theirs)) == (["veh-1"], [GONE, "veh-1"])
    assert erased.remaining == ()
    assert sorted(erased.foreign) == sorted(place for place in others if "/team/" in place)
    assert [io.new_input(place).exists() for place in (*others, *own)] == [True] * 4 + [False] * 2
    for place in own:
        with io.new_output(place).create() as stream:
            stream.write(NAMES_IT)
    found = delete_orphans(ours, TABLE.name, timedelta(0), now=wiring.now, wait=lambda attempt: None)
    assert {f"s3://{path}" for path in found.files} >= set(own)
    assert [io.new_input(place).exists() for place in (*others, *own)] == [True] * 4 + [False] * 2
    assert devices(ours) == ["veh-1"]
    ours.close()
    theirs.close()


@pytest.mark.parametrize(("first", "second", "side"), [("team", "team/sub", "above"), ("team/sub", "team", "below")])
def test_a_prefix_above_or_below_another_lakes_is_refused(s3: S3Server, tmp_path: Path, first: str, second: str, side: str) -> None:
    root = f"s3://{BUCKET}/{tmp_path.name}"
    made(s3, tmp_path / "one", f"{root}/{first}").close()
    with pytest.raises(Claimed, match=f"{side} this lake's"):
        made(s3, tmp_path / "two", f"{root}/{second}")
    with closing(made(s3, tmp_path / "one", f"{root}/{first}")) as lake:
        assert devices(lake) == [GONE, GONE, "veh-1", "veh-1"]
    made(s3, tmp_path / "three", f"{root}/{first}2").close()
