"""The page: one file, safe whatever a device calls itself, and true to the lake."""

from __future__ import annotations

import re
from base64 import b64encode
from datetime import date, timedelta
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drive_pages import DAY, Parts, fixes, page_of, points_of

from fleetlake.contracts.tables import all_tables
from fleetlake.lake.catalog import Lake, LakeSettings, open_lake
from fleetlake.serve.page import PageLimits, TopicCounts, collect_drives, render_page, write_page

DRIVE = [(8 * 3600 + 3.0 * i, 52 + 0.0005 * i, -1 + 0.0002 * (i % 7), 40.0 + i % 5) for i in range(50)]
HOSTILE = "</script><script>alert(1)</script><!-- & \u2028 '\" {{DATA}} \\"


def test_it_asks_the_network_for_nothing() -> None:
    html = render_page(page_of(fixes("a", DRIVE)))
    parts = Parts(html)
    assert not {"link", "img", "iframe", "object", "embed", "base", "a"} & {name for name, _ in parts.tags}
    assert not {"src", "href", "action", "srcset"} & {attribute for _, attributes in parts.tags for attribute in attributes}
    assert set(re.findall(r"\w+://[^\s\"'`]+", html)) == {"http://www.w3.org/2000/svg"}  # the name of SVG, not an address
    assert "@import" not in html
    assert "url(" not in html
    assert not re.search(r"fetch\(|XMLHttpRequest|WebSocket|import\(", html)


def test_the_policy_allows_this_style_and_script_alone() -> None:
    parts = Parts(render_page(page_of(fixes("a", DRIVE))))
    (policy,) = (tag["content"] for name, tag in parts.tags if name == "meta" and "http-equiv" in tag)
    data, script = parts.scripts
    style, code = (f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in (parts.styles[0], script))
    assert policy == f"default-src 'none'; style-src {style}; script-src {code}"
    assert data.startswith("{")


def test_a_hostile_device_id_stays_data() -> None:
    trip = {"device_id": HOSTILE, "start_time": DAY, "end_time": DAY, "is_open": False, "duration_s": 0.0, "distance_km": 0.0}
    html = render_page(page_of(fixes(HOSTILE, DRIVE), trips=[trip]))
    parts, harmless = Parts(html), Parts(render_page(page_of(fixes("a", DRIVE))))
    assert parts.data["tracks"][0]["device"] == parts.data["trips"][0]["device"] == HOSTILE
    assert not re.search("[<>&]", parts.scripts[0])
    assert parts.scripts[1] == harmless.scripts[1]
    assert parts.tags == harmless.tags


def test_the_script_never_reads_text_as_markup() -> None:
    code = Parts(render_page(page_of())).scripts[1]
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|createContextualFragment", code
    )


def test_every_element_the_script_asks_for_is_there_once() -> None:
    parts = Parts(render_page(page_of()))
    ids = [attributes["id"] for _, attributes in parts.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'byId\("([^"]+)"\)', parts.scripts[1])) <= set(ids)
    labels = {tag.get(name) for _, tag in parts.tags for name in ("aria-labelledby", "aria-describedby", "for")} - {None}
    assert labels <= set(ids)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_colours_are_told_apart_from_what_they_lie_on(theme: int) -> None:
    blocks = re.findall(r":root \{(.*?)\}", Parts(render_page(page_of())).styles[0], re.DOTALL)
    colour = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", blocks[theme]))
    for graphic in ("s0", "s1", "s2", "s3", "s4", "s5", "unknown", "stop", "acceleration", "braking", "cornering", "overspeed"):
        assert contrast(colour[graphic], colour["ground"]) >= 3, graphic  # WCAG 2.2, 1.4.11
    for ground in ("card", "page", "ground"):
        for text in ("ink", "soft"):
            assert contrast(colour[text], colour[ground]) >= 4.5, (text, ground)  # WCAG 2.2, 1.4.3
    assert contrast(colour["accent"], colour["tint"]) >= 4.5


def test_counts_trips_stops_and_driving_events_come_through() -> None:
    at = DAY + timedelta(hours=9, seconds=5)
    place = {"latitude": 52.123456, "longitude": -1.0}
    episode = {"device_id": "a", "start_time": at, "end_time": at + timedelta(seconds=90), "is_open": True, "duration_s": 90.04}
    data = Parts(render_page(
        page_of(
            fixes("a", DRIVE),
            trips=[episode | {"distance_km": 1.26, "average_speed_kmh": None, "top_speed_kmh": 44.04}],
            stops=[episode | place],
            events=[episode | place | {"kind": "harsh_braking", "peak_ms2": 3.26, "is_open": False, "duration_s": 0.0}],
        ),
        [TopicCounts("gps_data", 5, 5, 1, 2)],
    )).data  # fmt: skip
    when = {"device": "a", "day": "2026-03-01", "start": 9 * 3600 + 5}
    assert data["trips"] == [
        when | {"end": when["start"] + 90, "seconds": 90.0, "km": 1.26, "average": None, "top": 44.0, "open": True}
    ]
    stop = when | {"seconds": 90.0, "lat": 52.12346, "lon": -1.0, "open": True}
    braking = {"kind": "braking", "peak": 3.3, "speed": None, "limit": None, "seconds": 0.0, "open": False}
    assert data["marks"] == [stop, stop | braking]
    assert data["counts"] == [{"topic": "gps_data", "produced": 5, "landed": 5, "quarantined": 1, "deduplicated": 2}]
    assert data["days"] == [{"day": "2026-03-01", "vehicles": 1}]
    assert data["first"] == "2026-03-01"
    assert Parts(render_page(page_of(), day=date(2026, 2, 1))).data["first"] == "2026-02-01"


def test_kilometres_are_summed_before_they_are_rounded() -> None:
    trip = {"device_id": "a", "start_time": DAY, "end_time": DAY, "is_open": False, "duration_s": 0.0, "distance_km": 1.04}
    data = Parts(render_page(page_of(fixes("a", DRIVE), trips=[trip] * 100))).data
    assert round(sum(trip["km"] for trip in data["trips"])) == 104


# From a lake


def silver(number: int, device: str, second: float, day: int = 0, **more: Any) -> dict[str, Any]:
    when = DAY + timedelta(days=day, hours=8, seconds=second)
    made = {"kafka_partition": 0, "kafka_offset": number, "ingested_at": DAY, "is_late": False, "late_by_s": 0.0}
    place = {"latitude": 52 + number / 1000, "longitude": -1.0}
    return made | {"event_id": f"e{number}", "device_id": device, "event_time": when} | place | more


def episode(noun: str, device: str, day: int) -> dict[str, Any]:
    start = DAY + timedelta(days=day, hours=8)
    made = {f"{noun}_id": f"{device}{day}", "device_id": device, "start_time": start, "end_time": start + timedelta(seconds=300)}
    places = {f"{edge}{name}": 52.0 for edge in ("", "start_", "end_") for name in ("latitude", "longitude")}
    numbers = {
        "is_open": False, "duration_s": 300.0, "fixes": 9, "distance_km": 2.0, "moving_s": 300.0, "idle_s": 0.0, "dwell_s": 300.0,
        "kind": "overspeed", "measured_by": "gps",
    }  # fmt: skip
    columns = next(table for table in all_tables() if table.name == f"gold.{noun}s").columns
    return {name: value for name, value in (made | places | numbers).items() if name in {column.name for column in columns}}


def test_the_newest_days_and_the_busiest_vehicles_are_read(lake: Lake, history: Any) -> None:
    rows = [(device, day) for day, devices in enumerate(("ab", "aab", "abbcc")) for device in devices]
    history.add("silver.gps", [silver(i, device, i, day, speed_kmh=50.0) for i, (device, day) in enumerate(rows)])
    history.add("silver.gps", [silver(90, "nowhere", 0, 9, latitude=None, longitude=None)])
    history.add("gold.trips", [episode("trip", device, day) for device in "abc" for day in range(3)])
    history.add("gold.stops", [episode("stop", device, 2) for device in "abc"])
    history.add("gold.driving_events", [episode("driving_event", device, 2) for device in "abc"])
    page = collect_drives(lake, limits=PageLimits(days=2, vehicles=2))
    assert [(row["day"], row["vehicles"]) for row in page.days.to_pylist()] == [(date(2026, 3, 3), 3), (date(2026, 3, 2), 2)]
    seen = [(row["device_id"], row["event_time"].day) for row in page.fixes.to_pylist()]
    assert seen == [("a", 2), ("a", 2), ("b", 2), ("b", 3), ("b", 3), ("c", 3), ("c", 3)]
    assert page.trips["trip_id"].to_pylist() == ["a1", "b1", "b2", "c2"]
    assert page.stops["stop_id"].to_pylist() == ["b2", "c2"]
    assert page.events["driving_event_id"].to_pylist() == ["b2", "c2"]
    assert [track["device"] for track in Parts(render_page(page)).data["tracks"]] == ["a", "b", "b", "c"]


def test_a_lake_without_tables_makes_a_page_that_says_so(tmp_path: Path) -> None:
    lake = open_lake(
        LakeSettings("none", {"type": "sql", "uri": f"sqlite:///{tmp_path}/c.db", "warehouse": f"file://{tmp_path}/w"})
    )
    path = tmp_path / "pages" / "drives.html"
    write_page(lake, path)
    lake.close()
    parts = Parts(path.read_text(encoding="utf-8"))
    assert not any(parts.data.values())
    assert "No drives yet" in path.read_text(encoding="utf-8")


def test_a_week_of_twenty_vehicles_is_less_than_two_megabytes() -> None:
    rng = np.random.default_rng(7)  # more restless than any drive: no fix follows from its neighbours
    second, north = np.arange(2500) * 3.0, np.arange(2500) / 2500
    parts = []
    for number in range(140):
        latitude, longitude = 52 + north + rng.normal(0, 0.002, 2500), -1 + rng.normal(0, 0.002, 2500)
        rows = list(zip(second.tolist(), latitude, longitude, rng.uniform(0, 130, 2500), strict=True))
        parts.append(fixes(f"vehicle-{number // 7:05}", rows, DAY + timedelta(days=number % 7)))
    html = render_page(page_of(*parts))
    assert len(html) < 2_000_000
    tracks = Parts(html).data["tracks"]
    assert len(tracks) == 140
    assert all(points_of(track)[0][0] == 0 and points_of(track)[-1][0] == 7497 for track in tracks)
    assert all(one[0] < other[0] for track in tracks for one, other in pairwise(points_of(track)))
