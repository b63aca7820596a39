"""The picture of a comparison: two bars for each system, as SVG text."""

from __future__ import annotations

from html import escape

from benchmarks.bars import TITLES, Figures, median, number

WIDTH, LABEL, PLOT, GAP, ROW, TOP, BAR = 960, 210, 290, 80, 26, 62, 16
OURS, PEER, LIMIT, TEXT = "#1f6feb", "#8b949e", "#c9d1d9", "#24292f"
PANELS = (("events_per_s", "events/s, more is better"), ("cpu_s_per_million", "CPU s per million events, less is better"))


def draw(figures: Figures) -> str:
    """Ours in blue, the peers grey, raw consume light: nothing that has to read can be faster. A failed system has no bars."""
    systems = [s for s in dict.fromkeys(run["system"] for run in figures["runs"]) if not s.startswith("simulator")]
    height = TOP + ROW * len(systems) + 30
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="12" fill="{TEXT}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="10" y="22" font-size="15" font-weight="bold">{figures["rows"]:,} vehicle events from Kafka to committed Iceberg'
        f"</text>",
    ]
    for i, system in enumerate(systems):
        out.append(
            f'<text x="{LABEL - 8}" y="{TOP + i * ROW + BAR - 3}" text-anchor="end">{escape(TITLES.get(system, system))}</text>'
        )
    for panel, (name, title) in enumerate(PANELS):
        left = LABEL + panel * (PLOT + GAP)
        out.append(f'<text x="{left}" y="{TOP - 14}" font-weight="bold">{title}</text>')
        values = [median(figures, system, name) for system in systems]
        largest = max((value for value in values if value), default=1.0)
        for i, (system, value) in enumerate(zip(systems, values, strict=True)):
            top, wide = TOP + i * ROW, round((value or 0.0) / largest * PLOT, 1)
            said = "failed" if value is None else number(value)
            out.append(f'<rect x="{left}" y="{top}" width="{wide}" height="{BAR}" fill="{_colour(system)}"/>')
            out.append(f'<text x="{left + wide + 5}" y="{top + BAR - 3}">{said}</text>')
    machine = figures["machine"]
    where = f"{figures['date']}, {machine['cores']} cores ({machine['cpu']}), medians; the broker shares the cores"
    out.append(f'<text x="10" y="{height - 10}" font-size="11">{escape(where)}</text>')
    return "\n".join([*out, "</svg>"]) + "\n"


def _colour(system: str) -> str:
    return LIMIT if system.startswith("raw") else OURS if system in ("native", "spark-cold", "spark-warm") else PEER
