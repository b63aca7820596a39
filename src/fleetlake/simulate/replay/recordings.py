"""Recorded drives as columns of text: CSV and GPX."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.parsers import expat

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fleetlake.foundation.errors import BadInput

BLOCK_BYTES = 1 << 20
CSV_BYTES = 1 << 30  # of text, unpacked: a small .csv.gz can hold any amount
MEMORY_BYTES = 1 << 30
# What a recording takes at the most, until it is sent: of its cells as they are kept here, and of GPX's text, a tree of objects.
TIMES_THE_CELLS, TIMES_THE_TREE = 6, 30
ROW_BYTES, COLUMN_BYTES = 60, 400  # and of each row, and each column of a block
MOST_COLUMNS = 10_000
GPX_DEPTH = 100  # the parsers of trees crash at some depth
GPX_NAMES = 1000  # of extensions: each is a column with a cell for each point
MALFORMED_LINES = 1_000_000  # each is kept with its text
MALFORMED_BYTES = 200  # beside its text
SEEN_CHARACTERS = 200
DELIMITERS = ",;\t|"
DEVICE = "device_id"


@dataclass(frozen=True, slots=True)
class Recording:
    """One file. table: n rows, every column text, "" or null where there is nothing.

    numbers: n line numbers (CSV, the header is line 1) or track point numbers (GPX, from 1).
    malformed: line number and text of the lines that have not as many cells as the header.
    left_out: of points that are no track's, and so not of a drive, what they are called and how many there are.
    """

    path: Path
    table: pa.Table
    numbers: npt.NDArray[np.int64]
    malformed: tuple[tuple[int, str], ...] = ()
    left_out: tuple[tuple[str, int], ...] = ()

    @property
    def device(self) -> str:
        """Who drove, where no column says so: the file's name."""
        return self.path.name.split(".")[0]


class Memory:
    """How much of the memory that recordings may take is left. Counted as it is taken, so that no file can take more."""

    def __init__(self, limit_bytes: int = MEMORY_BYTES) -> None:
        self._limit_bytes, self._taken_bytes = limit_bytes, 0

    @property
    def left_bytes(self) -> int:
        return self._limit_bytes - self._taken_bytes

    def take(self, count: int, path: Path) -> None:
        """Raises BadInput, which names the file and the setting, if there is not so much left."""
        self._taken_bytes += count
        if self._taken_bytes > self._limit_bytes:
            raise self.exceeded(path)

    def exceeded(self, path: Path) -> BadInput:
        return BadInput(
            "too much to replay at once",
            where=str(path),
            allowed=f"recordings that take {self._limit_bytes:,} bytes of memory",
            hint="split it, or raise replay.memory_bytes",
        )


def read_recording(path: Path, memory: Memory | None = None) -> Recording:
    """Reads a .csv (also .csv.gz; separated by comma, semicolon, tab or bar) or a .gpx; blank lines are left out.

    memory: what the recordings of a replay may take together. BadInput if it is neither, broken or too big: CSV_BYTES, memory.
    """
    memory = memory or Memory()
    if (name := _printable(str(path))) != str(path):
        raise BadInput("the name is not UTF-8", where=name, allowed="names in UTF-8: they become the device's")
    if not path.is_file():
        what = "this is a folder" if path.is_dir() else "not a file" if path.exists() else "no such file"
        raise BadInput(what, where=str(path), allowed="CSV and GPX files")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gpx"]:
        return _read_gpx(path, memory)
    if suffixes[-1:] in ([".csv"], [".tsv"], [".txt"]) or suffixes[-2:] == [".csv", ".gz"]:
        return _read_csv(path, memory)
    raise BadInput(
        f"can't tell what a {path.suffix or 'file without an ending'} is",
        where=str(path),
        allowed=".csv, .csv.gz, .tsv, .txt, .gpx",
    )


def _read_csv(path: Path, memory: Memory) -> Recording:
    malformed: list[tuple[int, str]] = []

    def keep(row: Any) -> str:
        malformed.append((row.number, row.text))
        try:
            memory.take(MALFORMED_BYTES + len(row.text), path)
        except BadInput:
            return "error"
        return "skip" if len(malformed) < MALFORMED_LINES else "error"

    try:
        _require_text(path)
        names, delimiter = _header(path)
        table, filled = _filled_rows(_csv_batches(path, names, delimiter, keep), path, memory)
    except UnicodeDecodeError as error:
        raise BadInput(
            f"not readable as CSV: byte {error.start} is not UTF-8", where=str(path), allowed="UTF-8 text with a header line"
        ) from error
    except (OSError, EOFError, csv.Error, pa.ArrowException) as error:
        if memory.left_bytes < 0:
            raise memory.exceeded(path) from error
        raise BadInput(f"not readable as CSV: {_short(error)}", where=str(path), allowed="UTF-8 text with a header line") from error
    lost = np.array([number for number, _ in malformed], np.int64)
    before = np.searchsorted(lost - 2 - np.arange(len(lost)), filled, side="right")  # malformed lines before each row
    return Recording(path, table, filled + 2 + before, tuple(malformed))


def _csv_batches(path: Path, names: list[str], delimiter: str, keep: Callable[[Any], str]) -> Iterator[pa.RecordBatch]:
    """The rows as texts, a block of the file at a time. keep: called for each line that has not as many cells as the header."""
    from pyarrow import csv as arrow_csv

    reader = arrow_csv.open_csv(
        path,
        read_options=arrow_csv.ReadOptions(use_threads=False),  # threads would leave the malformed rows without numbers
        parse_options=arrow_csv.ParseOptions(
            delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=keep
        ),
        convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
    )
    if reader.schema.names != names:
        raise BadInput("the header line is too long or not understood", where=str(path), allowed=f"up to {BLOCK_BYTES:,} bytes")
    yield pa.RecordBatch.from_pylist([], reader.schema)
    yield from reader


def _filled_rows(batches: Iterator[pa.RecordBatch], path: Path, memory: Memory) -> tuple[pa.Table, npt.NDArray[np.int64]]:
    """The rows that are not blank, and which of all they are, from 0."""
    kept: list[pa.RecordBatch] = []
    places, rows = [], 0
    for batch in batches:
        filled = np.flatnonzero(_filled(batch))
        part = batch if len(filled) == batch.num_rows else batch.take(filled)
        if part.num_rows or not kept:  # the first one has the schema
            memory.take(TIMES_THE_CELLS * part.nbytes + ROW_BYTES * part.num_rows + COLUMN_BYTES * part.num_columns, path)
            kept.append(part)
            places.append(filled + rows)
        rows += batch.num_rows
    return pa.Table.from_batches(kept), np.concatenate(places)


def _filled(batch: pa.RecordBatch) -> npt.NDArray[np.bool_]:
    """Where a row has anything in it: a blank line is a row without."""
    filled = np.zeros(batch.num_rows, bool)
    for column in batch.columns:
        filled |= pc.not_equal(column, "").to_numpy(zero_copy_only=False)
    return filled


def _require_text(path: Path) -> None:
    """UnicodeDecodeError if it is not UTF-8 throughout: Arrow's callbacks can't raise it. Binary files have NULs.

    BadInput if it is longer than CSV_BYTES.
    """
    decoder, at = codecs.getincrementaldecoder("utf-8")(), 0
    with pa.input_stream(str(path), compression="detect") as stream:
        while block := bytes(stream.read(BLOCK_BYTES)):
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                raise UnicodeDecodeError(error.encoding, error.object, at + error.start, at + error.end, error.reason) from error
            if (nul := block.find(b"\0")) >= 0:
                raise UnicodeDecodeError("utf-8", b"\0", at + nul, at + nul + 1, "a NUL")
            at += len(block)
            if at > CSV_BYTES:
                raise BadInput("too much to read at once", where=str(path), allowed=f"{CSV_BYTES:,} bytes of text", hint="split it")
        decoder.decode(b"", final=True)


def _header(path: Path) -> tuple[list[str], str]:
    with pa.input_stream(str(path), compression="detect") as stream:
        start = bytes(stream.read(BLOCK_BYTES)).decode("utf-8-sig", errors="replace")
    delimiter = max(DELIMITERS, key=start.partition("\n")[0].count)
    names = next(csv.reader(io.StringIO(start, newline=""), delimiter=delimiter), [])
    if not names and start.strip():
        raise BadInput("the first line is blank", where=str(path), allowed="a header line first, then the rows")
    if len(names) > MOST_COLUMNS:
        raise BadInput(f"{len(names):,} columns", where=str(path), allowed=f"up to {MOST_COLUMNS:,}")
    doubled = sorted(name for name, times in Counter(names).items() if times > 1)
    if doubled or not names:
        raise BadInput(
            f"two columns are called {doubled[0]}" if doubled else "the file is empty",
            where=str(path),
            allowed="a header line with each name once",
        )
    return names, delimiter


def _read_gpx(path: Path, memory: Memory) -> Recording:
    import gpxpy
    import gpxpy.gpx

    try:
        document = gpxpy.parse(_gpx_text(path, memory))
        points = [dict(_cells(point)) for track in document.tracks for segment in track.segments for point in segment.points]
    except (OSError, ValueError, expat.ExpatError, gpxpy.gpx.GPXException) as error:
        raise BadInput(f"not readable as GPX: {_short(error)}", where=str(path), allowed="GPX 1.0 or 1.1") from error
    if not points:
        raise BadInput(
            "no track points",
            where=str(path),
            allowed="a GPX file with a track; points of routes and waypoints are none of a drive",
        )
    names = list(dict.fromkeys(name for point in points for name in point))
    if len(names) > GPX_NAMES:
        raise BadInput(f"{len(names)} different names of values", where=str(path), allowed=f"up to {GPX_NAMES}")
    table = pa.table({name: pa.array([point.get(name) for point in points], pa.string()) for name in names})
    others = (("waypoint", len(document.waypoints)), ("route point", sum(len(route.points) for route in document.routes)))
    return Recording(path, table, np.arange(1, len(points) + 1), left_out=tuple(one for one in others if one[1]))


def _gpx_text(path: Path, memory: Memory) -> str:
    """The XML without its declaration, so that it is UTF-8 for every parser, too. Nothing in it refers to anything outside it."""
    memory.take(TIMES_THE_TREE * path.stat().st_size, path)
    content = path.read_bytes()
    text = re.sub(r"^\s*<\?xml\s[^>]*\?>", "", content.decode("utf-8-sig"))
    _check_tree(text)
    return text


def _check_tree(text: str) -> None:
    """ValueError for a tree that is too deep, or for a document type, which could multiply text and bring in other files."""
    depth = 0

    def enter(*_: object) -> None:
        nonlocal depth
        depth += 1
        if depth > GPX_DEPTH:
            raise ValueError(f"elements in more than {GPX_DEPTH} others")

    def leave(*_: object) -> None:
        nonlocal depth
        depth -= 1

    def refuse(*_: object) -> None:
        raise ValueError("there is a <!DOCTYPE>")

    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler, parser.EndElementHandler, parser.StartDoctypeDeclHandler = enter, leave, refuse
    parser.Parse(text.encode(), True)


def _cells(point: Any) -> Iterator[tuple[str, str]]:
    """A track point's cells. GPX knows speeds in m/s, so that column is called speed_ms."""
    yield "time", point.time.isoformat() if point.time else ""
    yield "latitude", repr(point.latitude)
    yield "longitude", repr(point.longitude)
    for name, value in (
        ("elevation", point.elevation),
        ("satellites", point.satellites),
        ("speed_ms", point.speed),
        ("course", point.course),
    ):
        if value is not None:
            yield name, repr(value)
    for extension in point.extensions:
        for element in extension.iter():
            if element.text and element.text.strip() and not len(element):
                name = element.tag.rpartition("}")[2]
                yield "speed_ms" if name == "speed" else name, element.text.strip()


def _short(error: Exception) -> str:
    return _printable(str(error)[:SEEN_CHARACTERS])


def _printable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()
