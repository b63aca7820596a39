"""A report as one HTML file: complete, true to the lake, and safe whatever a device calls itself."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from drive_pages import Parts
from report_rows import RunCommand, at, fill, row, score, trip

from fleetlake.contracts.gold import DRIVER_SCORES, DRIVING_EVENTS, STOPS, TRIPS
from fleetlake.contracts.positions import POSITIONS
from fleetlake.foundation.errors import BadInput
from fleetlake.lake.catalog import Lake
from fleetlake.serve.reports import REPORTS, Period, Selection, read_report, require_folder, scores_of
from fleetlake.serve.reports.page import render_report
from fleetlake.serve.reports.tracks import MapLimits, draw

NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)
HOSTILE = "</script><script>alert(1)</script><b onload=x>&amp;{{DATA}}'\""


class Texts(HTMLParser):
    """Tables as lists of lines of cells, and the text of everything by its element."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.of: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open.append(tag)
        self.of.setdefault(tag, []).append("")
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open:
            self.of[self._open[-1]][-1] += data
            if self._open[-1] in ("td", "th"):
                self.tables[-1][-1][-1] += data


def position(device: str, second: float, north_m: float, speed: float | None = 50.0, **more: Any) -> dict[str, Any]:
    place = {"latitude": 52 + north_m / 111_195, "longitude": -1.0}
    return row(POSITIONS, device_id=device, event_time=at(8, seconds=second), speed_kmh=speed, road_class="main", **(place | more))


def drive(device: str, count: int = 10, **more: Any) -> list[dict[str, Any]]:
    return [position(device, 10 * n, 140 * n, 50.0 + n % 2 * 20, leg_m=140.0 if n else None, **more) for n in range(count)]


@pytest.fixture
def driven(bare_lake: Lake) -> Lake:
    fill(bare_lake, TRIPS, [trip("v0", 8), trip("v1", 8)])
    fill(bare_lake, POSITIONS, [*drive("v0"), *drive("v1")])
    fill(
        bare_lake,
        STOPS,
        [row(STOPS, device_id="v0", start_time=at(8, seconds=30), duration_s=240.0, latitude=52.0, longitude=-1.0)],
    )
    fill(bare_lake, DRIVING_EVENTS, [
        row(DRIVING_EVENTS, device_id="v0", kind="overspeed", start_time=at(8, seconds=20), duration_s=15.0, peak_speed_kmh=131.26,
            speed_limit_kmh=113.0, latitude=52.001, longitude=-1.0),
        row(DRIVING_EVENTS, device_id="v1", kind="harsh_braking", start_time=at(8), duration_s=2.0, peak_ms2=3.26, latitude=52.0,
            longitude=-1.0),
    ])  # fmt: skip
    return bare_lake


def page(lake: Lake, name: str = "trips", selection: Selection | None = None, **more: Any) -> str:
    answer = read_report(lake, REPORTS[name], selection)
    return render_report(answer, draw(lake, answer.selection), made_at=NOW, **more)


@pytest.mark.parametrize("name", ["trips", "driving"])
def test_it_is_one_file(driven: Lake, name: str) -> None:
    html = page(driven, name)
    parts = Parts(html)
    assert not {"link", "img", "iframe", "object", "embed", "base", "a"} & {tag for tag, _ in parts.tags}
    assert not {"src", "href", "action", "srcset", "style"} & {
        attribute for _, attributes in parts.tags for attribute in attributes
    }
    assert set(re.findall(r"\w+://[^\s\"'`]+", html)) == {"http://www.w3.org/2000/svg"}  # the name of SVG, not an address
    assert not re.search(r"fetch\(|XMLHttpRequest|WebSocket|import\(|@import|url\(|innerHTML|outerHTML|insertAdjacentHTML", html)
    (policy,) = (tag["content"] for tag_name, tag in parts.tags if tag_name == "meta" and "http-equiv" in tag)
    assert policy
    assert re.fullmatch(r"default-src 'none'; style-src 'sha256-[^' ]+'; script-src 'sha256-[^' ]+'", policy)
    assert "{{" not in html


def test_every_element_the_script_asks_for_is_there_once(driven: Lake) -> None:
    parts = Parts(page(driven))
    ids = [attributes["id"] for _, attributes in parts.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'byId\("([^"]+)"\)', parts.scripts[1])) <= set(ids)


def test_it_says_what_was_asked_for_and_has_every_row(driven: Lake) -> None:
    texts = Texts(page(driven, selection=Selection("v0", at(0), at(0, day=1))))
    assert texts.of["p"][0] == "device v0, from 2026-01-01 to 2026-01-02"
    assert texts.of["title"] == ["Trips device v0, from 2026-01-01 to 2026-01-02"]
    assert dict(zip(texts.of["dt"], texts.of["dd"], strict=True)) == {
        "trip": "1", "device": "1", "km": "28.0", "under way": "0:30:00", "of it idle": "0:01:40",
    }  # fmt: skip
    assert texts.tables == [[
        ["device", "start (UTC)", "end", "duration", "idle", "km", "km/h", "top"],
        ["v0", "2026-01-01 08:00:00", "08:30:00", "0:30:00", "0:01:40", "28.0", "40", "90"],
    ]]  # fmt: skip
    assert "2026-02-01 12:00 UTC" in texts.of["footer"][0]


def test_a_hostile_device_id_stays_text(bare_lake: Lake) -> None:
    def made(device: str) -> str:
        fill(bare_lake, TRIPS, [trip(device, 8, start_place=device, end_place=device)])
        fill(bare_lake, POSITIONS, drive(device))
        fill(bare_lake, DRIVER_SCORES, [score(DRIVER_SCORES, device, 100, 94.0, harsh_braking=(1, 6.0))])
        fill(bare_lake, DRIVING_EVENTS, [
            row(DRIVING_EVENTS, device_id=device, kind="harsh_braking", start_time=at(8), road=device, place=device)
        ])  # fmt: skip
        selection = Selection(device)
        explained = read_report(bare_lake, scores_of(Period.DAY, explained=True), selection)
        return page(bare_lake, selection=selection) + render_report(explained, draw(bare_lake, selection), made_at=NOW)

    harmless, hostile = Parts(made("v0")), Parts(made(HOSTILE))
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in harmless.tags]
    assert hostile.data["tracks"][0]["device"] == HOSTILE
    assert [hostile.scripts[i] for i in (1, 3)] == [harmless.scripts[i] for i in (1, 3)]
    texts = Texts(made(HOSTILE))
    assert texts.tables[0][1][0] == texts.tables[0][1][-1] == HOSTILE
    assert HOSTILE in texts.of["span"]
    assert ("table", {"class": "rows wide"}) in hostile.tags
    assert ("table", {"class": "rows wide"}) not in harmless.tags
    assert any(said.startswith(f"{HOSTILE}, 2026-01-01: 94.0") for said in texts.of["h3"])


# The map


def test_marks_are_stops_and_driving_events(driven: Lake) -> None:
    data = Parts(page(driven)).data
    when = {"day": "2026-01-01", "open": False}
    overspeed = {
        "device": "v0",
        "kind": "overspeed",
        "start": 28_820,
        "seconds": 15.0,
        "peak": None,
        "speed": 131.3,
        "limit": 113.0,
    }
    braking = {"device": "v1", "kind": "braking", "start": 28_800, "seconds": 2.0, "peak": 3.3, "speed": None, "limit": None}
    stop = {"device": "v0", "start": 28_830, "seconds": 240.0}
    assert data["marks"] == [
        when | braking | {"lat": 52.0, "lon": -1.0}, when | overspeed | {"lat": 52.001, "lon": -1.0},
        when | stop | {"lat": 52.0, "lon": -1.0},
    ]  # fmt: skip
    assert [track["device"] for track in data["tracks"]] == ["v0", "v1"]
    assert (data["device"], data["spansDays"]) == ("", False)


def test_the_map_follows_the_selection(driven: Lake) -> None:
    data = Parts(page(driven, selection=Selection("v1", at(8), at(8, seconds=45)))).data
    (track,) = data["tracks"]
    assert (data["device"], track["device"]) == ("v1", "v1")
    assert sum(track["t"]) == 28_840
    assert [mark["kind"] for mark in data["marks"]] == ["braking"]


def test_positions_that_are_not_good_are_not_drawn(bare_lake: Lake) -> None:
    fill(bare_lake, TRIPS, [trip("v0", 8)])
    fill(bare_lake, POSITIONS, [*drive("v0"), position("v0", 45, 99_999, 250.0, quality="jump")])
    (track,) = Parts(page(bare_lake)).data["tracks"]
    assert max(accumulate(track["lat"])) < 5_202_000
    assert 250 not in track["v"]


def test_a_profile_runs_over_the_measured_way_with_the_limits(bare_lake: Lake) -> None:
    fill(bare_lake, TRIPS, [trip("v0", 8)])
    limits = [48.0] * 5 + [None] * 2 + [113.0] * 6
    legs = [None, *[200.0] * 5, None, *[200.0] * 6]
    fill(bare_lake, POSITIONS, [
        position("v0", 10 * n, 140 * n, 30.0 + 40 * (n % 2), leg_m=leg, speed_limit_kmh=limit)
        for n, (leg, limit) in enumerate(zip(legs, limits, strict=True))
    ])  # fmt: skip
    (track,) = Parts(page(bare_lake)).data["tracks"]
    assert list(accumulate(track["way"])) == [0, 20, 40, 60, 80, 100, 100, 120, 140, 160, 180, 200, 220]
    assert track["legs"] == [6]
    assert track["limits"] == [[0, 100, 48], [120, 220, 113]]


def test_what_is_drawn_is_bounded_and_said(bare_lake: Lake) -> None:
    fill(bare_lake, TRIPS, [trip("v0", 8)])
    for day in range(3):
        fill(bare_lake, POSITIONS, [
            found | {"event_time": found["event_time"] + (at(0, day=day) - at(0))}
            for device, count in (("v0", 5), ("v1", 9), ("v2", 7)) for found in drive(device, count)
        ])  # fmt: skip
    fill(
        bare_lake, STOPS, [row(STOPS, device_id="v1", start_time=at(9, n, day=2), latitude=52.0, longitude=-1.0) for n in range(6)]
    )
    drawing = draw(bare_lake, Selection(), MapLimits(days=2, vehicles=2, marks=4))
    tracks = [(track["device"], track["day"]) for track in drawing.data["tracks"]]
    assert tracks == [("v1", "2026-01-02"), ("v1", "2026-01-03"), ("v2", "2026-01-02"), ("v2", "2026-01-03")]
    assert [mark["start"] for mark in drawing.data["marks"]] == [9 * 3600 + 60 * n for n in (2, 3, 4, 5)]
    assert drawing.notes == [
        "The lines go through 32 of 32 positions and are within 15 m and 3 km/h of the others.",
        "Drawn are 4 of 9 days of vehicles: the newest 2 days, of each the 2 vehicles with most positions, and 2,000,000 "
        "positions at most.",
        "The newest 4 of 6 stops and driving events are marked.",
    ]
    few = draw(bare_lake, Selection(), MapLimits(positions=15))
    assert [track["device"] for track in few.data["tracks"]] == ["v1"]
    assert len(draw(bare_lake, Selection("v0"), MapLimits(days=1, days_of_one=3)).data["tracks"]) == 3
    coarse = draw(bare_lake, Selection("v1"), MapLimits(points=10))
    assert sum(len(track["t"]) for track in coarse.data["tracks"]) <= 10
    assert coarse.notes[0].endswith("positions and may be further than 15 m and 3 km/h off.")
    assert f'<p class="note">{" ".join(drawing.notes)}</p>' in render_report(
        read_report(bare_lake, REPORTS["trips"]), drawing, made_at=NOW
    )


def test_without_positions_there_is_no_map(bare_lake: Lake) -> None:
    fill(bare_lake, TRIPS, [trip("v0", 8)])
    html = page(bare_lake)
    assert "There is no map: silver.positions is not made yet, fleetlake transform makes it." in html
    assert '<section class="card map-card" hidden>' in html
    fill(bare_lake, POSITIONS, [])
    assert "not made yet" not in page(bare_lake)


# Tables and scores


def test_rows_up_to_a_limit_that_is_said(bare_lake: Lake) -> None:
    fill(bare_lake, TRIPS, [trip("v0", hour / 100) for hour in range(2010)])
    for limit, rows in ((None, 2000), (3, 3), (0, 2010)):
        html = page(bare_lake, limit=limit)
        assert len(Texts(html).tables[0]) == rows + 1
        assert (f"These are {rows:,} of 2,010 rows; --limit 0 puts all on the page." in html) == (rows < 2010)
    assert len(html) < 600_000


def test_no_rows_are_a_sentence(driven: Lake) -> None:
    texts = Texts(page(driven, selection=Selection(start=at(0, day=9))))
    assert texts.tables == []
    assert "No trips from 2026-01-10; there are some from 2026-01-01 08:00 to 2026-01-01 08:00." in texts.of["p"]


def test_a_score_is_a_bar_of_what_it_lost(bare_lake: Lake) -> None:
    fill(bare_lake, DRIVER_SCORES, [
        score(DRIVER_SCORES, "v0", 100, 82.0, harsh_braking=(2, 12.0), overspeed=(1, 6.0)),
        score(DRIVER_SCORES, "v1", 10, 0.0, overspeed=(2, 160.0), harsh_cornering=(1, 40.0)),
        score(DRIVER_SCORES, "v2", 1, None), score(DRIVER_SCORES, "v3", 100, 100.0),
    ])  # fmt: skip
    parts = Parts(page(bare_lake, "scores"))
    bars: list[list[tuple[Any, ...]]] = []
    for tag, attributes in parts.tags:
        if attributes.get("class") == "bar":
            bars.append([])
        elif tag == "rect" and bars and attributes["width"] != "0.00":
            bars[-1].append((attributes["class"], attributes.get("x", "0"), attributes["width"]))
    assert bars == [
        [("harsh_cornering", "0.00", "20.00"), ("overspeed", "20.00", "80.00")],
        [("kept", "0", "82.00"), ("harsh_braking", "82.00", "12.00"), ("overspeed", "94.00", "6.00")],
        [("kept", "0", "100.00")],
    ]
    texts = Texts(page(bare_lake, "scores"))
    assert [said for said in texts.of["span"] if said][:4] == [
        "v1", "harsh cornering 40.0 (1), overspeed 160.0 (2)", "v0", "harsh braking 12.0 (2), overspeed 6.0 (1)",
    ]  # fmt: skip


def test_explained_scores_have_a_table_each(bare_lake: Lake) -> None:
    fill(bare_lake, DRIVER_SCORES, [score(DRIVER_SCORES, "v0", 100, 88.0, harsh_braking=(2, 12.0))])
    fill(bare_lake, DRIVING_EVENTS, [
        row(DRIVING_EVENTS, device_id="v0", kind="harsh_braking", start_time=at(hour), peak_ms2=3.5, place="Oxford")
        for hour in (8, 9)
    ])  # fmt: skip
    answer = read_report(bare_lake, scores_of(Period.DAY, explained=True))
    html = render_report(answer, draw(bare_lake, Selection()), made_at=NOW)
    _, explained = Texts(html).tables
    assert explained[1] == ["2026-01-01 08:00:00", "harsh braking", "3.50 m/s²", "", "0:00:00", "", "Oxford", "-6.00"]
    assert len(explained) == 3
    short = render_report(answer, draw(bare_lake, Selection()), made_at=NOW, limit=1)
    assert len(Texts(short).tables[1]) == 2
    assert "The first 1 events" in short


# The file


def test_the_command_writes_the_page(driven: Lake, run_command: RunCommand, tmp_path: Path) -> None:
    path = tmp_path / "trips.html"
    path.write_text("an older report")
    code, out, _ = run_command("report", "trips", "--device", "v0", "--html", str(path))
    html = path.read_text(encoding="utf-8")
    assert code == 0
    assert (
        out == f"1 trip, 1 device, 28.0 km, 0:30:00 under way, 0:01:40 of it idle\n{path} ({len(html.encode()) / 1000:,.0f} kB)\n"
    )
    assert html.startswith("<!doctype html>")
    assert html.endswith("</html>\n")
    assert Parts(html).data["device"] == "v0"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"there is no folder .*absent; at --html .*absent/a\.html") as caught:
        require_folder(tmp_path / "absent" / "a.html")
    assert caught.value.exit_code == 2
