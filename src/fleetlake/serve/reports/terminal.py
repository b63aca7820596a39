"""Reports as text: tables that fit a terminal, and below each score what it was lost by."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from textwrap import fill
from typing import Any, TextIO

import pyarrow as pa

from fleetlake.serve.output import TABLE_ROWS, Form, printable, write_rows
from fleetlake.serve.reports.catalogue import WHAT_HAPPENED
from fleetlake.serve.reports.definition import Answer, Row, Shown
from fleetlake.serve.reports.scores import EVENTS, summary
from fleetlake.serve.reports.wording import fixed

WIDTH = 118  # 120, of which a terminal's table has two for its edges
GAP = 2  # between columns
NARROWEST = 8
POINTS = Shown("points", lambda row: "" if row["points"] is None else fixed(-row["points"], 2), is_number=True)


def write_report(answer: Answer, *, limit: int | None = None, out: TextIO | None = None) -> None:
    """A report for people: its table, `limit` rows at most (0: all), what the columns mean, the totals."""
    stream, report = out or sys.stdout, answer.report
    if not answer.rows.num_rows:
        stream.write(printable(answer.nothing, widest=WIDTH * 2) + "\n")
        return
    most = TABLE_ROWS if limit is None else limit
    rows = (answer.shown.slice(0, most) if most else answer.shown).to_pylist()
    if EVENTS in answer.shown.column_names:
        for row in rows:
            _write_explained(row, stream)
    else:
        _write_table(rows, report.columns, stream, title=report.title)
    if len(rows) < answer.shown.num_rows:
        stream.write(f"({len(rows)} of {answer.shown.num_rows} rows; --limit 0 shows all)\n")
    if report.note:
        stream.write(fill(f"({report.note})", WIDTH) + "\n")
    stream.write(fill(answer.totals_line, WIDTH) + "\n")


def put_for_people(rows: Sequence[Row], columns: Sequence[Shown]) -> list[tuple[Shown, list[str]]]:
    """The columns a table has, with the text of each row; an optional one that no row has is left out."""
    put = [(column, [column.text(row) for row in rows]) for column in columns]
    return [(column, texts) for column, texts in put if any(texts) or not column.is_optional]


def _write_table(rows: Sequence[Row], columns: Sequence[Shown], stream: TextIO, *, title: str = "", width: int = WIDTH) -> None:
    put = _fit([(column, [printable(text) for text in texts]) for column, texts in put_for_people(rows, columns)], width)
    table = pa.table({column.head: pa.array(texts, pa.string()) for column, texts in put})
    numbers = {column.head for column, _ in put if column.is_number}
    write_rows(table, Form.TABLE, limit=0, out=stream, title=title, numbers=numbers)


def _fit(put: list[tuple[Shown, list[str]]], width: int) -> list[tuple[Shown, list[str]]]:
    """Cuts texts that may be cut, the widest column first, until a line is no longer than `width`, if that is enough."""
    widths = [max(map(len, [column.head, *texts])) for column, texts in put]
    surplus = sum(widths) + GAP * (len(put) - 1) - width
    while surplus > 0:
        floors = [max(len(column.head), NARROWEST) for column, _ in put]
        can = [n for n, (column, _) in enumerate(put) if column.may_shrink and widths[n] > floors[n]]
        if not can:
            break
        widest = max(can, key=lambda n: widths[n])
        widths[widest] -= 1
        surplus -= 1
    return [(column, [printable(text, most) for text in texts]) for (column, texts), most in zip(put, widths, strict=True)]


def _write_explained(row: dict[str, Any], stream: TextIO) -> None:
    stream.write(printable(summary(row), widest=WIDTH * 2) + "\n")
    if not row[EVENTS]:
        return
    lines = io.StringIO()
    _write_table(row[EVENTS], (*WHAT_HAPPENED, POINTS), lines, width=WIDTH - 4)
    stream.writelines(f"    {line}\n" for line in lines.getvalue().splitlines())
