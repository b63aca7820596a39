"""Recorded drives as columns of text: CSV and GPX."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fleetlake.foundation.errors import BadInput

BLOCK_BYTES = 1 << 20
DELIMITERS = ",;\t|"
DEVICE = "device_id"


@dataclass(frozen=True, slots=True)
class Recording:
    """One file. table: n rows, every column text, "" or null where there is nothing.

    numbers: n line numbers (CSV, the header is line 1) or track point numbers (GPX, from 1).
    malformed: line number and text of the lines that have not as many cells as the header.
    """

    path: Path
    table: pa.Table
    numbers: list[int]
    malformed: tuple[tuple[int, str], ...] = ()

    @property
    def device(self) -> str:
        """Who drove, where no column says so: the file's name."""
        return self.path.name.split(".")[0]


def read_recording(path: Path) -> Recording:
    """Reads a .csv (also .csv.gz; separated by comma, semicolon, tab or bar) or a .gpx; blank lines are left out.

    BadInput if it is neither or broken.
    """
    if not path.is_file():
        what = "this is a folder" if path.is_dir() else "not a file" if path.exists() else "no such file"
        raise BadInput(what, where=str(path), allowed="CSV and GPX files")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gpx"]:
        return _read_gpx(path)
    if suffixes[-1:] in ([".csv"], [".tsv"], [".txt"]) or suffixes[-2:] == [".csv", ".gz"]:
        return _read_csv(path)
    raise BadInput(
        f"can't tell what a {path.suffix or 'file without an ending'} is",
        where=str(path),
        allowed=".csv, .csv.gz, .tsv, .txt, .gpx",
    )


def _read_csv(path: Path) -> Recording:
    from pyarrow import csv as arrow_csv

    try:
        _require_text(path)
        names, delimiter = _header(path)
        malformed: list[tuple[int, str]] = []

        def keep(row: Any) -> str:
            malformed.append((row.number, row.text))
            return "skip"

        table = arrow_csv.read_csv(
            path,
            read_options=arrow_csv.ReadOptions(use_threads=False),  # threads would leave the malformed rows without numbers
            parse_options=arrow_csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=keep
            ),
            convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        )
    except UnicodeDecodeError as error:
        raise BadInput(
            f"not readable as CSV: byte {error.start} is not UTF-8", where=str(path), allowed="UTF-8 text with a header line"
        ) from error
    except (OSError, EOFError, pa.ArrowException) as error:
        raise BadInput(f"not readable as CSV: {error}", where=str(path), allowed="UTF-8 text with a header line") from error
    lost = {number for number, _ in malformed}
    numbers = [number for number in range(2, table.num_rows + len(lost) + 2) if number not in lost]
    filled = np.flatnonzero(_filled(table))
    return Recording(path, table.take(filled), [numbers[row] for row in filled], tuple(malformed))


def _filled(table: pa.Table) -> npt.NDArray[np.bool_]:
    """Where a row has anything in it: a blank line is a row without."""
    filled = np.zeros(table.num_rows, bool)
    for column in table.columns:
        filled |= pc.not_equal(column, "").to_numpy()
    return filled


def _require_text(path: Path) -> None:
    """UnicodeDecodeError if it is not UTF-8 throughout: Arrow's callbacks can't raise it. Binary files have NULs."""
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
        decoder.decode(b"", final=True)


def _header(path: Path) -> tuple[list[str], str]:
    with pa.input_stream(str(path), compression="detect") as stream:
        start = bytes(stream.read(65_536)).decode("utf-8-sig", errors="replace")
    delimiter = max(DELIMITERS, key=start.partition("\n")[0].count)
    names = next(csv.reader(start.splitlines(keepends=True), delimiter=delimiter), [])
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled or not names:
        raise BadInput(
            f"two columns are called {doubled[0]}" if doubled else "the file is empty",
            where=str(path),
            allowed="a header line with each name once",
        )
    return names, delimiter


def _read_gpx(path: Path) -> Recording:
    import gpxpy
    import gpxpy.gpx

    try:
        with path.open(encoding="utf-8-sig") as stream:
            document = gpxpy.parse(stream)
    except (OSError, ValueError, gpxpy.gpx.GPXException) as error:
        raise BadInput(f"not readable as GPX: {error}", where=str(path), allowed="GPX 1.0 or 1.1") from error
    points = [dict(_cells(point)) for track in document.tracks for segment in track.segments for point in segment.points]
    if not points:
        raise BadInput("no track points", where=str(path), allowed="a GPX file with a track; routes and waypoints have no times")
    names = list(dict.fromkeys(name for point in points for name in point))
    table = pa.table({name: pa.array([point.get(name) for point in points], pa.string()) for name in names})
    return Recording(path, table, list(range(1, len(points) + 1)))


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
