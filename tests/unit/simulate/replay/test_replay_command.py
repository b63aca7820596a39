"""The command itself: what goes to stdout, what to stderr, and with which exit code."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fleetlake.cli.main import main
from fleetlake.contracts.events import GPS
from fleetlake.contracts.validation import parse

DRIVE = "device_id,when,lat,lon,v\na,2026-07-01 10:00:00,51,0,30\na,nonsense,51,0,30\na,2026-07-01 10:00:10,51,0.001,\n"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["fleetlake", "replay", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


@pytest.fixture
def drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("drive.csv").write_text(DRIVE)
    return "drive.csv"


def test_json_lines_to_stdout_and_the_report_to_stderr(
    drive: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--map", "timestamp=when", "--map", "speed=v:mph", "--timezone", "Europe/London", "--to", "ndjson", "--json"]
    assert run(monkeypatch, drive, *options) == 0
    out, err = capsys.readouterr()
    records = [json.loads(line) for line in out.splitlines()]
    assert [(record["topic"], record["key"]) for record in records] == [("gps_data", "a")] * 3
    first = json.loads(records[0]["value"])
    assert (first["timestamp"], first["speed"]) == ("2026-07-01T09:00:00.000Z", 48.28032)
    reasons = [parse(GPS, record["value"].encode()).reject_reason for record in records]
    assert reasons == [None, "bad_timestamp: timestamp: nonsense", None]
    warning, report = err.splitlines()
    assert warning == "warning: timestamp is not a timestamp in 1 row: drive.csv:3; sent all the same"
    assert json.loads(report)["sent"] == {"gps_data": 3}
    assert json.loads(report)["first"] == "2026-07-01T09:00:00Z"


def test_binary_named_csv_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "drive.csv").write_bytes(b"a,b\n\xae\xff\n" * 20)
    command = [sys.executable, "-m", "fleetlake.cli.main", "replay", "drive.csv", "--to", "ndjson"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: not readable as CSV: byte 4 is not UTF-8; at drive.csv")
    assert done.stderr.count("\n") == 1


def test_a_mapping_file_and_a_flag_over_it(drive: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    Path("m.toml").write_text('timestamp = "when"\nspeed = "v:mph"\n')
    assert run(monkeypatch, drive, "--mapping", "m.toml", "--map", "speed=v:kn", "--to", "ndjson") == 0
    out, err = capsys.readouterr()
    assert json.loads(json.loads(out.splitlines()[0])["value"])["speed"] == 55.56
    assert "3 rows of 1 device, 2026-07-01 10:00:00 to 2026-07-01 10:00:10 UTC: sent 3 gps_data events" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gone.csv"], "no such file; at gone.csv"),
        (["drive.csv"], "try: --map timestamp=COLUMN"),
        (["drive.csv", "--map", "timestamp=when", "--map", "sped=v"], "no event has a field sped"),
        (["drive.csv", "--map", "timestamp=when", "--speedup", "0"], "more than 0, or max"),
        (["drive.csv", "--map", "timestamp=when", "--timezone", "Moon/Base"], "--timezone Moon/Base"),
        (["drive.csv", "--mapping", "gone.toml"], "gone.toml"),
    ],
)
def test_what_is_refused(
    drive: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert run(monkeypatch, *arguments, "--to", "ndjson") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert len(err.splitlines()) == 1


def test_points_of_a_gpx_that_are_no_tracks_are_counted(tmp_path: Path) -> None:
    moment = "<time>2026-01-01T10:00:00Z</time>"
    waypoints, routes = (f"<{name} lat='51' lon='0'>{moment}</{name}>" for name in ("wpt", "rtept"))
    track = f"<trk><trkseg><trkpt lat='51' lon='0'>{moment}</trkpt></trkseg></trk>"
    file = tmp_path / "drive.gpx"
    file.write_text(
        f"<gpx version='1.1' creator='x' xmlns='http://www.topografix.com/GPX/1/1'>{waypoints * 20}<rte>{routes}</rte>{track}</gpx>"
    )
    command = [sys.executable, "-m", "fleetlake.cli.main", "replay", "drive.gpx", "--to", "ndjson"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.count("\n") == 1
    assert done.stderr.splitlines()[:2] == [
        "warning: drive.gpx: 20 waypoints not sent; only a track's points are",
        "warning: drive.gpx: 1 route point not sent; only a track's points are",
    ]
