"""The pages in a real browser, with devices of hostile names: no script of theirs runs, nothing is asked for, and they can be read.

Runs where Debian's package chromium is installed. Elsewhere test_page.py and test_report_page.py check the same of the HTML alone.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode

import pytest
from drive_pages import DAY, Parts, fixes, page_of
from report_rows import at, fill, row, score

from fleetlake.contracts.gold import DRIVER_SCORES, DRIVING_EVENTS
from fleetlake.foundation.display import escape_controls
from fleetlake.lake.catalog import Lake
from fleetlake.serve.page import TopicCounts, render_page
from fleetlake.serve.reports import Period, read_report, scores_of
from fleetlake.serve.reports.page import render_report
from fleetlake.serve.reports.tracks import draw

CHROMIUM = Path("/usr/bin/chromium")
NAMES = [
    "<script>document.title='OWNED'</script>",
    "</script><script>document.title='OWNED';fetch('http://evil.example/a')</script>",
    "</style></title></textarea></svg><img src=http://evil.example/b onerror=document.title='OWNED'>",
    "<svg onload=document.title='OWNED'><image href=http://evil.example/c></svg>",
    "\"><iframe src=http://evil.example/d></iframe>",
    "' onmouseover=document.title='OWNED' autofocus onfocus=document.title='OWNED' x='",
    "<link rel=stylesheet href=http://evil.example/e><style>*{background:url(http://evil.example/f)}</style>",
    "<meta http-equiv=refresh content='0;url=http://evil.example/g'><base href=http://evil.example/>",
    "javascript:document.title='OWNED'",
    "--><!--<script>document.title='OWNED'//",
    "]]>&lt;b&gt;&amp;",
    "\u2028document.title='OWNED'\u2029",
    "${document.title='OWNED'}`\\",
    "{{DATA}}{{SCRIPT}}",
    "\u202egnp.exe\u2066x",
    "\x1b]0;OWNED\x07\x9b31m",
    "[bold red]x[/]",
]  # fmt: skip
DRIVE = [(8 * 3600 + 3.0 * i, 52 + 0.0005 * i, -1 + 0.0002 * (i % 7), 40.0 + i % 5) for i in range(20)]
Look = Callable[..., str]


@pytest.fixture(scope="module")
def look(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Look]:
    """Opens HTML in the browser, which has the module's server as its proxy; returns the document after its scripts ran.

    Asserts that nothing was asked for at evil.example, unless `may_ask`.
    """
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}: apt-get install chromium")
    folder = tmp_path_factory.mktemp("browser")
    asked: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        do_CONNECT = do_POST = do_GET  # noqa: N815 - names of http.server

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def opened(html: str, fragment: str = "", *, may_ask: bool = False) -> str:
        asked.clear()
        file = folder / "page.html"
        file.write_text(html, encoding="utf-8")
        command = [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
            "--disable-background-networking", "--disable-component-update", f"--user-data-dir={folder / 'profile'}",
            f"--proxy-server=127.0.0.1:{server.server_port}", "--virtual-time-budget=2000", "--window-size=1200,1600",
            f"--screenshot={folder / 'page.png'}", "--dump-dom", f"{file.as_uri()}{fragment}",
        ]  # fmt: skip
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=120, env=os.environ | {"HOME": str(folder)}
        )
        assert done.returncode == 0, done.stderr[-2000:]
        assert may_ask == any("evil.example" in address for address in asked), asked
        return done.stdout

    try:
        yield opened
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Document(Parts):
    """A document as the browser has it. cells: the texts of all cells of tables, with what is in a cell's button."""

    def __init__(self, html: str) -> None:
        self.cells: list[str] = []
        self._is_open = False
        super().__init__(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        super().handle_starttag(tag, attrs)
        if tag == "td":
            self._is_open = True
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        super().handle_endtag(tag)
        self._is_open = self._is_open and tag != "td"

    def handle_data(self, data: str) -> None:
        super().handle_data(data)
        if self._is_open:
            self.cells[-1] += data

    def require_harmless(self) -> None:
        names = [name for name, _ in self.tags]
        assert not {"img", "image", "iframe", "link", "base", "object", "embed", "a"} & set(names)
        assert names.count("script") == 2  # the data and ours
        assert not [name for _, attributes in self.tags for name in attributes if name.startswith("on") or name in ("src", "href")]


def test_the_browser_would_obey_such_names_if_they_were_not_escaped(look: Look) -> None:
    assert "<title>OWNED" in look(f"<title>x</title>{''.join(NAMES[:2])}{NAMES[2]}", may_ask=True)


@pytest.mark.parametrize("chosen", ["", NAMES[1]])
def test_the_page_of_the_drives(look: Look, chosen: str) -> None:
    episode = {"start_time": DAY, "is_open": False, "duration_s": 9.0}
    html = render_page(
        page_of(
            *(fixes(name, DRIVE) for name in NAMES),
            trips=[episode | {"device_id": name, "end_time": DAY, "distance_km": 1.0} for name in NAMES],
            stops=[episode | {"device_id": name, "latitude": 52.0, "longitude": -1.0} for name in NAMES],
        ),
        [TopicCounts(NAMES[2], 1, 1, 0, 0)],
    )
    document = look(html, "#" + urlencode({"day": "2026-03-01", "vehicle": chosen}))
    Document(document).require_harmless()
    assert "<title>OWNED" not in document
    assert set(map(escape_controls, NAMES)) <= set(Document(document).cells)
    assert f"Where {chosen or 'they'} drove" in unescape(document)


def test_a_report_with_scores(look: Look, bare_lake: Lake) -> None:
    fill(bare_lake, DRIVER_SCORES, [score(DRIVER_SCORES, name, 100.0, 90.0, overspeed=(1, 10.0)) for name in NAMES])
    fill(bare_lake, DRIVING_EVENTS, [
        row(DRIVING_EVENTS, device_id=name, kind="overspeed", start_time=at(8), duration_s=15.0, peak_speed_kmh=131.0,
            speed_limit_kmh=113.0, latitude=52.001, longitude=-1.0)
        for name in NAMES
    ])  # fmt: skip
    answer = read_report(bare_lake, scores_of(Period.DAY, explained=True))
    document = look(render_report(answer, draw(bare_lake, answer.selection), made_at=DAY))
    Document(document).require_harmless()
    assert "<title>OWNED" not in document
    assert set(map(escape_controls, NAMES)) <= set(Document(document).cells)
    assert all(escape_controls(name) in unescape(document) for name in NAMES)
