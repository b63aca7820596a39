"""Rows for people and for programs: a table, JSON or CSV."""

from __future__ import annotations

import base64
import json
import math
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from enum import StrEnum
from typing import Any, TextIO

import pyarrow as pa

from fleetlake.foundation.display import escape_controls
from fleetlake.foundation.errors import BadInput

TABLE_ROWS = 50
WIDEST = 80
WORD = 20
PLACE = re.compile(r"(^|_)(lat|latitude|lon|lng|longitude)$", re.IGNORECASE)
FORMULA = re.compile(r"'*[=+\-@\uff1d\uff0b\uff0d\uff20\t\r\n]")
QUOTED = re.compile('[,"\r\n]')
NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
NOT_PLAIN = re.compile(r"[^ -~\n]+")  # all that may not be printable; line breaks are those between values, others are escaped
FOLDABLE = 1.5  # times the terminal's width a table may have, to be folded into it


class Form(StrEnum):
    """How rows are written. TABLE is for reading and may shorten; JSON and CSV hold everything."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def form_of(*, as_json: bool, as_csv: bool = False) -> Form:
    """BadInput for both at once."""
    if as_json and as_csv:
        raise BadInput("--json and --csv together", allowed="one of them")
    return Form.JSON if as_json else Form.CSV if as_csv else Form.TABLE


def write_rows(
    rows: pa.Table,
    form: Form,
    *,
    limit: int | None = None,
    out: TextIO | None = None,
    title: str = "",
    numbers: Collection[str] = (),
) -> None:
    """Writes rows to `out` (stdout).

    JSON: an array of objects; times ISO 8601 in UTC; bytes as text, or base64 if they are not UTF-8; no number for infinities and
    NaN, but null. CSV: a header, null as nothing; a text that a spreadsheet would calculate has an apostrophe before it, as
    `csv_text` says. Table: through rich in a terminal, aligned text elsewhere. No form lets a text control a terminal: in JSON and
    tables control characters are always escaped, in CSV where the stream is a terminal.
    limit: rows at most (0: all); by default 50 in a table, and all in JSON and CSV. numbers: columns of text that a table aligns as
    it does numbers.
    """
    stream = out or sys.stdout
    most = limit if limit is not None else TABLE_ROWS if form is Form.TABLE else 0
    shown = rows.slice(0, most) if most else rows
    if form is Form.JSON:
        write_json_array(_records(shown), stream)
    elif form is Form.CSV:
        _write_csv(shown, stream)
    else:
        _write_table(shown, stream, title, numbers)
        if shown.num_rows < rows.num_rows:
            stream.write(f"({shown.num_rows} of {rows.num_rows} rows; --limit 0 shows all)\n")


def write_json(value: object, out: TextIO | None = None) -> None:
    """One JSON document, values as in write_rows."""
    (out or sys.stdout).write(_json_text(value, indent=2) + "\n")


def write_json_array(records: Iterable[object], stream: TextIO) -> None:
    """A JSON array, a line a record."""
    separator = "[\n"
    for record in records:
        stream.write(separator + _json_text(record))
        separator = ",\n"
    stream.write("\n]\n" if separator != "[\n" else "[]\n")


def _json_text(value: object, indent: int | None = None) -> str:
    """JSON of a value, with every character that is not printable by its number: to a parser it is the same."""
    text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False, indent=indent)
    if text.isprintable():
        return text
    return NOT_PLAIN.sub(lambda found: "".join(map(_json_char, found[0])), text)


def _json_char(char: str) -> str:
    return char if char.isprintable() else json.dumps(char)[1:-1]


def plain(value: Any) -> Any:
    """A value as JSON knows it."""
    match value:
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case date() | time():
            return value.isoformat()
        case bytes():
            return text_or_base64(value)
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case dict():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case None | bool() | int() | str():
            return value
        case _:
            return str(value)


def text_or_base64(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode()


def printable(text: str, widest: int = WIDEST) -> str:
    """Text that can't move a terminal's cursor or break a line: control characters escaped, what is longer than `widest` cut."""
    safe = escape_controls(text[: widest + 1])
    return safe if len(safe) <= widest else safe[: widest - 1] + "…"


def cell(value: Any, *, is_place: bool = False) -> str:
    """A value as a table shows it; is_place: degrees, of which three decimals would be a hundred metres."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float() if is_place:
            return f"{value:.6f}"
        case float():
            return (
                f"{value:.6g}"
                if abs(value) < 1e-3 or abs(value) >= 1e9
                else f"{value:,.3f}".rstrip("0").rstrip(".").replace(",", "")
            )
        case datetime():
            spec = "milliseconds" if value.microsecond else "seconds"
            return value.isoformat(sep=" ", timespec=spec).replace("+00:00", "Z")
        case bytes():
            return printable(value.decode("utf-8", errors="backslashreplace"))
        case dict() | list():
            return printable(json.dumps(plain(value), ensure_ascii=False))
        case _:
            return printable(str(value))


def _records(rows: pa.Table) -> Iterator[dict[str, Any]]:
    names = _unique(rows.column_names)
    for batch in rows.to_batches(max_chunksize=10_000):
        columns = [column.to_pylist() for column in batch.columns]
        for values in zip(*columns, strict=True):
            yield dict(zip(names, values, strict=True))


def _unique(names: Sequence[str]) -> list[str]:
    """`SELECT a, a` has two columns of one name; an object can't."""
    made: list[str] = []
    for name in names:
        candidate, count = name, 1
        while candidate in made:
            candidate = f"{name}_{count}"
            count += 1
        made.append(candidate)
    return made


def _write_csv(rows: pa.Table, stream: TextIO) -> None:
    put = escape_controls if stream.isatty() else str
    header = [put(csv_text(name)) for name in rows.column_names]
    stream.write(_csv_line(header))
    for record in _records(rows):
        values = (plain(value) for value in record.values())
        texts = (json.dumps(value) if isinstance(value, (dict, list)) else value for value in values)
        stream.write(_csv_line([put(csv_text(value)) if isinstance(value, str) else value for value in texts]))


def _csv_line(values: Sequence[object]) -> str:
    """A line of CSV. Python's writer before 3.13 leaves a lone carriage return unquoted, which others take for the end of a row."""
    cells = ["" if value is None else str(value) for value in values]
    quoted = ['"' + cell.replace('"', '""') + '"' if QUOTED.search(cell) else cell for cell in cells]
    return (",".join(quoted) if quoted != [""] else '""') + "\n"


def csv_text(text: str) -> str:
    """Return a text as a cell that no spreadsheet calculates: with an apostrophe before it if it could be a formula (OWASP).

    It could be one if it begins with = + - @, their wide forms, a tab or a line break, and is no number. Such a text that has
    apostrophes before it already gets one more, so that taking one away from each cell that FORMULA matches gives the texts back.
    """
    return f"'{text}" if FORMULA.match(text) and not NUMBER.fullmatch(text) else text


def _write_table(rows: pa.Table, stream: TextIO, title: str, numbers: Collection[str]) -> None:
    names = [printable(name) for name in rows.column_names]
    numeric = [_is_number(field.type) or field.name in numbers for field in rows.schema]
    places = [bool(PLACE.search(name)) for name in names]
    body = [
        [cell(value, is_place=place) for value, place in zip(record.values(), places, strict=True)] for record in _records(rows)
    ]
    if stream.isatty():
        _write_rich(names, numeric, body, stream, title)
    else:
        _write_aligned(names, numeric, body, stream)


def _write_rich(names: list[str], numeric: list[bool], body: list[list[str]], stream: TextIO, title: str) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=stream)
    if sum(width + 3 for width in _widths([names, *body])) > FOLDABLE * console.width:
        _write_lines(names, body, stream)
        return
    table = Table(title=title or None, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for column, (name, right) in enumerate(zip(names, numeric, strict=True)):
        whole = all(len(row[column]) <= WORD and " " not in row[column] for row in body)  # an id broken in two can't be copied
        table.add_column(Text(name), justify="right" if right else "left", overflow="fold", no_wrap=whole)
    for row in body:
        table.add_row(*map(Text, row))  # Text: what a payload holds is never markup
    console.print(table)


def _write_lines(names: list[str], body: list[list[str]], stream: TextIO) -> None:
    """A line a value, for rows that no terminal is wide enough for."""
    widest = max(map(len, names))
    for number, row in enumerate(body, 1):
        stream.write(f"row {number}\n")
        stream.writelines(f"  {name.ljust(widest)}  {value}\n" for name, value in zip(names, row, strict=True))


def _write_aligned(names: list[str], numeric: list[bool], body: list[list[str]], stream: TextIO) -> None:
    lines = [names, *body]
    widths = _widths(lines)
    for line in lines:
        cells = (
            text.rjust(width) if right else text.ljust(width) for text, width, right in zip(line, widths, numeric, strict=True)
        )
        stream.write("  ".join(cells).rstrip() + "\n")


def _widths(lines: list[list[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*lines, strict=True)]


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
