"""One self-contained HTML page of the drives in a lake: no network, no server, nothing to install."""

from fleetlake.serve.page.collect import DrivePage, PageLimits, TopicCounts, collect_drives
from fleetlake.serve.page.render import render_page, write_page

__all__ = ["DrivePage", "PageLimits", "TopicCounts", "collect_drives", "render_page", "write_page"]
