"""CSV recordings: what becomes of each column, and of each row."""

import gzip
import uuid
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from replay_sink import KeptSink, replayed

from fleetlake.simulate.replay import replay_files

BUSES = Path(__file__).parents[4].parent / "shared" / "data" / "liverpool_bus_route14.csv"

NO_SPEED = """\
vehicle_id,timestamp,lat,lon
b,2026-01-01 10:00:05,51.0,0.0
a,2026-01-01 10:00:00,52.0,-1.0
a,2026-01-01 10:00:10,52.001,-1.0
b,2026-01-01 10:00:15,51.0,0.002
a,2026-01-01 10:00:20,52.001,-1.0
"""
ONE_HERTZ = """\
time;latitude;longitude;velocity;alt_ft;temp;sky;heading
2026-01-01T10:00:00Z;52.0;-1.0;30;328.084;50;Rain;350
2026-01-01T10:00:01Z;52.0001;-1.0;31.5;328.084;;;10
2026-01-01T10:00:02Z;52.0002;-1.0;;328.084;59;Sunny;
"""


def saved(folder: Path, text: str, name: str = "drive.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_speed_and_heading_are_derived_where_absent_and_marked(tmp_path: Path) -> None:
    sink, report = replayed(saved(tmp_path, NO_SPEED))
    assert set(sink.reasons()) == {None}
    assert [key for _, key, _ in sink.records] == [b"a", b"b", b"a", b"b", b"a"]
    assert sink.column("timestamp")[:2] == ["2026-01-01T10:00:00.000Z", "2026-01-01T10:00:05.000Z"]
    a = [document for document in sink.documents() if document["deviceId"] == "a"]
    assert [document["speed"] for document in a] == [40.03, 40.03, 0.0]
    assert [document.get("heading") for document in a] == [0.0, 0.0, None]
    assert [document.get("direction") for document in a] == ["North", "North", None]
    assert [document["derived"] for document in a] == ["speed,heading", "speed,heading", "speed"]
    assert (report.rows, report.devices, dict(report.derived)) == (5, 2, {"speed": 5, "heading": 4})
    assert (report.first, report.last) == (datetime(2026, 1, 1, 10, tzinfo=UTC), datetime(2026, 1, 1, 10, 0, 20, tzinfo=UTC))
    assert report.problems == ()


def test_absent_columns_stay_absent(tmp_path: Path) -> None:
    sink, _ = replayed(saved(tmp_path, NO_SPEED))
    known = {"id", "deviceId", "timestamp", "location", "speed", "heading", "direction", "derived"}
    assert {name for document in sink.documents() for name in document} == known


def test_a_mapping_with_units_and_weather(tmp_path: Path) -> None:
    units = {"speed": "velocity:mph", "altitude": "alt_ft:ft", "temperature": "temp:degF", "weatherCondition": "sky"}
    sink, report = replayed(saved(tmp_path, ONE_HERTZ, "car-7.csv"), **units)
    assert set(sink.reasons()) == {None}
    assert dict(report.sent) == {"gps_data": 3, "weather_data": 2}
    assert sink.column("speed") == [48.28032, 50.694336, 40.03]
    assert sink.column("derived") == [None, None, "speed,heading"]
    assert sink.column("altitude") == [100.000003] * 3
    assert sink.column("direction") == ["North", "North", "North"]
    assert sink.column("temperature", "weather_data") == [10.0, 15.0]
    assert sink.column("weatherCondition", "weather_data") == ["Rain", "Sunny"]
    assert sink.column("location", "weather_data") == [[52.0, -1.0], [52.0002, -1.0]]
    assert {key for _, key, _ in sink.records} == {b"car-7"}


def test_a_qualified_name_is_for_one_event(tmp_path: Path) -> None:
    text = "device_id,time,lat,lon,gps_v,can_v,km\nx,2026-01-01T00:00:00Z,1,2,10,20,5.5\n"
    sink, report = replayed(saved(tmp_path, text), speed="gps_v", vehicle_data__speed="can_v", odometer="km")
    assert dict(report.sent) == {"vehicle_data": 1, "gps_data": 1}
    assert (sink.column("speed"), sink.column("speed", "vehicle_data")) == ([10], [20])
    assert sink.column("odometer", "vehicle_data") == [5.5]
    assert sink.reasons() == [None, None]


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("2026-07-01 12:00:00", "11:00:00.000"),
        ("2026/07/01 13:00:04", "12:00:04.000"),
        ("2026-07-01T12:00:00.5678+00:00", "12:00:00.567"),
        ("2026-07-01T12:00:00Z", "12:00:00.000"),
        ("1782907202", "12:00:02.000"),
        ("1782907202.25", "12:00:02.250"),
        ("1782907203250", "12:00:03.250"),
        ("1782907203250999", "12:00:03.250"),
    ],
)
def test_times_without_a_zone_are_in_the_one_given(tmp_path: Path, text: str, milliseconds: str) -> None:
    sink = KeptSink()
    replay_files([saved(tmp_path, f"time,lat,lon\n{text},1,2\n")], {}, sink, timezone=ZoneInfo("Europe/London"))
    assert sink.column("timestamp") == [f"2026-07-01T{milliseconds}Z"]


def test_rows_that_are_no_good_events_are_sent_all_the_same(tmp_path: Path) -> None:
    text = (
        "device_id,timestamp,latitude,longitude,speed\n"
        "a,2026-01-01T00:00:00Z,52,-1,50\n"
        "a,yesterday,52,-1,50\n"
        "a,,52,-1,50\n"
        "a,2026-01-01T00:00:03Z,152,-1,50\n"
        'a,2026-01-01T00:00:04Z,"north ""pole""",-1,50\n'
        "a,2026-01-01T00:00:05Z,52,,50\n"
        ",2026-01-01T00:00:06Z,52,-1,50\n"
        "a,2026-01-01T00:00:07Z,52,-1,fast\n"
        "a,2026-01-01T00:00:08Z,52,-1,-5\n"
        "\n"
        "a,2026-01-01T00:00:09Z,52\n"
        "a,2026-01-01T00:00:10Z,,,50\n"
    )
    path = saved(tmp_path, text)
    sink, report = replayed(path)
    assert sink.reasons() == [
        None,
        "bad_timestamp: timestamp: yesterday",
        "missing_field: timestamp: absent",
        "out_of_range: location: 152, allowed -90 to 90",
        "wrong_type: location: string, expected [latitude, longitude]",
        "wrong_type: location: null, expected [latitude, longitude]",
        "missing_field: deviceId: absent",
        "wrong_type: speed: string, expected number",
        "out_of_range: speed: -5, allowed 0 to 300",
        "missing_field: deviceId: absent",
        None,
    ]
    assert sink.documents()[4]["location"] == ['north "pole"', -1]
    assert sink.documents()[9]["row"] == "a,2026-01-01T00:00:09Z,52"
    assert len(set(sink.column("id"))) == report.rows == 11
    assert {problem.what: (problem.rows, problem.first) for problem in report.problems} == {
        "timestamp is not a timestamp": (1, (f"{path}:3",)),
        "timestamp is empty": (1, (f"{path}:4",)),
        "latitude is outside -90 to 90 deg": (1, (f"{path}:5",)),
        "latitude is not a double": (1, (f"{path}:6",)),
        "latitude is empty": (1, (f"{path}:13",)),
        "longitude is empty": (2, (f"{path}:7", f"{path}:13")),
        "deviceId is empty": (1, (f"{path}:8",)),
        "speed is not a double": (1, (f"{path}:9",)),
        "speed is outside 0 to 300 km/h": (1, (f"{path}:10",)),
        "more or fewer cells than the header": (1, (f"{path}:12",)),
    }


def test_a_value_that_is_not_a_choice_is_sent_and_reported(tmp_path: Path) -> None:
    sink, report = replayed(saved(tmp_path, ONE_HERTZ.replace("Sunny", "Hail")), weatherCondition="sky")
    assert sink.reasons() == [None, None, None, None, "not_allowed: weatherCondition: Hail"]
    assert [problem.what for problem in report.problems] == ["weatherCondition is none of Sunny, Cloudy, Rain, Snow, Fog"]


def test_texts_come_through_as_they_are(tmp_path: Path) -> None:
    text = 'vehicle,time,lat,lon,what,kind,state\n"Zoë ""7""",2026-01-01T00:00:00Z,1,2,"a, b\nc\\",None,Active\n'
    sink, report = replayed(saved(tmp_path, text), description="what", type="kind", status="state")
    assert sink.reasons() == [None, None]
    assert sink.column("deviceId") == ['Zoë "7"']
    assert (sink.column("description", "emergency_data"), sink.column("type", "emergency_data")) == (["a, b\nc\\"], ["None"])
    assert report.sent["emergency_data"] == 1


@pytest.mark.parametrize("name", ['""', '"two\nlines"', '"a,b"', "été"])
def test_headers_nobody_expects(tmp_path: Path, name: str) -> None:
    sink, _ = replayed(saved(tmp_path, f"{name},time,lat,lon\n0,1700000000,1,2\n"))
    assert sink.column("location") == [[1, 2]]


@pytest.mark.parametrize("change", ["bom", "gz", "crlf"])
def test_other_ways_to_write_the_same_file(tmp_path: Path, change: str) -> None:
    plain, _ = replayed(saved(tmp_path, NO_SPEED))
    path = tmp_path / ("drive.csv.gz" if change == "gz" else "other.csv")
    content = {
        "bom": b"\xef\xbb\xbf" + NO_SPEED.encode(),
        "gz": gzip.compress(NO_SPEED.encode()),
        "crlf": NO_SPEED.replace("\n", "\r\n").encode(),
    }
    path.write_bytes(content[change])
    assert replayed(path)[0].records == plain.records


def test_the_same_rows_have_the_same_ids_however_they_are_replayed(tmp_path: Path) -> None:
    header, *lines = NO_SPEED.splitlines(keepends=True)
    whole, parts = saved(tmp_path, NO_SPEED), [saved(tmp_path, header + line, f"{i}.csv") for i, line in enumerate(lines)]
    ids = replayed(whole)[0].column("id")
    assert replayed(whole)[0].column("id") == ids
    assert replayed(*parts)[0].column("id") == ids
    assert {replayed(part)[0].column("id")[0] for part in parts} == set(ids)
    assert [uuid.UUID(text).version for text in ids] == [8] * 5
    times = [datetime.fromtimestamp((uuid.UUID(text).int >> 80) / 1000, UTC).isoformat() for text in ids]
    assert times[:2] == ["2026-01-01T10:00:00+00:00", "2026-01-01T10:00:05+00:00"]


def test_equal_rows_of_a_file_are_events_of_their_own(tmp_path: Path) -> None:
    last = NO_SPEED.splitlines(keepends=True)[-1]
    twice = saved(tmp_path, NO_SPEED + last + last)
    ids = replayed(twice)[0].column("id")
    assert len(set(ids)) == 7
    assert replayed(twice)[0].column("id") == ids
    assert set(replayed(saved(tmp_path, NO_SPEED, "once.csv"))[0].column("id")) < set(ids)


def test_an_empty_recording_sends_nothing(tmp_path: Path) -> None:
    sink, report = replayed(saved(tmp_path, "device_id,time,lat,lon\n"))
    assert (sink.records, report.rows, report.first, report.devices) == ([], 0, None, 0)


@pytest.mark.parametrize("path", [BUSES] if BUSES.is_file() else [])
def test_the_recorded_buses(path: Path) -> None:
    sink, report = replayed(path)
    assert set(sink.reasons()) == {None}
    assert (report.rows, report.devices, dict(report.sent)) == (1533, 8, {"gps_data": 1533})
    assert len(set(sink.column("id"))) == 1533
    assert max(speed for speed in sink.column("speed") if speed is not None) < 120
    assert report.problems == ()
    assert replayed(path)[0].records == sink.records


def rows_with_quotes(quoted: dict[int, str], header: str = "device_id,timestamp,lat,lon,note") -> str:
    """Twelve rows, of which some are given as they are."""
    rows = [quoted.get(row, f"car,2026-01-01T10:00:{row:02}Z,51.{row:04},-0.1,") for row in range(12)]
    return "\n".join([header, *rows, ""])


def test_rows_that_stray_quotes_take_into_an_id_are_counted_and_quarantined(tmp_path: Path) -> None:
    path = saved(tmp_path, rows_with_quotes({3: '"car,2026-01-01T10:00:03Z,51,-0.1,', 8: '"car,2026-01-01T10:00:08Z,51,-0.1,'}))
    sink, report = replayed(path)
    assert report.rows == 12 - 5
    assert [(problem.what, problem.rows, problem.first) for problem in report.problems] == [
        ("deviceId has line breaks (5 more lines in it, from one quote to the next)", 1, (f"{path}:5",))
    ]
    (bad,) = [document for document in sink.documents() if document["deviceId"] != "car"]
    assert len(bad["deviceId"]) == 6
    assert bad["deviceId"][1].startswith("car,2026-01-01T10:00:04Z")
    assert len([reason for reason in sink.reasons() if reason]) == 1


@pytest.mark.parametrize(
    ("name", "header", "row"),
    [
        ("timestamp", "device_id,timestamp,lat,lon,note", 'car,"2026-01-01T10:00:03Z\n2026-01-01T10:00:04Z",51,-0.1,'),
        ("latitude", "device_id,timestamp,lat,lon,note", 'car,2026-01-01T10:00:03Z,"51\n52",-0.1,'),
        ("vehicleType", "device_id,timestamp,lat,lon,vehicle_type", 'car,2026-01-01T10:00:03Z,51,-0.1,"van\nbus"'),
    ],
)
def test_a_line_break_in_a_value_is_a_problem(tmp_path: Path, name: str, header: str, row: str) -> None:
    sink, report = replayed(saved(tmp_path, rows_with_quotes({3: row}, header)))
    assert (report.rows, len([reason for reason in sink.reasons() if reason])) == (12, 1)
    assert f"{name} has line breaks (1 more line in it, from one quote to the next)" in {
        problem.what for problem in report.problems
    }


def test_rows_that_a_stray_quote_takes_into_a_column_that_is_not_sent_are_told(tmp_path: Path) -> None:
    path = saved(tmp_path, rows_with_quotes({3: 'car,2026-01-01T10:00:03Z,51,-0.1,"', 8: 'car,2026-01-01T10:00:08Z,51,-0.1,"'}))
    _, report = replayed(path)
    assert report.rows == 12 - 5
    (problem,) = report.problems
    assert problem.what.startswith("a cell has line breaks (5 more lines in it that could be rows")
    assert problem.first == (f"{path}:5",)


def test_notes_of_many_lines_and_a_break_at_a_cells_end_are_no_problem(tmp_path: Path) -> None:
    note = 'car,2026-01-01T10:00:03Z,51,-0.1,"Stopped,\nwaited, and\nwent on"'
    sink, report = replayed(saved(tmp_path, rows_with_quotes({3: note, 5: '"car\n",2026-01-01T10:00:05Z,51,-0.1,'})))
    assert (report.rows, report.problems, set(sink.reasons())) == (12, (), {None})
