"""What can't be used is refused before anything is sent, with a word on what can."""

import gzip
import random
from pathlib import Path

import pytest
from replay_sink import KeptSink

from fleetlake.foundation.errors import BadInput
from fleetlake.simulate.replay import parse_assignments, read_drives, read_mapping, replay_files
from fleetlake.simulate.replay.recordings import Memory, read_recording

GOOD = "device_id,timestamp,lat,lon,velocity\na,2026-01-01T00:00:00Z,1,2,3\n"


def refused(folder: Path, text: str | bytes, mapping: dict[str, str], name: str = "drive.csv") -> str:
    path, sink = folder / name, KeptSink()
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BadInput) as error:
        replay_files([path], mapping, sink)
    assert not sink.records
    assert error.value.exit_code == 2
    return str(error.value)


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({"speed": "sped"}, "no column sped; at {path}; allowed: device_id, timestamp, lat, lon, velocity"),
        ({"speed": "sped:mph"}, "no column sped;"),
        ({"speed": "velocity:furlong"}, "velocity:furlong: there is no unit furlong; at {path}; allowed: km/h, mph, m/s, kn"),
        ({"speed": "sped:furlong"}, "no column sped:furlong"),
        ({"speed": "velocity:ft"}, "not a unit of speed_kmh; at {path}; allowed: km/h, mph, m/s, kn"),
        ({"satellites": "velocity:mph"}, "not a unit of satellites; at {path}; allowed: none"),
        ({"velocity": "velocity"}, "no event has a field velocity; allowed: deviceId, timestamp, speed"),
        ({"weather_data.speed": "velocity"}, "no event has a field weather_data.speed; allowed: deviceId, timestamp, temperature"),
        ({"id": "velocity"}, "no event has a field id"),
        (
            {"vehicleCount": "velocity"},
            "vehicleCount makes traffic_data, which needs cameraId too; at {path}; try: --map cameraId=COLUMN",
        ),
    ],
)
def test_mappings_that_do_not_fit(tmp_path: Path, mapping: dict[str, str], said: str) -> None:
    assert said.format(path=tmp_path / "drive.csv") in refused(tmp_path, GOOD, mapping)


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("", "drive.csv", "empty"),
        ("\n\n  \n", "drive.csv", "the file is empty"),
        ("\n\ntimestamp,lat,lon\n2026-01-01T10:00:00Z,51,0\n", "drive.csv", "the first line is blank; at"),
        ("\r\ntimestamp,lat,lon\r\n", "drive.csv", "the first line is blank; at"),
        ("device_id,when,lat,lon\n", "drive.csv", "no column is known to be the timestamp"),
        ("device_id,time,lat\n", "drive.csv", "no column is known to be the longitude"),
        ("time,lat,lon,lat\n", "drive.csv", "two columns are called lat"),
        (b"time,lat,lon,x\n1700000000,1,2,\xff\xfe\n", "drive.csv", "not readable as CSV"),
        (GOOD.encode("utf-16"), "drive.csv", "not readable as CSV: byte 0 is not UTF-8"),
        (GOOD.encode("utf-16-le"), "drive.csv", "not readable as CSV: byte 1 is not UTF-8"),
        (random.Random(1).randbytes(5_000), "drive.csv", "not readable as CSV: byte"),
        (b"time,lat,lon\n1700000000,1,2\nx,\xff\xfe\n", "drive.csv", "not readable as CSV: byte 30 is not UTF-8"),
        (b"time,lat,lon\n" + b"1700000000,1,2\n" * 80_000 + b"\xe2\x82", "drive.csv", "not readable as CSV"),
        (b"\x1f\x8bnot gzip", "drive.csv.gz", "not readable as CSV"),
        (
            "time,lat,lon\n26.01.2026 10:00,1,2\n",
            "drive.csv",
            "no row has a time in column time; the first says '26.01.2026 10:00'",
        ),
        (GOOD, "drive.parquet", "allowed: .csv, .csv.gz, .tsv, .txt, .gpx"),
    ],
)
def test_files_that_do_not_fit(tmp_path: Path, text: str | bytes, name: str, said: str) -> None:
    message = refused(tmp_path, text, {}, name)
    assert said in message
    assert name in message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no such file; at .*gone\.csv"):
        replay_files([tmp_path / "gone.csv"], {}, KeptSink())


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="this is a folder; at"):
        replay_files([tmp_path], {}, KeptSink())


@pytest.mark.parametrize("table", ["[speed]\n", "[speed]\ncolumn = 'v'\n", "[weather]\ntemperature = 't'\n"])
def test_a_mapping_of_an_event_there_is_none_of(tmp_path: Path, table: str) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text(f'timestamp = "when"\n{table}')
    with pytest.raises(BadInput, match=r"there is no event \[(speed|weather)\].*allowed: vehicle_data, gps_data"):
        read_mapping(path)


def test_no_file_at_all() -> None:
    with pytest.raises(BadInput, match="nothing to replay"):
        replay_files([], {}, KeptSink())


def test_assignments() -> None:
    assert parse_assignments(["speed = v:mph", "weather_data.temperature=a=b"]) == {
        "speed": "v:mph",
        "weather_data.temperature": "a=b",
    }


@pytest.mark.parametrize("bad", [["speed"], ["=v"], ["speed="], ["speed=a", "speed=b"], ["sped=a"]])
def test_assignments_that_are_none(bad: list[str]) -> None:
    with pytest.raises(BadInput):
        parse_assignments(bad)


def test_a_mapping_file(tmp_path: Path) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text('speed = "velocity:mph"\n[weather_data]\ntemperature = "temp"\n')
    assert read_mapping(path) == {"speed": "velocity:mph", "weather_data.temperature": "temp"}


@pytest.mark.parametrize("text", ["speed = velocity", "speed = 3", 'sped = "v"', "[weather_data]\nspeed = 'v'", b"\xff"])
def test_mapping_files_that_are_none(tmp_path: Path, text: str | bytes) -> None:
    path = tmp_path / "mapping.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BadInput):
        read_mapping(path)
    with pytest.raises(BadInput):
        read_mapping(tmp_path / "gone.toml")


HEADER = b"time,lat,lon\n"
MIB = 1024 * 1024
BOMBS = {
    "rows": (".csv", HEADER + b"1,2,3\n" * 1_000_000),
    "rows, packed": (".csv.gz", HEADER + b"1,2,3\n" * 1_000_000),
    "lines of other lengths": (".csv", HEADER + b"x\n" * 500_000),
    "long cells": (".csv", HEADER + b"".join(b"1,2," + b"x" * 500_000 + b"\n" for _ in range(40))),
    "columns": (".csv", b"time,lat,lon" + b"".join(b",c%d" % n for n in range(9_000)) + b"\n" + (b"," * 9_002 + b"1\n") * 500),
    "a tree": (".gpx", b"<gpx>" + b"<a/>" * 1_000_000 + b"</gpx>"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_what_would_take_more_memory_than_it_may_is_refused_as_it_is_read(tmp_path: Path, bomb: str) -> None:
    suffix, content = BOMBS[bomb]
    path = tmp_path / f"drive{suffix}"
    path.write_bytes(gzip.compress(content, 1) if suffix.endswith(".gz") else content)
    with pytest.raises(BadInput) as error:
        read_drives([path], {}, memory_bytes=32 * MIB)
    said = f"too much to replay at once; at {path}; allowed: recordings that take 33,554,432 bytes of memory"
    assert str(error.value) == f"{said}; try: split it, or raise replay.memory_bytes"


def test_the_bound_is_of_all_files_together(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.csv" for name in "ab"]
    for path in paths:
        path.write_bytes(HEADER + b"2026-01-05T06:05:00Z,51.5,-0.1\n" * 20_000)
    assert read_drives(paths[:1], {}, memory_bytes=8 * MIB).rows.num_rows == 20_000
    with pytest.raises(BadInput, match=r"at .*b\.csv"):
        read_drives(paths, {}, memory_bytes=8 * MIB)


def test_blank_lines_take_no_memory_and_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "drive.csv.gz"
    blank = b"\n" * 3_000_000
    path.write_bytes(gzip.compress(HEADER + blank + b"x\n1,2,3\n" + blank + b"4,5,6\n\n", 1))
    recording = read_recording(path, Memory(MIB))
    assert recording.table.num_rows == 2
    assert recording.numbers.tolist() == [3_000_003, 6_000_004]
    assert recording.malformed == ((3_000_002, "x"),)


def test_so_many_columns_are_refused(tmp_path: Path) -> None:
    assert "10,003 columns" in refused(tmp_path, "time,lat,lon" + "".join(f",c{n}" for n in range(10_000)) + "\n", {})
