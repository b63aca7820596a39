"""What the rows of a table add up to: a count and a sum of hashes, carried along by every commit that adds, removes or alters rows.

Counting offsets shows a row that is missing where Kafka still has its record. The digest shows it where Kafka has not, and it shows
rows that were altered. The order of rows and how they lie in files does not matter, so that compaction changes nothing; nor do
nulls, so that a new column changes nothing; nor do columns of types that no contract has. It is meant against accidents: who wants
to deceive can compute it too.

The definition is ours, and must never change without another VERSION. All arithmetic is modulo 2^64. `mix` is the finalizer of
SplitMix64. A column's key is mix(field id * GOLDEN). A number adds mix(key ^ its 64 bits) to its row's hash: integers and times (in
microseconds) sign-extended, doubles as their bits with one NaN for all, booleans as 0 or 1. A text or bytes start from
h = key ^ size * GOLDEN, take each 8 bytes, little-endian, the last ones filled up with zeros, as
h = (h ^ word) * FIRST; h ^= h >> 32, and add mix(h). The digest is the sum of mix(hash) over the rows. digest.c does the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.schema import Schema

from fleetlake.lake.days import has_bytes
from fleetlake.lake.stored_json import read_stored
from fleetlake.runtime.compiled import NotPossible, compiled

PROPERTY, SINCE = "fleetlake.ingest.digest", "fleetlake.ingest.digest.since"
VERSION = 1
MODULUS = 1 << 64
GOLDEN, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
NAN_BITS = 0x7FF8000000000000
BLOCK_ROWS = 32_768  # whose hashes stay in the processor's cache from column to column
NUMBER_KINDS = {pa.int32(): 0, pa.int64(): 1, pa.float64(): 2, pa.bool_(): 3}  # as in digest.c
Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Digest:
    """rows: how many. total: the sum of their hashes modulo 2^64."""

    rows: int = 0
    total: int = 0

    def __add__(self, other: Digest) -> Digest:
        return Digest(self.rows + other.rows, (self.total + other.total) % MODULUS)

    def __sub__(self, other: Digest) -> Digest:
        return Digest(self.rows - other.rows, (self.total - other.total) % MODULUS)


NO_ROWS = Digest()


@dataclass(frozen=True, slots=True)
class Account:
    """What a table's commits say of its rows.

    commit_id: the ingest's commit that wrote it. A marker with another one was written by an ingest that keeps no digest, so that
    the account does not hold any more. since: partition to the first offset that is counted, for a table that had rows before its
    digest was begun; a partition that is not in it is counted from its first record. None: all rows are counted.
    """

    digest: Digest
    commit_id: str
    since: Mapping[int, int] | None = None

    def properties(self, *, begins: bool = False) -> dict[str, str]:
        """For a commit. begins: whether it is the first with this `since`, which later commits leave as it is."""
        fields = {"version": VERSION, "rows": self.digest.rows, "sum": f"{self.digest.total:016x}", "commit": self.commit_id}
        made = {PROPERTY: json.dumps(fields | {"partial": self.since is not None}, separators=(",", ":"))}
        if begins and self.since is not None:
            made[SINCE] = json.dumps(dict(self.since), separators=(",", ":"))
        return made

    @classmethod
    def of(cls, properties: Mapping[str, str]) -> Account | None:
        """What a table's properties hold; None if there is none, or one of a later version's."""
        return read_stored(properties, PROPERTY, lambda fields: cls._of(fields, properties))

    @classmethod
    def _of(cls, fields: dict[str, Any], properties: Mapping[str, str]) -> Account | None:
        if fields.get("version") != VERSION:
            return None
        since = None
        if fields["partial"]:
            since = {int(partition): offset for partition, offset in json.loads(properties[SINCE]).items()}
        return cls(Digest(fields["rows"], int(fields["sum"], 16)), fields["commit"], since)

    def counted(self, rows: pa.Table) -> pa.Table:
        """Those of bronze's rows that the digest is made of."""
        if not self.since:
            return rows
        partitions, offsets = (rows[name].to_numpy() for name in ("kafka_partition", "kafka_offset"))
        known = np.unique(partitions)
        firsts = np.array([self.since.get(int(partition), 0) for partition in known], np.int64)
        return rows.filter(pa.array(offsets >= firsts[np.searchsorted(known, partitions)])) if len(known) else rows


def change_between(properties: Mapping[str, str], schema: Schema, before: pa.Table, after: pa.Table) -> Digest:
    """Return what a table's digest changes by where the rows `after` take the place of `before`; nothing for one without a digest.

    properties, schema: the table's. For `adjusted`.
    """
    account = Account.of(properties)
    if account is None:
        return Digest()
    return digest_of(account.counted(after), schema) - digest_of(account.counted(before), schema)


def adjusted(properties: Mapping[str, str], changes: Iterable[Digest]) -> dict[str, str]:
    """Return the properties that a commit has to set which removes or alters rows; none for a table without a digest.

    properties: those of the table as loaded, on which the commit is made. changes: as `change_between` gives them.
    """
    account = Account.of(properties)
    return replace(account, digest=sum(changes, start=account.digest)).properties() if account else {}


def digest_of(rows: pa.Table, schema: Schema) -> Digest:
    """The digest of a table's rows, or of some columns of theirs. schema: has their columns' field ids, by name."""
    keys = {field.name: _mix_one(field.field_id * GOLDEN % MODULUS) for field in schema.fields}
    typed = _typed(rows)
    total = 0
    for block in typed.to_batches(max_chunksize=BLOCK_ROWS):
        hashes: Hashes = np.zeros(block.num_rows, np.uint64)
        for name, column in zip(block.schema.names, block.columns, strict=True):
            if column.null_count < len(column) and _is_hashed(column.type):
                _add(column, keys[name], hashes)
        total += _sum(hashes)
    return Digest(rows.num_rows, total % MODULUS)


def _typed(rows: pa.Table) -> pa.Table:
    """The rows with each column in one of the types that are hashed; the values are the same."""
    types = [_hashed_type(field.type) for field in rows.schema]
    if all(type_ == field.type for type_, field in zip(types, rows.schema, strict=True)):
        return rows
    columns = [column.cast(type_) for column, type_ in zip(rows.columns, types, strict=True)]
    return pa.table(columns, names=rows.schema.names)


def _is_hashed(type_: pa.DataType) -> bool:
    """Columns of other types are another tool's: no row that was ingested has a value there."""
    return type_ in NUMBER_KINDS or pa.types.is_timestamp(type_) or has_bytes(type_)


def _hashed_type(type_: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(type_):
        return _hashed_type(type_.value_type)
    if pa.types.is_timestamp(type_):
        return pa.timestamp("us", tz=type_.tz)
    if pa.types.is_integer(type_) and type_ != pa.int32():
        return pa.int64()
    if pa.types.is_floating(type_):
        return pa.float64()
    if pa.types.is_string_view(type_):
        return pa.large_string()
    if pa.types.is_binary_view(type_):
        return pa.large_binary()
    return type_


def _add(column: pa.Array, key: int, hashes: Hashes) -> None:
    """Adds a column's values, which are of one of the types of `_typed`, to the hashes of their rows."""
    if pa.types.is_timestamp(column.type):
        column = column.view(pa.int64())
    try:
        library = compiled()
    except NotPossible:
        return add_by_numpy(column, key, hashes)
    valid, *buffers = (buffer.address if buffer else None for buffer in column.buffers())
    if not column.null_count:
        valid = None
    if column.type in NUMBER_KINDS:
        kind = NUMBER_KINDS[column.type]
        library.add_numbers(buffers[0], kind, valid, column.offset, len(column), key, hashes.ctypes.data)
    else:
        is_large = pa.types.is_large_string(column.type) or pa.types.is_large_binary(column.type)
        library.add_texts(buffers[0], is_large, buffers[1], valid, column.offset, len(column), key, hashes.ctypes.data)
    return None


def _sum(hashes: Hashes) -> int:
    try:
        return int(compiled().sum_hashes(hashes.ctypes.data, len(hashes)))
    except NotPossible:
        return sum_by_numpy(hashes)


def add_by_numpy(column: pa.Array, key: int, hashes: Hashes) -> None:
    """What digest.c does, where nothing is compiled; tests compare the two."""
    present = column.is_valid().to_numpy(zero_copy_only=False)
    if column.type in NUMBER_KINDS:
        zero = pa.scalar(False if column.type == pa.bool_() else 0, column.type)
        values = pc.fill_null(column, zero).to_numpy(zero_copy_only=False)
        if column.type == pa.float64():
            bits = values.view(np.uint64)
            bits = np.where(np.isnan(values), np.uint64(NAN_BITS), bits)
        else:
            bits = values.astype(np.int64).view(np.uint64)
        hashes[present] += _mix(bits ^ np.uint64(key))[present]
        return
    hashes[present] += _hashes_of_texts(column, key)[present]


def sum_by_numpy(hashes: Hashes) -> int:
    return int(_mix(hashes).sum(dtype=np.uint64))


def _hashes_of_texts(column: pa.Array, key: int) -> Hashes:
    """Eight bytes of all rows at a time."""
    _, ends, data = column.buffers()
    is_large = pa.types.is_large_string(column.type) or pa.types.is_large_binary(column.type)
    bounds = np.frombuffer(ends, np.int64 if is_large else np.int32)[column.offset : column.offset + len(column) + 1].astype(
        np.int64
    )
    starts, sizes = bounds[:-1], np.diff(bounds)
    held = np.frombuffer(data or b"", np.uint8)
    hashes: Hashes = np.uint64(key) ^ (sizes.astype(np.uint64) * np.uint64(GOLDEN))
    for at in range(0, int(sizes.max(initial=0)), 8):
        rows = np.flatnonzero(sizes > at)
        words: Hashes = np.zeros(len(rows), np.uint64)
        for byte in range(8):
            inside = sizes[rows] > at + byte
            words[inside] |= held[starts[rows[inside]] + at + byte].astype(np.uint64) << np.uint64(8 * byte)
        mixed = (hashes[rows] ^ words) * np.uint64(FIRST)
        hashes[rows] = mixed ^ (mixed >> np.uint64(32))
    return _mix(hashes)


def _mix(values: Hashes) -> Hashes:
    values = (values ^ (values >> np.uint64(30))) * np.uint64(FIRST)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(SECOND)
    return values ^ (values >> np.uint64(31))


def _mix_one(value: int) -> int:
    value = (value ^ (value >> 30)) * FIRST % MODULUS
    value = (value ^ (value >> 27)) * SECOND % MODULUS
    return value ^ (value >> 31)
