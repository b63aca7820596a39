"""A small lake with a history."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from report_rows import RunCommand

from fleetlake.cli.main import main
from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.table import Table
from fleetlake.contracts.tables import all_tables
from fleetlake.lake.catalog import Lake, LakeSettings, open_lake
from fleetlake.lake.commits import commit
from fleetlake.lake.write import write_files

T0 = datetime(2026, 1, 1, 8, tzinfo=UTC)
NAMES = {table.name: table for table in all_tables()}
Rows = list[dict[str, Any]]


class History:
    """Commits rows to tables and remembers the snapshots."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake

    def add(self, name: str, rows: Rows) -> str:
        """One commit; returns the snapshot's id."""
        contract: Table = NAMES[name]
        table = self.lake.table(name)
        arrow = pa.Table.from_pylist(rows, schema=table_schema(contract))
        files = write_files(table, arrow, folder=uuid.uuid4().hex)
        return str(commit(table, added=files, properties={"fleetlake.test": "yes"}).metadata.current_snapshot_id)

    def gps(self, *numbers: int) -> str:
        return self.add("bronze.gps", [bronze(number) for number in numbers])

    def trip(self, number: int, **more: Any) -> str:
        return self.add("gold.trips", [trip(number) | more])


def bronze(number: int, **more: Any) -> dict[str, Any]:
    made = {"kafka_partition": 0, "kafka_offset": number, "kafka_timestamp": T0, "ingested_at": T0}
    identity = {"event_id": f"e{number}", "device_id": "v1", "event_time": T0 + timedelta(seconds=number)}
    return made | identity | {"speed_kmh": 10.0 * number} | more


def trip(number: int) -> dict[str, Any]:
    start = T0 + timedelta(hours=number)
    places = dict.fromkeys(("start_latitude", "start_longitude", "end_latitude", "end_longitude"), 1.0)
    times = {
        "start_time": start,
        "end_time": start + timedelta(minutes=30),
        "duration_s": 1800.0,
        "moving_s": 1700.0,
        "idle_s": 100.0,
    }
    speeds = {"distance_km": 20.0 + number, "average_speed_kmh": 40.0, "top_speed_kmh": 90.0}
    return {"trip_id": f"t{number}", "device_id": f"v{number}", "is_open": False, "fixes": 600} | places | times | speeds


@pytest.fixture
def bare_lake(tmp_path: Path) -> Iterator[Lake]:
    """A lake without tables."""
    made = open_lake(
        LakeSettings(
            "test", {"type": "sql", "uri": f"sqlite:///{tmp_path}/catalog.db", "warehouse": f"file://{tmp_path}/ware house"}
        )
    )
    yield made
    made.catalog.close()


@pytest.fixture
def lake(bare_lake: Lake) -> Lake:
    bare_lake.ensure(all_tables())
    return bare_lake


@pytest.fixture
def run_command(bare_lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RunCommand:
    """The command line on the test's lake, in this process."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fleetlake", "--home", str(tmp_path), "--set", "lake.name=test", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


@pytest.fixture
def history(lake: Lake) -> History:
    return History(lake)
