"""A report as one HTML file: totals, map, speed profile, score breakdown and table; no network, no server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape as escape_html
from pathlib import Path

from fleetlake.contracts.gold import DRIVING_EVENTS_KINDS
from fleetlake.foundation.display import escape_controls
from fleetlake.foundation.errors import BadInput
from fleetlake.lake.catalog import Lake
from fleetlake.serve.page.assemble import assemble
from fleetlake.serve.reports.catalogue import WHAT_HAPPENED
from fleetlake.serve.reports.definition import Answer, Row, Shown
from fleetlake.serve.reports.scores import EVENTS, SCORES, Breakdown, break_down, summary
from fleetlake.serve.reports.terminal import POINTS, put_for_people
from fleetlake.serve.reports.tracks import Drawing, draw
from fleetlake.serve.reports.wording import fixed, words

PAGE_ROWS = 2000
BARS = 100
LONG = 20  # letters of a first column, which stays in sight, that on a phone would leave no room for others


def write_report_page(lake: Lake, answer: Answer, path: Path, *, limit: int | None = None) -> int:
    """Writes the page to `path`, over what is there, and returns its bytes. The tracks are read by the answer's selection.

    limit: rows of a table at most (0: all), 2000 by default. BadInput if the file can't be written.
    """
    require_folder(path)
    html = render_report(answer, draw(lake, answer.selection), made_at=datetime.now(UTC), limit=limit).encode()
    try:
        path.write_bytes(html)
    except OSError as error:
        raise BadInput(f"can't write: {error.strerror}", where=str(path), allowed="a file that can be written") from error
    return len(html)


def require_folder(path: Path) -> None:
    """BadInput if there is no folder for the file."""
    if not path.parent.is_dir():
        raise BadInput(f"there is no folder {path.parent}", where=f"--html {path}", allowed="a file in a folder that is there")


def render_report(answer: Answer, drawing: Drawing, *, made_at: datetime, limit: int | None = None) -> str:
    """The HTML. Whatever comes from the lake is escaped text, or JSON that the script shows as text."""
    most = PAGE_ROWS if limit is None else limit or None
    is_explained = EVENTS in answer.rows.column_names
    return assemble(
        "fleetlake.serve.reports", "report.html", styles=["report.css"], scripts=["report.js"], data=drawing.data,
        TITLE=escape(answer.report.title),
        CHOSEN=escape(_chosen(answer)),
        TOTALS=_totals(answer),
        SCORES=_bars(break_down(answer.rows)) if answer.report.name == SCORES.name else "",
        MAP_HIDDEN="" if drawing.has_tracks else " hidden",
        MAP_NOTES=_notes(drawing.notes) if drawing.has_tracks else "",
        TABLE=_table_card(answer, most) + ("" if drawing.has_tracks else _notes(drawing.notes)),
        EXPLAINED=_explained(answer.rows.to_pylist(), most) if is_explained else "",
        MADE=f"{made_at:%Y-%m-%d %H:%M} UTC",
    )  # fmt: skip


def escape(text: str) -> str:
    """Return a text as HTML that shows it, with characters that can't be seen, or turn others around, by their numbers."""
    return escape_html(escape_controls(text))


def _chosen(answer: Answer) -> str:
    selection = answer.selection
    device = f"device {selection.device}" if selection.device else "all devices"
    return f"{device}, {selection.period or 'all that is in the lake'}"


def _totals(answer: Answer) -> str:
    tiles = "".join(f"<div><dt>{escape(label)}</dt><dd>{escape(figure)}</dd></div>" for label, figure in answer.totals)
    return f'<dl class="tiles" aria-label="Totals">{tiles}</dl>' if tiles else ""


def _notes(notes: Sequence[str]) -> str:
    return f'<p class="note">{escape(" ".join(notes))}</p>' if notes else ""


def _table_card(answer: Answer, most: int | None) -> str:
    title = f"<h2>{escape(answer.report.title)}</h2>"
    if not answer.rows.num_rows:
        return f'<section class="card table-card">{title}<p class="empty">{escape(_sentence(answer.nothing))}</p></section>'
    rows = (answer.shown.slice(0, most) if most else answer.shown).to_pylist()
    notes = [_sentence(answer.report.note)] if answer.report.note else []
    if len(rows) < answer.shown.num_rows:
        notes.append(f"These are {len(rows):,} of {answer.shown.num_rows:,} rows; --limit 0 puts all on the page.")
    table = _table(rows, answer.report.columns, answer.report.title)
    return f'<section class="card table-card">{title}{table}{_notes(notes)}</section>'


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _table(rows: Sequence[Row], columns: Iterable[Shown], title: str) -> str:
    put = put_for_people(rows, tuple(columns))
    style = [' class="n"' if column.is_number else "" for column, _ in put]
    head = "".join(f'<th scope="col"{of}>{escape(column.head)}</th>' for (column, _), of in zip(put, style, strict=True))
    body = "".join(
        f"<tr>{''.join(f'<td{of}>{escape(text)}</td>' for text, of in zip(texts, style, strict=True))}</tr>\n"
        for texts in zip(*(texts for _, texts in put), strict=True)
    )
    scroll = f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(title)}">'
    is_wide = any(len(text) > LONG for text in put[0][1])
    names = "rows wide" if is_wide else "rows"
    return f'{scroll}<table class="{names}"><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>'


def _bars(broken_down: Sequence[Breakdown]) -> str:
    """A bar of 100 points a device: what was kept, and what each kind of event cost."""
    if not broken_down:
        return ""
    kinds = "".join(f"<li>{_rectangle(kind)}{words(kind)}</li>" for kind in DRIVING_EVENTS_KINDS)
    bars = "".join(map(_bar, broken_down[:BARS]))
    more = f'<p class="note">The {BARS} lowest scores; there are more in the table.</p>' if len(broken_down) > BARS else ""
    return f"""<section class="card scores-card"><h2>What each kind of event cost, of 100 points</h2>
<ul class="kinds"><li>{_rectangle("kept")}score</li>{kinds}</ul>
<ol class="bars">
{bars}</ol>{more}</section>"""


def _rectangle(kind: str) -> str:
    return f'<svg viewBox="0 0 2 1" aria-hidden="true"><rect class="{kind}" width="2" height="1"/></svg>'


def _bar(device: Breakdown) -> str:
    scale = 100 / max(100.0, sum(device.points.values()))
    at, parts = device.score, [f'<rect class="kept" width="{device.score:.2f}" height="1"/>']
    for kind, points in device.points.items():
        parts.append(f'<rect class="{kind}" x="{at:.2f}" width="{points * scale:.2f}" height="1"/>')
        at += points * scale
    costs = [f"{words(kind)} {fixed(points, 1)} ({device.events[kind]})" for kind, points in device.points.items() if points]
    return (
        f'<li><span class="device">{escape(device.device_id)}</span> <b>{fixed(device.score, 1)}</b> '
        f'<svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">{"".join(parts)}</svg> '
        f'<span class="lost">{escape(", ".join(costs)) or "nothing lost"}</span></li>\n'
    )


def _explained(rows: Sequence[Row], most: int | None) -> str:
    """Below each score its driving events and what each cost, `most` of them in all."""
    parts, left = [], most
    for row in rows:
        events = row[EVENTS] if left is None else row[EVENTS][:left]
        parts.append(f"<h3>{escape(summary(row))}</h3>")
        if events:
            parts.append(_table(events, (*WHAT_HAPPENED, POINTS), summary(row)))
        if left is not None and len(row[EVENTS]) >= left:
            parts.append(f"<p class='note'>The first {most:,} events; --limit 0 puts all on the page.</p>")
            break
        left = None if left is None else left - len(events)
    return f'<section class="card explained"><h2>What each event cost</h2>{"".join(parts)}</section>'
