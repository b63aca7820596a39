"""What is wrong with recorded rows, by the contract's own rules. Such rows are sent all the same; the ingest quarantines them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fleetlake.contracts.columns import FIRST_YEAR, LAST_YEAR, Column, Type
from fleetlake.contracts.events import GPS, Event
from fleetlake.simulate.replay.cells import LINE_BREAK
from fleetlake.simulate.replay.mapping import POSITION, mappable, target
from fleetlake.simulate.replay.rows import FILE, MALFORMED, NUMBER, SWALLOWED, text_of, value_of

EXAMPLES = 5
STRAY_QUOTE = "from one quote to the next"


@dataclass(frozen=True, slots=True)
class Problem:
    """what: of which field. rows: how many. first: the first of them, as file:number."""

    what: str
    rows: int
    first: tuple[str, ...]


def find_problems(rows: pa.Table, events: Sequence[Event], files: Sequence[str]) -> list[Problem]:
    """The problems of the gps events, then those that only the other events have, the most frequent first."""
    found: dict[str, np.ndarray] = {}
    for event in sorted(events, key=lambda event: event is not GPS):
        for what, where in _problems_of(rows, event):
            if where.any():
                found.setdefault(what, where)
    if SWALLOWED in rows.column_names:
        lines = rows[SWALLOWED].fill_null(0).to_numpy()
        found[f"a cell has line breaks ({_more_lines(lines.sum())} in it that could be rows, {STRAY_QUOTE})"] = lines > 0
    return sorted((_problem(rows, what, where, files) for what, where in found.items()), key=lambda problem: -problem.rows)


def _problem(rows: pa.Table, what: str, where: np.ndarray, files: Sequence[str]) -> Problem:
    places = rows.select([FILE, NUMBER]).filter(where).sort_by([(FILE, "ascending"), (NUMBER, "ascending")])
    first = [f"{files[row[FILE]]}:{row[NUMBER]}" for row in places.slice(0, EXAMPLES).to_pylist()]
    return Problem(what, places.num_rows, tuple(first))


def _problems_of(rows: pa.Table, event: Event) -> Iterator[tuple[str, np.ndarray]]:
    malformed = _valid(rows, text_of(event.kind, MALFORMED))
    yield "more or fewer cells than the header", malformed
    required = {field.name for field in event.fields if field.required} | set(POSITION)
    for name in mappable(event):
        values, text = value_of(event.kind, name), text_of(event.kind, name)
        if values not in rows.column_names:
            continue
        seen = _valid(rows, values)
        column = target(event, name)
        if column.type is Type.TIMESTAMP:
            years = pc.year(rows[values])
            strange = pc.or_(pc.less(years, FIRST_YEAR), pc.greater(years, LAST_YEAR)).fill_null(False)
            yield f"{name} is outside {FIRST_YEAR} to {LAST_YEAR}", strange.to_numpy()
        broken = _broken_lines(rows, text)
        yield f"{name} has line breaks ({_more_lines(broken.sum())} in it, {STRAY_QUOTE})", broken > 0
        yield f"{name} is not a {column.type}", _valid(rows, text) & (broken == 0)
        yield f"{name} is {_broken(column)}", seen & ~_within(rows[values], column)
        if name in required:
            yield f"{name} is empty", ~seen & ~_valid(rows, text) & ~malformed


def _valid(rows: pa.Table, name: str) -> np.ndarray:
    result: np.ndarray = rows[name].is_valid().to_numpy() if name in rows.column_names else np.zeros(rows.num_rows, bool)
    return result


def _broken_lines(rows: pa.Table, name: str) -> npt.NDArray[np.int64]:
    """Of each row how many lines the text of that name has beyond its first."""
    if name not in rows.column_names:
        return np.zeros(rows.num_rows, np.int64)
    result: npt.NDArray[np.int64] = pc.count_substring_regex(rows[name], LINE_BREAK).fill_null(0).cast(pa.int64()).to_numpy()
    return result


def _more_lines(count: int) -> str:
    return f"{count:,} more line{'' if count == 1 else 's'}"


def _broken(column: Column) -> str:
    """What a value that is not _within the column is."""
    if column.choices:
        return f"none of {', '.join(column.choices)}"
    return f"outside {column.minimum:g} to {column.maximum:g} {column.unit}".rstrip() if column.minimum is not None else ""


def _within(values: pa.ChunkedArray, column: Column) -> np.ndarray:
    good = np.ones(len(values), bool)
    if column.choices:
        good &= pc.is_in(values, pa.array(column.choices)).to_numpy()
    if column.minimum is not None:
        good &= pc.greater_equal(values, column.minimum).fill_null(True).to_numpy()
    if column.maximum is not None:
        good &= pc.less_equal(values, column.maximum).fill_null(True).to_numpy()
    return good
