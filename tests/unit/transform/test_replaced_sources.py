"""Sources whose files are replaced by files of the same rows: readers lose nothing, and see nothing new."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from test_incremental_gold import DERIVED, add, contents, drive, lake, refresh, refresh_table  # noqa: F401  # a fixture
from transform_rows import fix

from fleetlake.contracts.events import GPS, VEHICLE
from fleetlake.contracts.gold import GOLD
from fleetlake.contracts.positions import POSITIONS
from fleetlake.lake.catalog import Lake
from fleetlake.lake.replace import NewFile
from fleetlake.lake.scan import added_files
from fleetlake.lake.write import write_files
from fleetlake.maintain.replacing import replace_files


def compact(lake: Lake, names: Iterable[str]) -> None:  # noqa: F811
    """Puts one file of the same rows in the place of all of a day."""
    for name in names:
        table = lake.table(name)
        snapshot, rows = table.current_snapshot(), table.scan().to_arrow()
        if snapshot and len(rows):
            files = write_files(table, rows, folder=uuid.uuid4().hex)
            old = [file.file_path for file in added_files(table, 0)]
            new = [NewFile(file, snapshot.sequence_number or 0) for file in files]
            replace_files(lake, name, old, new, same_rows=True, wait=lambda attempt: None)


def assert_as_built_at_once(lake: Lake) -> None:  # noqa: F811
    incremental = contents(lake)
    refresh(lake, full=True)
    assert incremental == contents(lake)


def test_a_run_cut_off_before_gold_whose_file_the_next_run_replaces(lake: Lake) -> None:  # noqa: F811
    add(lake, GPS, drive(0, 100, device_id="v1"))
    refresh(lake)
    add(lake, GPS, [*drive(100, 200, device_id="v1"), *drive(0, 200, device_id="v2")])
    refresh_table(lake, POSITIONS)  # and the run dies
    add(lake, VEHICLE, [fix(150, 60.0, True, device_id="v1")])
    refresh(lake)
    assert {trip["device_id"] for trip in contents(lake)["gold.trips"]} == {"v1", "v2"}
    assert_as_built_at_once(lake)


def test_a_compaction_in_the_middle_of_a_run(lake: Lake) -> None:  # noqa: F811
    add(lake, GPS, drive(0, 100) + drive(600, 700))
    for table in DERIVED:
        refresh_table(lake, table)
        compact(lake, [read.name for read in DERIVED])
    assert_as_built_at_once(lake)


def test_a_compaction_is_nothing_new(lake: Lake) -> None:  # noqa: F811
    add(lake, GPS, drive(0, 100))
    refresh(lake)
    for _ in range(2):
        compact(lake, [*(name for name in lake.names() if name.startswith("silver.")), *(table.name for table in GOLD)])
        before = [lake.table(table.name).metadata.current_snapshot_id for table in DERIVED]
        assert {counts.devices for counts in refresh(lake)} == {0}
        assert [lake.table(table.name).metadata.current_snapshot_id for table in DERIVED] == before
    add(lake, GPS, drive(100, 200))
    refresh(lake)
    assert_as_built_at_once(lake)
