"""Roads and places from files: what they become, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetlake.foundation.errors import BadInput
from fleetlake.geography.places import read_places
from fleetlake.geography.roads import read_road, road_class, road_tables
from fleetlake.transform.references import read_references

HEADER = "latitude,longitude,road,speed_limit_mph\n"


def saved(folder: Path, text: str) -> Path:
    path = folder / "file.csv"
    path.write_text(text)
    return path


def test_the_road_that_comes_with_fleetlake() -> None:
    points = read_road()
    assert (len(points), points[0].road, points[-2].road) == (157, "A4", "A38")
    cells, roads = road_tables(points)
    assert roads.num_rows == 156
    assert set(roads["road_class"].to_pylist()) == {"motorway", "main"}
    assert max(map(len, cells["segments"].to_pylist())) < 20, "a position is compared with a few segments only"


def test_every_cell_near_a_segment_knows_it(tmp_path: Path) -> None:
    cells, _ = road_tables(read_road(saved(tmp_path, HEADER + "50.0,8.0,A5,70\n50.035,8.035,A5,70\n")))
    known = set(zip(cells["cell_north"].to_pylist(), cells["cell_east"].to_pylist(), strict=True))
    for step in range(36):
        for metres in (-190, 0, 190):  # aside of the line, to the north-west and south-east
            north, east = 50 + step * 0.001 + metres / 111_195 * 0.7, 8 + step * 0.001 - metres / 71_500 * 0.7
            assert (int(north * 100), int(east * 100)) in known


def test_an_empty_line_parts_two_roads(tmp_path: Path) -> None:
    file = saved(tmp_path, HEADER + "50,8,M1,70\n50.1,8,M1,70\n\n51,9,B2,30\n51.1,9,B2,30\n")
    _, roads = road_tables(read_road(file))
    assert roads.to_pydict() == {
        "number": [0, 2], "road": ["M1", "B2"], "road_class": ["motorway", "local"], "speed_limit_kmh": [112.6541, 48.2803],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("road", "expected"),
    [("M40", "motorway"), ("A38(M)", "motorway"), ("A40", "main"), ("B4100", "local"), ("High Street", "local")],
)
def test_classes_follow_the_british_numbers(road: str, expected: str) -> None:
    assert road_class(road) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no column latitude, longitude, road, speed_limit_mph"),
        (HEADER, "no road"),
        (HEADER + "50,8,A1,70\n", "no road"),
        (HEADER + "50,8,A1,70\nx,8,A1,70\n", "file.csv:3"),
        (HEADER + "50,8,A1,70\n95,8,A1,70\n", "file.csv:3"),
        (HEADER + "50,8,A1,70\n50,8,,70\n", "file.csv:3"),
        (HEADER + "50,8,A1,70\n50,8,A1,0\n", "file.csv:3"),
    ],
)
def test_roads_that_are_none(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadInput) as error:
        read_road(saved(tmp_path, text))
    assert said in str(error.value)


def test_places(tmp_path: Path) -> None:
    assert "Birmingham" in read_places()["name"].to_pylist()
    assert read_places(saved(tmp_path, "name,latitude,longitude\nHome,1,2\n")).to_pylist() == [
        {"number": 0, "name": "Home", "latitude": 1.0, "longitude": 2.0}
    ]


@pytest.mark.parametrize("text", ["name,latitude\nx,1\n", "name,latitude,longitude\nx,1,east\n", "name,latitude,longitude\n,1,2\n"])
def test_places_that_are_none(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadInput):
        read_places(saved(tmp_path, text))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for read in (read_road, read_places):
        with pytest.raises(BadInput, match="can't be read"):
            read(tmp_path / "nowhere.csv")


def test_other_files_are_another_digest(tmp_path: Path) -> None:
    other = read_references(places=saved(tmp_path, "name,latitude,longitude\nHome,1,2\n"))
    known = read_references()
    assert other.digests["places"] != known.digests["places"]
    assert other.digests["road_cells"] == known.digests["road_cells"]
