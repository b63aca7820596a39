"""Sources whose files are replaced by files of the same rows: readers lose nothing, and see nothing new."""

from __future__ import annotations

from test_incremental_gold import DERIVED, add, contents, drive, lake, refresh, refresh_table  # noqa: F401  # a fixture
from transform_rows import fix

from fleetlake.contracts.events import GPS, VEHICLE
from fleetlake.contracts.positions import POSITIONS
from fleetlake.lake.catalog import Lake


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
