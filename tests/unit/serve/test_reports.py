"""Reports: their rows, what people are shown of them, totals, filters, and what is said where there is nothing."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from report_rows import RunCommand, at, fill, row, trip

from fleetlake.contracts.gold import DRIVING_EVENTS, EXPOSURE, FLEET_DAY, FUEL, TRIPS
from fleetlake.contracts.positions import POSITIONS
from fleetlake.contracts.table import Table
from fleetlake.foundation.errors import BadInput, Missing
from fleetlake.lake.catalog import Lake
from fleetlake.serve.reports import REPORTS, Answer, Selection, read_report, write_report
from fleetlake.serve.reports.wording import duration, fixed, moment, percent


def text_of(answer: Answer, limit: int | None = None) -> list[str]:
    out = io.StringIO()
    write_report(answer, limit=limit, out=out)
    return out.getvalue().splitlines()


# Trips


@pytest.fixture
def trips(bare_lake: Lake) -> Lake:
    fill(bare_lake, TRIPS, [
        trip("v1", 9, is_open=True, average_speed_kmh=None, top_speed_kmh=None, duration_s=3725.4, start_place="Oxford"),
        trip("v0", 8),
        trip("v0", 23.75, end_time=at(24, 15), end_place="Banbury"),
    ])  # fmt: skip
    return bare_lake


def test_trips_for_people(trips: Lake) -> None:
    assert text_of(read_report(trips, REPORTS["trips"])) == [
        "device  start (UTC)          end           duration     idle    km  km/h  top  from    to       open",
        "v0      2026-01-01 08:00:00  08:30:00       0:30:00  0:01:40  28.0    40   90",
        "v1      2026-01-01 09:00:00  09:30:00       1:02:05  0:01:40  29.0             Oxford           open",
        "v0      2026-01-01 23:45:00  00:15:00 +1d   0:30:00  0:01:40  43.8    40   90          Banbury",
        "3 trips, 1 open, 2 devices, 100.8 km, 2:02:05 under way, 0:05:00 of it idle",
    ]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(), ["v0 8", "v1 9", "v0 23.75"]),
        (Selection("v1"), ["v1 9"]),
        (Selection(start=at(9)), ["v1 9", "v0 23.75"]),
        (Selection(until=at(9)), ["v0 8"]),
        (Selection("v0", at(8), at(23, 45)), ["v0 8"]),
    ],
)
def test_rows_can_be_chosen(trips: Lake, selection: Selection, expected: list[str]) -> None:
    assert read_report(trips, REPORTS["trips"], selection).rows["trip_id"].to_pylist() == expected


def test_a_table_shows_fifty_rows_unless_told(bare_lake: Lake) -> None:
    fill(bare_lake, TRIPS, [trip("v0", hour) for hour in range(60)])
    answer = read_report(bare_lake, REPORTS["trips"])
    assert "(50 of 60 rows; --limit 0 shows all)" in text_of(answer)
    assert len(text_of(answer, limit=0)) == len(["head", "totals"]) + 60
    assert text_of(answer, limit=1)[-1] == text_of(answer)[-1], "totals are of all rows"


def test_places_are_cut_where_a_line_gets_longer_than_120(bare_lake: Lake) -> None:
    fill(
        bare_lake, TRIPS, [trip("sim7-00000", 8, start_place="Stratford-upon-Avon", end_place="Newcastle upon Tyne", is_open=True)]
    )
    lines = text_of(read_report(bare_lake, REPORTS["trips"]))
    assert max(map(len, lines)) <= 120
    assert "Stratford-upon…  Newcastle upon …" in lines[1]
    assert max(map(len, lines)) > 110, "no more than it takes"


def test_a_column_that_an_older_table_lacks_is_null(bare_lake: Lake) -> None:
    older = replace(TRIPS, columns=tuple(column for column in TRIPS.columns if not column.name.endswith("_place")))
    fill(bare_lake, older, [row(older, device_id="v0", start_time=at(8), end_time=at(9))])
    assert read_report(bare_lake, REPORTS["trips"]).rows["start_place"].to_pylist() == [None]


# Nothing to show


def test_no_rows_in_the_period(trips: Lake) -> None:
    later = Selection("v0", start=at(0, day=5), until=at(1.5, day=6))
    assert text_of(read_report(trips, REPORTS["trips"], later)) == [
        "no trips of v0 from 2026-01-06 to 2026-01-07 01:30; there are some from 2026-01-01 08:00 to 2026-01-01 23:45"
    ]


def test_a_device_that_another_table_knows_has_no_rows(trips: Lake) -> None:
    fill(trips, DRIVING_EVENTS, [])
    assert text_of(read_report(trips, REPORTS["driving"], Selection("v0"))) == ["no driving events of v0"]
    assert text_of(read_report(trips, REPORTS["driving"])) == ["no driving events"]


def test_an_unknown_device_is_told_with_those_there_are(trips: Lake) -> None:
    with pytest.raises(BadInput, match=r"there is no device v9; at --device; allowed: v0, v1"):
        read_report(trips, REPORTS["trips"], Selection("v9"))
    with pytest.raises(BadInput, match=r"there is no device nobody.*allowed: v0, v1"):
        read_report(trips, REPORTS["trips"], Selection("nobody"))


def test_of_many_devices_the_nearest_are_named(bare_lake: Lake) -> None:
    fill(bare_lake, TRIPS, [trip(f"sim7-{number:05}", 8) for number in range(30)])
    with pytest.raises(BadInput, match=r"allowed: sim7-000\d\d, .* and \d+ more"):
        read_report(bare_lake, REPORTS["trips"], Selection("sim7-0003"))


def test_an_empty_table_knows_no_device(bare_lake: Lake) -> None:
    fill(bare_lake, TRIPS, [])
    assert text_of(read_report(bare_lake, REPORTS["trips"], Selection("v9"))) == ["no trips of v9"]


@pytest.mark.parametrize("name", REPORTS)
def test_a_table_that_is_not_made_yet_is_missing(bare_lake: Lake, name: str) -> None:
    with pytest.raises(Missing, match=r"there is no table gold\..*try: fleetlake transform"):
        read_report(bare_lake, REPORTS[name])


# The other reports


def test_driving(bare_lake: Lake) -> None:
    common = {"device_id": "v0", "latitude": 52.0, "longitude": -1.0}
    fill(bare_lake, DRIVING_EVENTS, [
        row(DRIVING_EVENTS, **common, kind="overspeed", measured_by="gps", start_time=at(8, 5), duration_s=95.0,
            peak_speed_kmh=131.4, speed_limit_kmh=112.65, road="M40", place="Oxford"),
        row(DRIVING_EVENTS, **common, kind="harsh_braking", measured_by="accelerometer", start_time=at(8), duration_s=3.0,
            peak_ms2=3.456, peak_speed_kmh=50.0),
    ])  # fmt: skip
    assert text_of(read_report(bare_lake, REPORTS["driving"])) == [
        "device  start (UTC)          what                peak  limit      for  road  place   by",
        "v0      2026-01-01 08:00:00  harsh braking  3.46 m/s²         0:00:03                accelerometer",
        "v0      2026-01-01 08:05:00  overspeed       131 km/h    113  0:01:35  M40   Oxford  gps",
        "(peak: largest acceleration, or highest speed; limit: the road's, in km/h; by: what measured it)",
        "2 driving events, 1 harsh braking, 1 overspeed, 0:01:35 above the limit, 1 device",
    ]


def test_fuel(bare_lake: Lake) -> None:
    def change(kind: str, hour: float, before: float, after: float, km: float | None = None) -> dict[str, Any]:
        per_100_km = (before - after) / km * 100 if km else None
        return row(
            FUEL, device_id="v0", kind=kind, start_time=at(hour), end_time=at(hour + 1), latitude=52.0, longitude=-1.0,
            start_level_percent=before, end_level_percent=after, used_percent=before - after, distance_km=km,
            used_percent_per_100_km=per_100_km,
        )  # fmt: skip

    fill(bare_lake, FUEL, [
        change("consumption", 8, 60, 40, 100.0), change("refuel", 9, 40, 90), change("consumption", 10, 90, 50, 100.0),
        change("theft", 11, 50, 30), change("consumption", 12, 30, 25),
    ])  # fmt: skip
    lines = text_of(read_report(bare_lake, REPORTS["fuel"]))
    assert lines[1] == "v0      consumption  2026-01-01 08:00:00  09:00:00    60.0  40.0    20.0  100.0          20.0"
    assert lines[2] == "v0      refuel       2026-01-01 09:00:00  10:00:00    40.0  90.0   -50.0"
    assert lines[-1] == (
        "65.0 % of a tank used, 200.0 km, 30.0 % per 100 km, 1 refuel, 50.0 % filled in, 1 theft, 20.0 % stolen, 1 device"
    )


def test_exposure_is_a_share_of_the_devices_chosen(bare_lake: Lake) -> None:
    def part(device: str, dimension: str, category: str, km: float, day: int = 0) -> dict[str, Any]:
        return row(EXPOSURE, device_id=device, start_time=at(0, day=day), dimension=dimension, category=category, distance_km=km,
                   duration_min=km / 2)  # fmt: skip

    fill(bare_lake, EXPOSURE, [
        part("v0", "light", "day", 30), part("v0", "light", "night", 10), part("v0", "weather", "Rain", 40),
        part("v1", "light", "day", 60), part("v1", "weather", "Sunny", 60, day=1),
    ])  # fmt: skip
    answer = read_report(bare_lake, REPORTS["exposure"])
    assert answer.rows.num_rows == 5
    assert text_of(answer) == [
        "exposed to  category    km  of km     time  of time  devices",
        "weather     Sunny     60.0  60.0%  0:30:00    60.0%        1",
        "weather     Rain      40.0  40.0%  0:20:00    40.0%        1",
        "light       day       90.0  90.0%  0:45:00    90.0%        2",
        "light       night     10.0  10.0%  0:05:00    10.0%        1",
        "(each of weather, incident, light and road class divides the whole distance)",
        "100.0 km, 0:50:00 driven, 2 days, 2 devices",
    ]
    assert text_of(read_report(bare_lake, REPORTS["exposure"], Selection("v0")))[1:4] == [
        "weather     Rain      40.0  100.0%  0:20:00   100.0%        1",
        "light       day       30.0   75.0%  0:15:00    75.0%        1",
        "light       night     10.0   25.0%  0:05:00    25.0%        1",
    ]


def test_fleet(bare_lake: Lake) -> None:
    fill(bare_lake, FLEET_DAY, [
        row(FLEET_DAY, device_id=device, start_time=at(0), first_time=at(8), last_time=at(17, 30), positions=900,
            distance_km=200.25, moving_min=125.5, idle_min=10.0, top_speed_kmh=118.6, trips=2, stops=1, driving_events=3,
            overspeed_min=1.25, fuel_used_percent=33.3, refuels=1, score=score)
        for device, score in (("sim7-00000", 87.25), ("sim7-00001", None))
    ])  # fmt: skip
    lines = text_of(read_report(bare_lake, REPORTS["fleet"]))
    assert lines[1].split() == [
        "sim7-00000", "2026-01-01", "08:00", "17:30", "200.2", "2:05:30", "0:10:00", "119", "2", "1", "3", "0:01:15", "33.3", "1",
        "87.2",
    ]  # fmt: skip
    assert lines[2].endswith("1")
    assert " ".join(lines[-2:]) == (
        "1 day, 2 devices, 400.5 km, 4:11:00 moving, 0:20:00 idle, 4 trips, 2 stops, 6 driving events, 2 refuels, 119 km/h at most"
    )
    assert max(map(len, lines)) <= 120


# The command line


def test_json_and_csv_have_every_column(trips: Lake, run_command: RunCommand) -> None:
    code, out, _ = run_command("report", "trips", "--json", "--device", "v1")
    (found,) = json.loads(out)
    assert code == 0
    assert list(found) == [column.name for column in TRIPS.columns]
    assert (found["trip_id"], found["start_time"], found["is_open"]) == ("v1 9", "2026-01-01T09:00:00Z", True)
    _, out, _ = run_command("report", "trips", "--csv", "--limit", "2")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [found["trip_id"] for found in rows] == ["v0 8", "v1 9"]


def test_the_command_says_what_is_wrong_and_exits_with_2(trips: Lake, run_command: RunCommand, tmp_path: Path) -> None:
    for arguments, words in (
        (["report", "trips", "--device", "v9"], "there is no device v9"),
        (["report", "fuel"], "there is no table gold.fuel"),
        (["report", "trips", "--from", "yesterday"], "'yesterday' is not a time; at --from"),
        (["report", "trips", "--html", str(tmp_path / "a.html"), "--csv"], "--html and --json or --csv together"),
        (["report", "trips", "--html", str(tmp_path / "absent" / "a.html")], f"there is no folder {tmp_path / 'absent'}"),
        (["report", "trips", "--html", str(tmp_path)], "can't write: Is a directory"),
        (["quality"], "there is no table silver.positions"),
    ):
        code, out, err = run_command(*arguments)
        assert (code, out) == (2, ""), arguments
        assert words in err


def test_nothing_in_the_period_is_no_failure(trips: Lake, run_command: RunCommand) -> None:
    late = ["--from", "2027-01-01"]
    said = "no trips from 2027-01-01; there are some from 2026-01-01 08:00 to 2026-01-01 23:45\n"
    assert run_command("report", "trips", *late) == (0, said, "")
    assert run_command("report", "trips", *late, "--json") == (0, "[]\n", "")
    assert run_command("report", "trips", *late, "--csv")[1].startswith("trip_id,device_id,")


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (duration(3725.4), "1:02:05"), (duration(36_000 * 10), "100:00:00"), (duration(None), ""), (fixed(-0.04, 1), "0.0"),
        (fixed(12345.678, 1), "12,345.7"), (percent(0.9996), "99.9%"), (percent(1.0), "100.0%"), (percent(0.0), "0.0%"),
        (percent(0.0001), "<0.1%"), (moment(at(0)), "2026-01-01"), (moment(at(8)), "2026-01-01 08:00"),
        (moment(at(8) + timedelta(seconds=5)), "2026-01-01 08:00:05"),
    ],
)  # fmt: skip
def test_wording(made: str, expected: str) -> None:
    assert made == expected


def test_every_report_is_about_a_table_of_the_lake() -> None:
    tables: tuple[Table, ...] = (*(report.tables[0] for report in REPORTS.values()), POSITIONS)
    for table in tables:
        assert {"device_id", table.partition_by} <= {column.name for column in table.columns}
