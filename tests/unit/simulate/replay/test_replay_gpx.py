"""GPX recordings."""

from pathlib import Path

import pytest
from replay_sink import replayed

from fleetlake.foundation.errors import BadInput

GPX = """\
<?xml version="1.0" encoding="UTF-8"?>
<gpx version="1.1" creator="test" xmlns="http://www.topografix.com/GPX/1/1" xmlns:x="urn:x">
  <trk><trkseg>
    <trkpt lat="52.0" lon="-1.0"><ele>100.5</ele><time>2026-01-01T10:00:00Z</time><sat>9</sat></trkpt>
    <trkpt lat="52.001" lon="-1.0"><ele>101</ele><time>2026-01-01T10:00:10.250Z</time>{extensions}</trkpt>
  </trkseg><trkseg>
    <trkpt lat="52.001" lon="-1.001"><time>2026-01-01T11:00:20+01:00</time></trkpt>
  </trkseg></trk>
</gpx>
"""
EXTENSIONS = "<extensions><x:point><x:speed>10</x:speed><x:course>5</x:course><x:atemp>7.5</x:atemp></x:point></extensions>"


def saved(folder: Path, text: str) -> Path:
    path = folder / "van.gpx"
    path.write_text(text)
    return path


def test_a_track_without_speeds(tmp_path: Path) -> None:
    sink, report = replayed(saved(tmp_path, GPX.format(extensions="")))
    assert set(sink.reasons()) == {None}
    assert sink.column("deviceId") == ["van"] * 3
    assert sink.column("timestamp") == ["2026-01-01T10:00:00.000Z", "2026-01-01T10:00:10.250Z", "2026-01-01T10:00:20.000Z"]
    assert sink.column("location") == [[52.0, -1.0], [52.001, -1.0], [52.001, -1.001]]
    assert sink.column("altitude") == [100.5, 101, None]
    assert sink.column("satellites") == [9, None, None]
    assert sink.column("speed") == [39.05, 39.05, 25.28]
    assert sink.column("direction") == ["North", "North", "West"]
    assert sink.column("derived") == ["speed,heading"] * 3
    assert report.devices == 1


def test_extensions_are_columns_and_speeds_are_metres_per_second(tmp_path: Path) -> None:
    sink, report = replayed(saved(tmp_path, GPX.format(extensions=EXTENSIONS)), temperature="atemp")
    assert sink.column("speed") == [39.05, 36.0, 25.28]
    assert sink.column("heading") == [0.0, 5, 270.0]
    assert sink.column("derived") == ["speed,heading", None, "speed,heading"]
    assert sink.column("temperature", "weather_data") == [7.5]
    assert dict(report.sent) == {"gps_data": 3, "weather_data": 1}


def test_a_point_without_a_time_is_sent_and_reported(tmp_path: Path) -> None:
    path = saved(tmp_path, GPX.format(extensions="").replace("<time>2026-01-01T10:00:10.250Z</time>", ""))
    sink, report = replayed(path)
    assert sink.reasons() == [None, "missing_field: timestamp: absent", None]
    assert [(problem.what, problem.first) for problem in report.problems] == [("timestamp is empty", (f"{path}:2",))]


@pytest.mark.parametrize("text", ["", "not xml", GPX[:-20], GPX.replace('lat="52.0"', 'lat="x"'), "<gpx version='1.1'></gpx>"])
def test_what_is_no_gpx_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadInput) as error:
        replayed(saved(tmp_path, text.format(extensions="")))
    assert "van.gpx" in str(error.value)
    assert "GPX" in str(error.value)
