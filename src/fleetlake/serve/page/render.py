"""The page of the drives as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from fleetlake.lake.catalog import Lake
from fleetlake.serve.page.assemble import assemble
from fleetlake.serve.page.collect import DrivePage, PageLimits, TopicCounts, collect_drives
from fleetlake.serve.page.payload import payload


def render_page(
    page: DrivePage, counts: Sequence[TopicCounts] = (), *, day: date | None = None, limits: PageLimits | None = None
) -> str:
    """The HTML: one file that asks the network for nothing. day: the one it opens with and `counts` are of, the newest by default.

    What comes from outside (device ids) is inside the data, and the script shows it only as text.
    """
    data = payload(page, counts, limits or PageLimits(), day)
    return assemble("fleetlake.serve.page", "page.html", styles=["page.css"], scripts=["page.js"], data=data)


def write_page(lake: Lake, path: Path, *, counts: Sequence[TopicCounts] = (), day: date | None = None) -> None:
    """Writes the page of a lake's drives to `path`, and makes the folder if it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render_page(collect_drives(lake), counts, day=day), encoding="utf-8")
