"""Where a device's id is: in columns, footers, manifests and plain bytes.

The id counts where it stands as a whole name, not as part of a longer one (veh-1 is not in veh-10), in UTF-8 or JSON's escapes.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.avro.file import AvroFile
from pyiceberg.io import FileIO

NAME = b"0-9A-Za-z_-"
BLOCK_BYTES, BATCH_ROWS = 1 << 22, 65_536
SHORT = {
    '"': rb"\\\"", "\\": rb"\\\\", "/": rb"\\/", "\n": rb"\\n", "\r": rb"\\r", "\t": rb"\\t", "\b": rb"\\b", "\f": rb"\\f",
}  # fmt: skip  # how JSON may write them


def pattern_of(device_id: str) -> bytes:
    """A regular expression, for Python's re and Arrow's RE2 alike, that finds the id in bytes."""
    spelled = b"".join(_spelled(character) for character in device_id)
    return b"(?:^|[^" + NAME + b"])" + spelled + b"(?:$|[^" + NAME + b"])"


def _spelled(character: str) -> bytes:
    units = character.encode("utf-16-be")
    escape = b"".join(rb"\\u" + b"".join(_digit(d) for d in units[at : at + 2].hex()) for at in range(0, len(units), 2))
    ways = [re.escape(character.encode()), escape, *([SHORT[character]] if character in SHORT else [])]
    return b"(?:" + b"|".join(ways) + b")"


def _digit(digit: str) -> bytes:
    return f"[{digit}{digit.upper()}]".encode() if digit.isalpha() else digit.encode()


def matches(values: pa.Array | pa.ChunkedArray, pattern: bytes) -> Any:
    """Which of n texts or byte strings hold the id: n booleans, false for null."""
    return pc.fill_null(pc.match_substring_regex(values, pattern.decode()), False)


def searchable(schema: pa.Schema) -> list[str]:
    """The columns that can hold an id: all of texts and bytes."""
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return [field.name for field in schema if any(is_kind(field.type) for is_kind in kinds)]


def holds(io: FileIO, location: str, pattern: bytes) -> bool:
    """Whether a file holds the id, whatever kind of file it is; False if it is gone by now."""
    try:
        if location.endswith(".parquet") and _in_parquet(io, location, pattern):
            return True
        if location.endswith(".avro"):
            with AvroFile[Any](io.new_input(location)) as records:
                return any(_in_value(record, pattern) for record in records)
        return _in_bytes(io, location, pattern)
    except FileNotFoundError:
        return False


def _in_parquet(io: FileIO, location: str, pattern: bytes) -> bool:
    with io.new_input(location).open() as stream:
        try:
            file = pq.ParquetFile(stream)
        except pa.ArrowInvalid:  # one that is being written
            return False
        if _in_footer(file.metadata, pattern):
            return True
        columns = searchable(file.schema_arrow)
        return any(
            pc.any(matches(column, pattern)).as_py()
            for batch in file.iter_batches(BATCH_ROWS, columns=columns)
            for column in batch.columns
        )


def _in_footer(footer: pq.FileMetaData, pattern: bytes) -> bool:
    """Minima and maxima of the row groups, and what writers put beside them."""
    for group in map(footer.row_group, range(footer.num_row_groups)):
        for column in map(group.column, range(group.num_columns)):
            statistics = column.statistics
            if statistics and statistics.has_min_max and _in_value((statistics.min, statistics.max), pattern):
                return True
    return _in_value(footer.metadata or {}, pattern)


def _in_value(value: object, pattern: bytes) -> bool:
    if isinstance(value, str | bytes):
        return re.search(pattern, value.encode() if isinstance(value, str) else value) is not None
    if isinstance(value, dict):
        return any(_in_value(part, pattern) for pair in value.items() for part in pair)
    if isinstance(value, list | tuple):
        return any(_in_value(part, pattern) for part in value)
    data = getattr(value, "_data", None)  # an Avro record
    return data is not None and _in_value(list(data), pattern)


def in_bounds(bounds: dict[int, bytes] | None, pattern: bytes) -> bool:
    return _in_value(bounds or {}, pattern)


def _in_bytes(io: FileIO, location: str, pattern: bytes) -> bool:
    with io.new_input(location).open() as raw:
        stream = gzip.GzipFile(fileobj=raw) if location.endswith(".gz") else raw
        return any(re.search(pattern, block) for block in _overlapping(stream))


def _overlapping(stream: Any) -> Iterator[bytes]:
    """Blocks that begin with the end of the one before: an id across their border is in one of them whole."""
    before = b""
    while block := stream.read(BLOCK_BYTES):
        yield before + block
        before = (before + block)[-8192:]
