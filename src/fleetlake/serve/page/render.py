"""The page's three files and its data, put into one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path

from fleetlake.lake.catalog import Lake
from fleetlake.serve.page.collect import DrivePage, TopicCounts, collect_drives


def render_page(page: DrivePage, counts: Sequence[TopicCounts] = ()) -> str:
    """The HTML. Data from outside (device ids) is JSON without `<`, and the script only ever shows it as text."""
    data = json.dumps(asdict(page) | {"counts": [asdict(count) for count in counts]}, separators=(",", ":"), default=str)
    for character, escape in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029")):
        data = data.replace(character, escape)
    html = _file("page.html")
    for name, text in (("/*STYLE*/", _file("page.css")), ("/*SCRIPT*/", _file("page.js")), ("/*DATA*/", data)):
        html = html.replace(name, text, 1)
    return html


def write_page(lake: Lake, path: Path, *, counts: Sequence[TopicCounts] = ()) -> None:
    """Writes the page of a lake's drives to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render_page(collect_drives(lake), counts), encoding="utf-8")


def _file(name: str) -> str:
    return files("fleetlake.serve.page").joinpath(name).read_text(encoding="utf-8")
