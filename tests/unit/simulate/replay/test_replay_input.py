"""What can't be used is refused before anything is sent, with a word on what can."""

import random
from pathlib import Path

import pytest
from replay_sink import KeptSink

from fleetlake.foundation.errors import BadInput
from fleetlake.simulate.replay import parse_assignments, read_mapping, replay_files

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
