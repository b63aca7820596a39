"""The quick way from bytes to columns, for records that are plainly what the contract asks for: `plain.c`, and Arrow around it."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fleetlake.contracts.columns import FIRST_YEAR, LAST_YEAR, Field, Type
from fleetlake.contracts.events import Event
from fleetlake.ingest.buffers import Numbers, bits_of, join_payloads
from fleetlake.runtime.compiled import POINTER, compiled

MOST_FIELDS = 64
TIMESTAMP = pa.timestamp("us", tz="UTC")
# Of a type: its number in plain.c, and what the arrays of its values hold.
KINDS: dict[Type, tuple[int, type]] = {
    Type.STRING: (0, np.int32), Type.DOUBLE: (1, np.float64), Type.INTEGER: (2, np.float64), Type.BOOLEAN: (3, np.uint8),
    Type.TIMESTAMP: (4, np.int64), Type.LOCATION: (5, np.float64),
}  # fmt: skip


class _Field(ctypes.Structure):
    """`field` of plain.c."""

    _fields_ = (
        ("name", ctypes.c_char_p), ("name_size", ctypes.c_int64), ("kind", ctypes.c_int64), ("required", ctypes.c_int64),
        ("minimum", ctypes.c_double * 2), ("maximum", ctypes.c_double * 2), ("values", POINTER * 2), ("sizes", POINTER),
        ("present", POINTER),
    )  # fmt: skip


class _Values:
    """The arrays that n records' values of a field go into."""

    def __init__(self, field: Field, count: int) -> None:
        self.field = field
        kind, holds = KINDS[field.type]
        self.values: list[Numbers] = [np.empty(count, holds) for _ in field.columns]
        self.sizes = np.zeros(count if field.type is Type.STRING else 0, np.int32)
        self.present = np.zeros(count, np.uint8)
        low, high = _bounds(field)
        pair, name = ctypes.c_double * 2, field.name.encode()
        self.for_c = _Field(
            name, len(name), kind, field.required, pair(*low), pair(*high),
            (POINTER * 2)(*(values.ctypes.data for values in self.values)), self.sizes.ctypes.data, self.present.ctypes.data,
        )  # fmt: skip

    def columns(self, data: Numbers) -> Iterator[tuple[str, pa.Array]]:
        """Names and columns. data: the bytes that texts lie in."""
        present = self.present.view(bool)
        for column, values in zip(self.field.columns, self.values, strict=True):
            if self.field.type is Type.STRING:
                yield column.name, _texts(data, values, self.sizes, present)
            elif self.field.type is Type.BOOLEAN:
                yield column.name, pa.Array.from_buffers(pa.bool_(), len(values), [bits_of(present), bits_of(values.view(bool))])
            else:
                type_ = TIMESTAMP if self.field.type is Type.TIMESTAMP else pa.float64()
                validity = None if present.all() else bits_of(present)
                yield column.name, pa.Array.from_buffers(type_, len(values), [validity, pa.py_buffer(values)])


def _bounds(field: Field) -> tuple[list[float], list[float]]:
    """What each column of a field may hold; of a time, in microseconds."""
    if field.type is Type.TIMESTAMP:
        return [_microseconds(FIRST_YEAR)], [_microseconds(LAST_YEAR + 1) - 1]
    low = [-math.inf if column.minimum is None else column.minimum for column in field.columns]
    return low, [math.inf if column.maximum is None else column.maximum for column in field.columns]


def _microseconds(year: int) -> float:
    """Where a year begins, since 1970; a double holds it exactly."""
    return datetime(year, 1, 1, tzinfo=UTC).timestamp() * 1e6


class PlainDecoder:
    """Finds the plain records of a topic and decodes them. NotPossible where nothing is compiled."""

    def __init__(self, event: Event) -> None:
        if len(event.fields) > MOST_FIELDS:
            raise ValueError(f"{event.kind} has {len(event.fields)} fields, plain.c can tell {MOST_FIELDS} apart")
        self._event, self._c = event, compiled()

    def decode(self, texts: pa.Array) -> tuple[pa.Table, Numbers]:
        """The columns of the event, and of each record whether it is plain; where it is not, its values mean nothing.

        texts: n records as strings, null where one is none. A plain record is a good one: it keeps to every rule.
        """
        count = len(texts)
        fields = [_Values(field, count) for field in self._event.fields]
        for_c = (_Field * len(fields))(*(values.for_c for values in fields))
        _, ends, data = texts.buffers()
        at = np.frombuffer(ends, np.int32)[texts.offset :] if count else np.zeros(1, np.int32)
        held = np.frombuffer(data or b"", np.uint8)
        plain = np.zeros(count, np.uint8)
        self._c.scan(held.ctypes.data, at.ctypes.data, count, for_c, len(fields), plain.ctypes.data)
        rows = pa.table(dict(column for values in fields for column in values.columns(held)))
        return rows, self._chosen(rows, plain.view(bool))

    def _chosen(self, rows: pa.Table, plain: Numbers) -> Numbers:
        """`plain`, but not where a text is none of those that its column may be."""
        for column in self._event.columns:
            if column.choices:
                values = rows[column.name]
                allowed = pc.or_(pc.is_in(values, pa.array(column.choices)), pc.is_null(values))
                plain = plain & allowed.to_numpy()
        return plain


def _texts(data: Numbers, starts: Numbers, sizes: Numbers, present: Numbers) -> pa.Array:
    copied = np.empty(int(sizes.sum(dtype=np.int64)), np.uint8)
    compiled().copy_texts(data.ctypes.data, starts.ctypes.data, sizes.ctypes.data, len(sizes), copied.ctypes.data)
    return join_payloads(np.where(present, sizes, -1), copied).view(pa.string())
