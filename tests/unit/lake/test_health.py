"""What doctor says of a lake, after opening its files: well, moved, a copy, damaged; and nothing is changed by asking."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from fleetlake.config.settings import Settings
from fleetlake.config.wiring import open_lake_from, open_unchecked_lake
from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.events import VEHICLE
from fleetlake.contracts.tables import bronze_of
from fleetlake.foundation.errors import Permanent
from fleetlake.lake.commits import commit
from fleetlake.lake.health import examine_lake
from fleetlake.lake.places import local_path
from fleetlake.lake.scan import Damaged
from fleetlake.lake.write import write_files
from fleetlake.workflows import diagnose as diagnosis

TABLE = bronze_of(VEHICLE)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "home"
    with closing(open_lake_from(Settings(home=made))) as lake:
        lake.ensure([TABLE])
        rows = pa.Table.from_pylist([{"kafka_partition": 0, "kafka_offset": 0}], schema=table_schema(TABLE))
        commit(lake.table(TABLE.name), added=write_files(lake.table(TABLE.name), rows, folder="1"), properties={})
    return made


def said(home: Path) -> tuple[str, str]:
    """State and text of the finding about the lake, by the doctor, whom asking changes nothing."""
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    finding = next(finding for finding in diagnosis._lake(Settings(home=home)) if finding.what == "lake")
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before
    return finding.state, finding.seen


def test_the_doctor_tells_a_moved_and_a_copied_lake_from_one_that_is_well(home: Path, tmp_path: Path) -> None:
    assert said(home)[0] == "ok"
    shutil.copytree(home, tmp_path / "copy")
    assert said(tmp_path / "copy") == ("broken", f"this lake is a copy of the one in {home}/warehouse")
    home.rename(tmp_path / "moved")
    assert said(tmp_path / "moved") == ("broken", f"moved here from {home}/warehouse; not used since")


@pytest.mark.parametrize(
    ("kind", "which"),
    [
        ("metadata", lambda table: table.metadata_location),
        ("metadata", lambda table: table.current_snapshot().manifest_list),
        ("metadata", lambda table: table.current_snapshot().manifests(table.io)[0].manifest_path),
        ("data", lambda table: next(iter(table.scan().plan_files())).file.file_path),
    ],
)
def test_a_file_that_is_gone_is_named(home: Path, kind: str, which: Callable[..., str]) -> None:
    with closing(open_unchecked_lake(Settings(home=home))) as lake:
        path = Path(str(local_path(which(lake.table(TABLE.name)))))
        path.unlink()
        with pytest.raises(Damaged, match=rf"{kind} file .*{path.name} of table {TABLE.name} is missing or damaged"):
            examine_lake(lake)


def test_a_table_whose_metadata_is_gone_is_no_catalog_that_does_not_answer(home: Path) -> None:
    with closing(open_unchecked_lake(Settings(home=home))) as lake:
        Path(str(local_path(lake.table(TABLE.name).metadata_location))).unlink()
        with pytest.raises(
            Permanent, match=r"the metadata of table bronze.vehicle is not where the catalog says: .*fleetlake doctor"
        ):
            lake.table(TABLE.name)
