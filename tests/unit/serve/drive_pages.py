"""Drives made by hand, and the data of a rendered page read back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from itertools import accumulate
from typing import Any

import pyarrow as pa

from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.gold import DRIVING_EVENTS, STOPS, TRIPS
from fleetlake.serve.page import DrivePage

DAY = datetime(2026, 3, 1, tzinfo=UTC)
ONE_DAY = ((DAY.date(), 1),)
TIME = pa.timestamp("us", tz="UTC")
FIXES = pa.schema(
    {"device_id": pa.string(), "event_time": TIME, "latitude": pa.float64(), "longitude": pa.float64(), "speed_kmh": pa.float64()}
)

Fix = tuple[float, float, float, float | None]  # seconds of the day, latitude, longitude, km/h


def fixes(device: str, rows: Sequence[Fix], day: datetime = DAY) -> pa.Table:
    second, *rest = (list(column) for column in zip(*rows, strict=True))
    times = [day + timedelta(seconds=value) for value in second]
    return pa.table([[device] * len(rows), times, *rest], schema=FIXES)


def page_of(*parts: pa.Table, trips: Any = (), stops: Any = (), events: Any = (), days: Any = ONE_DAY) -> DrivePage:
    return DrivePage(
        fixes=pa.concat_tables([FIXES.empty_table(), *parts]),
        trips=pa.Table.from_pylist(list(trips), schema=table_schema(TRIPS)),
        stops=pa.Table.from_pylist(list(stops), schema=table_schema(STOPS)),
        events=pa.Table.from_pylist(list(events), schema=table_schema(DRIVING_EVENTS)),
        days=pa.table({"day": pa.array([day for day, _ in days], pa.date32()), "vehicles": [count for _, count in days]}),
    )


class Parts(HTMLParser):
    """What a browser would take from the page. scripts, styles: their texts. tags: names with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self._texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._texts = {"script": self.scripts, "style": self.styles}.get(tag, [])
        self._texts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._texts = []

    def handle_data(self, data: str) -> None:
        self._texts[-1:] = ["".join([*self._texts[-1:], data])]

    @property
    def data(self) -> dict[str, Any]:
        result: dict[str, Any] = json.loads(self.scripts[0])
        return result


def points_of(track: dict[str, Any]) -> list[Fix]:
    """A track's points as fixes again."""
    summed = {name: list(accumulate(track[name])) for name in ("t", "lat", "lon")}
    return [
        (t, lat / 1e5, lon / 1e5, v) for t, lat, lon, v in zip(summed["t"], summed["lat"], summed["lon"], track["v"], strict=True)
    ]
