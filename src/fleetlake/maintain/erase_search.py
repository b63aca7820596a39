"""Where a device's id is in a file of any kind: rows, statistics, manifests, plain bytes, what is left of a broken file."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.avro.file import AvroFile
from pyiceberg.io import FileIO
from pyiceberg.manifest import DataFile
from pyiceberg.types import StructType

from fleetlake.maintain.erase_broken import contents_of, is_whole_avro
from fleetlake.maintain.erase_fields import Role, role_of, role_of_field
from fleetlake.maintain.erase_name import JOINTS, DeviceName
from fleetlake.maintain.erase_rejects import judge_payload
from fleetlake.maintain.erase_rows import examine, parts_of_reason, searchable

TEXTUAL = ("BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY")  # physical types of Parquet
BLOCK_BYTES, OVERLAP_BYTES, BATCH_ROWS = 1 << 22, 8192, 65_536
UNDECODABLE = (
    pa.ArrowException,
    EOFError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    zlib.error,
)  # what cut files make of readers
BROKEN = (*UNDECODABLE, OSError)  # Arrow's word for some of them; what the storage says comes again where the bytes are read
METADATA_ENDINGS = ("metadata.json", "metadata.json.gz", ".db", ".db-wal", ".db-journal")  # full of words of the format's


class Found(IntEnum):
    """key: a bound of event ids begins with the id, in the entry of a data file that is not live; whose it was can't be told.

    named: a field of another device, or a text that is no row, names it. own: a value of the device itself, or its id in the bytes
    of a broken file.
    """

    NOTHING = 0
    KEY = 1
    NAMED = 2
    OWN = 3


@dataclass(frozen=True, slots=True)
class Searched:
    """is_broken: the file can't be read as what it is named. unread_bytes: of it, what could not be searched either."""

    found: Found = Found.NOTHING
    is_broken: bool = False
    unread_bytes: int = 0


def search_file(io: FileIO, location: str, device: DeviceName, live: Collection[str] = ()) -> Searched:
    """Looks for the id where the kind of file has ids, and in its texts if the id is long enough for that.

    live: the locations of data files that are in use, so that what manifests say of them is what they hold. Nothing is found in a
    file that is gone by now. Raises what the storage raises if it can't be read at all.
    """
    try:
        if location.endswith(".parquet"):
            try:
                return Searched(_in_parquet(io, location, device))
            except _NotReadableError:
                return _in_broken(_read(io, location), device)
        if location.endswith(".avro"):
            content = _read(io, location)
            if not is_whole_avro(content):
                return _in_broken(content, device)
            try:
                return Searched(_in_avro(io, location, device, live))
            except _NotReadableError:
                return _in_broken(content, device)
        return _in_bytes(io, location, device)
    except FileNotFoundError:
        return Searched()


class _NotReadableError(Exception):
    """A file can't be read as what it is named."""


@contextmanager
def _reading() -> Iterator[None]:
    """Around what reads a file, and nothing else: an error of our own computing must not make a sound file a broken one."""
    try:
        yield
    except FileNotFoundError:
        raise
    except BROKEN as error:
        raise _NotReadableError from error


def search_bytes(io: FileIO, location: str, device: DeviceName) -> Searched:
    """Looks for the id in a file of an engine's own format, such as a spill, in its bytes and in what is compressed in them."""
    try:
        return _in_broken(_read(io, location), device)
    except FileNotFoundError:
        return Searched()


def _read(io: FileIO, location: str) -> bytes:
    with io.new_input(location).open() as stream:
        return bytes(stream.read())


def _in_parquet(io: FileIO, location: str, device: DeviceName) -> Found:
    with _reading():
        stream = io.new_input(location).open()
    with stream:
        with _reading():
            file = pq.ParquetFile(stream)
            bounds, metadata = list(_bounds_of_footer(file)), file.metadata.metadata or {}
            batches = file.iter_batches(BATCH_ROWS, columns=searchable(file.schema_arrow))
        found = max((_in_bound(bound, role, device) for bound, role in bounds), default=Found.NOTHING)
        found = max(found, _in_metadata(metadata, device))
        while found is not Found.OWN and (batch := _next_of(batches)) is not None:
            examined = examine(batch, device)
            found = max(found, Found.OWN if examined.own_rows else Found.NAMED if examined.masked else Found.NOTHING)
        return found


def _next_of(batches: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
    with _reading():
        return next(batches, None)


def _bounds_of_footer(file: pq.ParquetFile) -> Iterator[tuple[object, Role]]:
    """Yield the minima and maxima of the row groups, each with the role of its column."""
    roles, footer = {column.name: role_of(column.name, column.type) for column in file.schema_arrow}, file.metadata
    roles = {path: role for path, role in roles.items() if role is not Role.NESTED}
    for group in map(footer.row_group, range(footer.num_row_groups)):
        for column in map(group.column, range(group.num_columns)):
            statistics = column.statistics if column.physical_type in TEXTUAL else None  # of others Python may have no value
            if statistics and statistics.has_min_max:
                for bound in (statistics.min, statistics.max):
                    yield bound, roles.get(column.path_in_schema) or _role_within(column.path_in_schema)


def _role_within(path: str) -> Role:
    """The role of what is within a list, struct or map: of a device's id or a text, whatever else it is called."""
    return Role.DEVICE if role_of_field(path.rpartition(".")[2]) is Role.DEVICE else Role.TEXT


def _in_bound(bound: object, role: Role, device: DeviceName) -> Found:
    if not isinstance(bound, str | bytes):
        return Found.NOTHING
    text = bound.decode("utf-8", "surrogateescape") if isinstance(bound, bytes) else bound
    if role is Role.DEVICE:
        return Found.OWN if text == device.id else Found.NOTHING
    if role is Role.PAYLOAD:
        return Found.NAMED if judge_payload(text.encode("utf-8", "surrogateescape"), device) else Found.NOTHING
    if role in (Role.TEXT, Role.REASON) and device.is_sought_in_texts:
        return Found.NAMED if device.is_named_in(parts_of_reason(text)[1] if role is Role.REASON else text) else Found.NOTHING
    return Found.NOTHING


def bounds_name(file: DataFile, names: dict[int, str], device: DeviceName, *, is_live: bool) -> Found:
    """Looks through what a manifest says of a data file. names: of the table's columns, by field id.

    Of a live file, bounds of event ids are those of other devices: rows of this one are looked for in the file itself. So are
    payloads, whose bounds are cut off where the deviceId of another may seem to be this one's.
    """
    bounds = [pair for part in (file.lower_bounds, file.upper_bounds) for pair in (part or {}).items()]
    return _in_bounds(bounds, names, device, is_live=is_live)


def _in_bounds(bounds: list[tuple[int, bytes]], names: dict[int, str], device: DeviceName, *, is_live: bool) -> Found:
    found = Found.NOTHING
    for field_id, bound in bounds:
        name = names.get(field_id)
        if name is None:  # of no text
            continue
        role = role_of_field(name)
        if not (role is Role.PAYLOAD and is_live):
            found = max(found, _in_bound(bound, role, device))
        if role is Role.KEY and not is_live:
            text = bound.decode("utf-8", "surrogateescape")
            begins = text.startswith(device.id) and text[len(device.id) :][:1] in tuple(JOINTS)
            if begins or (device.is_sought_in_texts and device.fits_into(text) and device.word.search(text)):
                found = max(found, Found.KEY)
    return found


def text_columns(schema: dict[str, Any]) -> dict[int, str]:
    """Names of columns of texts and bytes of an Iceberg schema in JSON, by field id; of those within others too."""
    named = [(field["id"], field["name"], field["type"]) for field in schema.get("fields", ())]
    named += [(schema[f"{part}-id"], part, schema[part]) for part in ("element", "key", "value") if part in schema]
    found = {id_: name for id_, name, type_ in named if type_ in ("string", "binary")}
    for _, _, type_ in named:
        found |= text_columns(type_) if isinstance(type_, dict) else {}
    return found


def _in_avro(io: FileIO, location: str, device: DeviceName, live: Collection[str]) -> Found:
    """A manifest's bounds and partitions by their columns; of a manifest list, or another's file, all texts as metadata."""
    with _reading():
        entries, others = _read_avro(io, location)
    found = max((_in_metadata(values, device) for values in others), default=Found.NOTHING)
    for entry in entries:
        found = max(found, _in_bounds(entry.bounds, entry.names, device, is_live=entry.path in live))
        found = max([found, *(_in_bound(value, role, device) for value, role in entry.partition)])
    return found


class _Entry(NamedTuple):
    """Of a manifest. names: of the table's columns of texts, by field id. partition: its values, each with its column's role."""

    path: str
    bounds: list[tuple[int, bytes]]
    names: dict[int, str]
    partition: list[tuple[object, Role]]


def _read_avro(io: FileIO, location: str) -> tuple[list[_Entry], list[list[Any]]]:
    """Return the entries of a manifest, or the values of each record of any other file."""
    with AvroFile[Any](io.new_input(location)) as records:
        meta = records.header.meta
        fields = [field.name for field in records.schema.fields]
        if "schema" not in meta or "data_file" not in fields:
            return [], [list(record._data) for record in records]
        names, at = text_columns(json.loads(meta["schema"])), fields.index("data_file")
        data_file = records.schema.fields[at].field_type
        inner = [field.name for field in data_file.fields] if isinstance(data_file, StructType) else []
        sources = [field["source-id"] for field in json.loads(meta.get("partition-spec", "[]"))]
        entries = list[_Entry]()
        for record in records:
            values = dict(zip(inner, record._data[at]._data, strict=False))
            bounds = [pair for name in ("lower_bounds", "upper_bounds") for pair in (values.get(name) or {}).items()]
            of_partition = zip(sources, getattr(values.get("partition"), "_data", ()), strict=False)
            partition = [(value, role_of_field(names[source])) for source, value in of_partition if source in names]
            entries.append(_Entry(values["file_path"], bounds, names, partition))
        return entries, []


def _in_metadata(value: object, device: DeviceName) -> Found:
    if not device.is_sought_in_metadata:
        return Found.NOTHING
    if isinstance(value, str | bytes):
        text = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
        return Found.NAMED if device.fits_into(text) and device.word.search(text) else Found.NOTHING
    if isinstance(value, dict):
        value = [part for pair in value.items() for part in pair]
    parts = value if isinstance(value, list | tuple) else getattr(value, "_data", ())  # an Avro record
    return max((_in_metadata(part, device) for part in parts), default=Found.NOTHING)


def _in_bytes(io: FileIO, location: str, device: DeviceName) -> Searched:
    """A text or a file of a format that is not known, such as table metadata, a catalog, a log; unpacked if it is gzipped."""
    is_sought = device.is_sought_in_metadata if location.endswith(METADATA_ENDINGS) else device.is_sought_in_texts
    is_in = device.is_word_in if is_sought else device.is_member_in
    try:
        with io.new_input(location).open() as raw:
            stream = gzip.GzipFile(fileobj=raw) if location.endswith(".gz") else raw
            if any(map(is_in, _overlapping(stream, OVERLAP_BYTES + device.longest_bytes))):
                return Searched(Found.NAMED)
        return Searched()
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return _in_broken(_read(io, location), device)


def _in_broken(content: bytes, device: DeviceName) -> Searched:
    contents = contents_of(content)
    found = any(map(device.is_value_in, contents.parts))
    found = found or (device.is_sought_in_texts and any(map(device.is_word_in, contents.parts)))
    return Searched(Found.OWN if found else Found.NOTHING, True, contents.unread_bytes)


def _overlapping(stream: Any, overlap_bytes: int) -> Iterator[bytes]:
    """Blocks that begin with the end of the one before: an id across their border is in one of them whole."""
    before = b""
    while block := stream.read(BLOCK_BYTES):
        yield before + block
        before = (before + block)[-overlap_bytes:]
