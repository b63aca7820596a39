"""The page's files and its data, put into one."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from fleetlake.lake.catalog import Lake
from fleetlake.serve.page.collect import DrivePage, PageLimits, TopicCounts, collect_drives
from fleetlake.serve.page.payload import payload

SCRIPTS = ("data.js", "towns.js", "map.js", "chart.js", "page.js")
ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def render_page(page: DrivePage, counts: Sequence[TopicCounts] = (), *, limits: PageLimits | None = None) -> str:
    """The HTML: one file that asks the network for nothing. counts: shown at the top if there are any.

    What comes from outside (device ids) is inside JSON in which no `<` is left, the script shows it only as text, and the content
    security policy runs nothing but this very script.
    """
    document = json.dumps(payload(page, counts, limits or PageLimits()), separators=(",", ":"), allow_nan=False)
    style, script = _file("page.css"), "".join(map(_file, SCRIPTS))
    parts = {
        "STYLE": style,
        "SCRIPT": script,
        "STYLE_HASH": _hash(style),
        "SCRIPT_HASH": _hash(script),
        "DATA": re.sub("[<>&]", lambda found: ESCAPES[found[0]], document),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _file("page.html"))


def write_page(lake: Lake, path: Path, *, counts: Sequence[TopicCounts] = ()) -> None:
    """Writes the page of a lake's drives to `path`, and makes the folder if it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render_page(collect_drives(lake), counts), encoding="utf-8")


def _file(name: str) -> str:
    return files("fleetlake.serve.page").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """As a content security policy names an inline script or style."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
