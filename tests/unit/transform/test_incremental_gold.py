"""Whatever order and portions silver's rows come in, gold is what one build of all of them gives."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from transform_rows import Rows, fix

from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.events import EMERGENCY, GPS, TRAFFIC, VEHICLE, WEATHER, Event
from fleetlake.contracts.gold import GOLD
from fleetlake.contracts.positions import POSITIONS
from fleetlake.contracts.table import Table
from fleetlake.contracts.tables import silver_of
from fleetlake.lake.catalog import Lake, LakeSettings, open_lake
from fleetlake.lake.commits import Conflict, commit
from fleetlake.lake.write import write_files
from fleetlake.transform import native, windows
from fleetlake.transform.derived import DerivedCounts, refresh_derived
from fleetlake.transform.native import native_engine
from fleetlake.transform.references import read_references
from fleetlake.transform.settings import Thresholds, TransformSettings

FENCES = read_references(geofences=Path(__file__).with_name("fences.geojson"))  # over the random rows' way
SETTINGS = TransformSettings(references=FENCES, threads=1)
SEEDS = range(int(os.environ.get("FLEETLAKE_TEST_SEEDS", "1")))
SILVER = tuple(silver_of(event) for event in (GPS, VEHICLE, WEATHER, EMERGENCY, TRAFFIC))
DERIVED = (POSITIONS, *GOLD)


def new_lake(folder: str | Path) -> Lake:
    made = open_lake(
        LakeSettings("test", {"type": "sql", "uri": f"sqlite:///{folder}/catalog.db", "warehouse": f"file://{folder}"})
    )
    made.ensure((*SILVER, *DERIVED))
    return made


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    made = new_lake(tmp_path)
    yield made
    made.catalog.close()


def add(lake: Lake, event: Event, rows: Rows) -> None:
    """Commits rows to a silver table."""
    contract = silver_of(event)
    common = {"kafka_partition": 0, "kafka_offset": 0, "is_late": False, "late_by_s": 0.0}
    complete = [common | {"ingested_at": row["event_time"]} | row for row in rows]
    table = lake.table(contract.name)
    arrow = pa.Table.from_pylist(complete, schema=table_schema(contract))
    commit(table, added=write_files(table, arrow, folder=uuid.uuid4().hex), properties={})


def refresh(lake: Lake, *, full: bool = False) -> list[DerivedCounts]:
    """Silver.positions and gold; the counts of gold."""
    return [refresh_table(lake, table, full=full) for table in DERIVED][1:]


def refresh_table(lake: Lake, table: Table, *, full: bool = False, settings: TransformSettings = SETTINGS) -> DerivedCounts:
    return refresh_derived(lake, table, settings, partial(native_engine, settings), full=full)


def contents(lake: Lake) -> dict[str, Rows]:
    return {
        table.name: sorted(
            lake.table(table.name).scan().to_arrow().to_pylist(),
            key=lambda row: (row[table.sort[0]], row[table.sort[1]], row[table.columns[0].name]),
        )
        for table in DERIVED
    }


STEPS_S = (0, 3, 3, 60, 150, 299, 301, 700, 4000, 40_000)
METRES = (0.0, 0.01, 0.02, 30, 60, 90_000)
SPEEDS_KMH = (0.0, 0.0, 5.0, 60.0, 120.0, None)
Portion = dict[Event, Rows]


def random_rows(random: Random) -> Portion:
    """GPS rows of two devices over up to a few days; for those fixes that know their ignition, vehicle rows too; some weather,
    incidents and pictures of cameras."""
    made: Portion = {event: [] for event in (GPS, VEHICLE, WEATHER, EMERGENCY, TRAFFIC)}
    for device_id in ("v1", "v2"):
        elapsed, metres = 0, 0.0
        for number in range(random.randrange(40)):
            elapsed, metres = elapsed + random.choice(STEPS_S), metres + random.choice(METRES)
            ignition = random.choice((True, False, None))
            place = {"latitude": 51.68231 + metres / 111_000, "longitude": -0.970955}  # north from the M40
            event_id = f"{device_id}/{number:03}"
            row = fix(elapsed, random.choice(SPEEDS_KMH), ignition, device_id=device_id, event_id=event_id, **place)
            if random.random() < 0.9:
                made[GPS].append(row | {"accuracy_m": random.choice((5.0, 5.0, 5.0, 500.0))})
            if ignition is not None:
                fuel = {"fuel_level_percent": random.choice((20.0, 50.0, 49.0, 90.0)), "odometer_km": metres / 1000}
                peaks = {"max_braking_ms2": random.choice((0.0, 1.0, 3.0)), "max_cornering_ms2": random.choice((0.0, 3.5))}
                made[VEHICLE].append(row | fuel | peaks)
            more = {"camera_id": f"c{number % 2}", "vehicle_count": number, "average_speed_kmh": 50.0}
            incident = {"incident_type": "Fire", "incident_id": "f", "status": random.choice(("Active", "Resolved"))}
            for event in (WEATHER, EMERGENCY, TRAFFIC):
                if random.random() < 0.3:
                    made[event].append(row | more | incident | {"weather_condition": random.choice(("Rain", "Sunny"))})
    return made


def divide(rows: Rows, mode: str, random: Random) -> list[Rows]:
    """Three portions: in order, in any order, or all but one row and then that, which leaves the narrowest stretch to compute."""
    portions: list[Rows] = [[], [], []]
    late = random.randrange(len(rows)) if rows else 0
    for number, row in enumerate(rows):
        portion = {"in order": number * 3 // len(rows), "any order": random.randrange(3), "one late": int(number == late)}[mode]
        portions[portion].append(row)
    return portions


@pytest.mark.parametrize("mode", ["in order", "any order", "one late"])
@pytest.mark.parametrize("reach", [timedelta(minutes=25), timedelta(days=1)])
@pytest.mark.parametrize("seed", SEEDS)
def test_any_order_and_portions_give_the_same_gold(lake: Lake, seed: int, reach: timedelta, mode: str) -> None:
    random = Random(f"{seed} {mode} {reach}")
    divided = {event: divide(rows, mode, random) for event, rows in random_rows(random).items()}
    assert_same_as_full(lake, [{event: rows[number] for event, rows in divided.items()} for number in range(3)], reach)


def assert_same_as_full(lake: Lake, portions: list[Portion], reach: timedelta) -> None:
    """Refreshes gold after each portion of silver's rows, and compares with a gold that is built at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "FIRST_REACH", reach)  # if short, the search for seams has to widen
        for portion in portions:
            for event, rows in portion.items():
                if rows:
                    add(lake, event, rows)
            refresh(lake)
    incremental = contents(lake)
    for table in DERIVED:
        lake.catalog.drop_table(table.name)
    lake.ensure(DERIVED)
    refresh(lake)
    for name, rows in contents(lake).items():
        assert incremental[name] == rows, name


SETTING_OUT = [fix(1470, 0.0, True), fix(1485, 0.0, True), *(fix(at, 60.0, True) for at in (1520, 1600, 1700))]
WAITING = [*(fix(at, 60.0) for at in (-1400, -200, 50, 200, 400, 640, 880)), *(fix(at, 0.0) for at in (1050, 1200, 1350, 1460))]


@pytest.mark.parametrize("reach", [timedelta(seconds=1500), timedelta(days=1)])
@pytest.mark.parametrize(
    ("old", "late"),
    [
        pytest.param([*WAITING, *SETTING_OUT], fix(0, 60.0), id="a start just after the first calm, late row before"),
        pytest.param([*WAITING, *SETTING_OUT], fix(1610, 60.0, True), id="a start just before, late row after"),
        pytest.param([*WAITING, *SETTING_OUT], fix(1000, 60.0), id="late row in the calm"),
        pytest.param([fix(0, 60.0), fix(100, 60.0), fix(150, 0.0)], fix(200, 0.0, False), id="an end that is seen late"),
        pytest.param([fix(at, 0.0) for at in range(0, 400, 10)], fix(205, 9.0), id="a motion that divides a stop"),
        pytest.param(
            [fix(-10, 9.0), *(fix(at, 0.0) for at in range(0, 200, 10)), fix(200, 0.0, event_id="a"), fix(200, 9.0, event_id="b")],
            fix(55, 0.0),
            id="a stop that ends in the instant it moves on",
        ),
        pytest.param(
            [fix(0, 9.0), *(fix(at, 0.0, latitude=52 + at / 1e6) for at in range(10, 1500, 10)), fix(1500, 9.0)],
            fix(15, 0.0, latitude=52.0003),
            id="a run at rest of many places, another place early on",
        ),
    ],
)
def test_one_late_row_in_a_tight_spot(lake: Lake, old: Rows, late: dict[str, Any], reach: timedelta) -> None:
    known, known_late = ([row for row in rows if row["ignition"] is not None] for rows in (old, [late]))
    assert_same_as_full(lake, [{GPS: old, VEHICLE: known}, {GPS: [late], VEHICLE: known_late}], reach)


def test_ids_that_two_topics_share_take_out_no_row_of_each_other(lake: Lake) -> None:
    """A device has one message id a tick, for its fix and for what its engine says a quarter of a second later."""

    def ticks(first: int, after: int, later_s: float) -> Rows:
        return [
            fix(60 * at + later_s, 60.0, True, event_id=f"tick{at}", latitude=52 + at / 1000, fuel_level_percent=50.0)
            for at in range(first, after)
        ]

    rain = fix(180.1, None, event_id="w", weather_condition="Rain")  # between the two of a tick
    portions: list[Portion] = [
        {GPS: ticks(0, 8, 0), VEHICLE: ticks(0, 8, 0.25)},
        {GPS: ticks(8, 10, 0), VEHICLE: ticks(8, 10, 0.25), WEATHER: [rain]},
    ]
    assert_same_as_full(lake, portions, timedelta(days=1))
    assert len(contents(lake)[POSITIONS.name]) == 20


def test_nothing_new_makes_no_commit(lake: Lake) -> None:
    refresh(lake)
    assert not any(lake.table(table.name).current_snapshot() for table in DERIVED)
    add(lake, GPS, drive(0, 100))
    refresh(lake)
    before = [lake.table(table.name).current_snapshot() for table in DERIVED]
    refresh(lake)
    assert [lake.table(table.name).current_snapshot() for table in DERIVED] == before


def drive(start_s: int, end_s: int, **more: Any) -> Rows:
    return [fix(at, 60.0, **more) for at in range(start_s, end_s, 10)]


def test_news_that_change_nothing(lake: Lake) -> None:
    """Weather of a vehicle without positions: silver.positions has been computed from it, and stays; so does all of gold."""
    add(lake, GPS, drive(0, 100))
    refresh(lake)
    before = contents(lake)
    add(lake, WEATHER, [fix(0, None, device_id="elsewhere") | {"weather_condition": "Rain"}])
    assert [(counts.added, counts.removed) for counts in refresh(lake)] == [(0, 0)] * len(GOLD)
    assert contents(lake) == before
    add(lake, GPS, [fix(110, 60.0)])
    assert refresh(lake)[0].added == 1
    snapshots = [lake.table(table.name).current_snapshot() for table in DERIVED]
    refresh(lake)
    assert [lake.table(table.name).current_snapshot() for table in DERIVED] == snapshots


def test_late_rows_make_a_stop(lake: Lake) -> None:
    add(lake, GPS, [fix(at, 0.0) for at in range(0, 131, 10)] + [fix(400, 50.0)])
    refresh(lake)
    assert contents(lake)["gold.stops"] == []
    add(lake, GPS, [fix(160, 0.0)])
    refresh(lake)
    (stop,) = contents(lake)["gold.stops"]
    assert (stop["duration_s"], stop["is_open"]) == (160.0, False)


def test_a_late_row_joins_two_trips(lake: Lake) -> None:
    add(lake, GPS, drive(0, 100) + drive(600, 700))
    refresh(lake)
    assert len(contents(lake)["gold.trips"]) == 2
    add(lake, GPS, [fix(350, 60.0)])
    counts = refresh(lake)[0]
    (trip,) = contents(lake)["gold.trips"]
    assert trip["duration_s"] == 690.0
    assert (counts.added, counts.removed) == (1, 2)


def test_a_later_fix_closes_a_trip_of_long_ago(lake: Lake) -> None:
    add(lake, GPS, drive(0, 100))
    refresh(lake)
    assert [trip["is_open"] for trip in contents(lake)["gold.trips"]] == [True]
    add(lake, GPS, [fix(30 * 86_400, 0.0)])
    refresh(lake)
    assert [trip["is_open"] for trip in contents(lake)["gold.trips"]] == [False]


def test_an_ignition_that_comes_late_moves_the_start(lake: Lake) -> None:
    add(lake, GPS, [fix(0, 0.0), *drive(10, 100)])
    refresh(lake)
    add(lake, VEHICLE, [fix(0, 0.0, True)])
    refresh(lake)
    assert [trip["duration_s"] for trip in contents(lake)["gold.trips"]] == [90.0]


def test_only_files_with_changed_rows_are_written_anew(lake: Lake) -> None:
    add(lake, GPS, drive(0, 100) + drive(3 * 86_400, 3 * 86_400 + 100))
    refresh(lake)
    before = {task.file.file_path for task in lake.table("gold.trips").scan().plan_files()}
    add(lake, GPS, [fix(3 * 86_400 + 120, 60.0)])
    refresh(lake)
    after = {task.file.file_path for task in lake.table("gold.trips").scan().plan_files()}
    assert len(before) == len(after) == 2
    assert len(before & after) == 1


def test_other_devices_are_not_computed(lake: Lake) -> None:
    add(lake, GPS, [row for number in range(5) for row in drive(0, 100, device_id=f"v{number}")])
    assert refresh(lake)[0].devices == 5
    add(lake, GPS, [fix(110, 60.0, device_id="v3")])
    assert (refresh(lake)[0].devices, refresh(lake)[0].devices) == (1, 0)


def test_other_thresholds_compute_all_anew(lake: Lake) -> None:
    add(lake, GPS, drive(0, 100) + drive(600, 700))
    refresh(lake)
    wider = TransformSettings(Thresholds(trip_end_s=600.0), FENCES, threads=1)
    counts = refresh_table(lake, GOLD[0], settings=wider)
    assert (counts.rebuilt, counts.added, counts.removed) == (True, 1, 2)
    assert refresh_table(lake, GOLD[0], settings=wider) == DerivedCounts("gold.trips")


def test_a_full_build_repairs_what_was_lost(lake: Lake) -> None:
    add(lake, GPS, drive(0, 100) + drive(600, 700))
    refresh(lake)
    expected = contents(lake)
    trips = lake.table("gold.trips")
    commit(trips, removed=[task.file for task in trips.scan().plan_files()], properties={})
    assert contents(lake)["gold.trips"] == []
    refresh(lake, full=True)
    assert contents(lake) == expected


def test_a_full_build_repairs_a_file_that_is_gone(lake: Lake) -> None:
    add(lake, GPS, drive(0, 100))
    refresh(lake)
    expected = contents(lake)
    for name in ("silver.positions", "gold.trips"):
        (task,) = lake.table(name).scan().plan_files()
        Path(task.file.file_path.removeprefix("file://")).unlink()
    refresh(lake, full=True)
    assert contents(lake) == expected


def test_a_conflict_leaves_neither_rows_nor_files(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(lake, GPS, drive(0, 100))
    refresh_table(lake, POSITIONS)
    written = native.write_files

    def overtaken(*arguments: Any, **more: Any) -> Any:
        commit(lake.table("gold.trips"), properties={"other": "writer"})
        return written(*arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(native, "write_files", overtaken)
        with pytest.raises(Conflict):
            refresh_table(lake, GOLD[0])
    assert list((tmp_path / "gold").rglob("*.parquet")) == []
    refresh(lake)
    assert len(contents(lake)["gold.trips"]) == 1


Episodes = Callable[[str, Rows], Rows]


@pytest.mark.parametrize("kind", ["trips", "stops"])
def test_the_table_is_the_model_of_all_fixes(lake: Lake, episodes: Episodes, kind: str) -> None:
    fixes = [*drive(0, 100), *(fix(at, 0.0) for at in range(100, 500, 10)), *drive(500, 600)]
    for row in reversed(fixes):
        add(lake, GPS, [row])
    refresh(lake)
    assert contents(lake)[f"gold.{kind}"] == episodes(kind, fixes)
