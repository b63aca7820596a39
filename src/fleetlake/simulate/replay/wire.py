"""Typed rows to records: wire columns, the bytes, and ids that follow from what was recorded."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fleetlake.contracts.columns import Type
from fleetlake.contracts.events import COMPASS, EVENTS, GPS, Event
from fleetlake.simulate.encode import encode
from fleetlake.simulate.geodesy import compass_index
from fleetlake.simulate.ids import lay_out
from fleetlake.simulate.replay.mapping import POSITION, own_fields
from fleetlake.simulate.replay.rows import FILE, MALFORMED, derived, text_of, value_of

NO_ID = "00000000-0000-0000-0000-000000000000"
ID = slice(len('{"id":"'), len('{"id":"') + len(NO_ID))
UUID_VERSION = 8  # RFC 9562: a layout of one's own
DERIVABLE = ("speed", "heading")
DERIVED_NAMES = pa.array([None, "speed", "heading", "speed,heading"])  # by which of DERIVABLE, a bit each


@dataclass(frozen=True, slots=True)
class Records:
    """n records of one topic, ready to send."""

    event: Event
    keys: list[bytes]
    values: list[bytes]


class Recorder:
    """Makes the records of a run, chunk by chunk.

    A record's id follows from its event time and its measured fields, not from derived ones or the other rows: so the same row has
    the same id in every run, whatever it is replayed with. Equal rows of one file are numbered, and so told apart.
    """

    def __init__(self) -> None:
        self._seen: Counter[tuple[int, bytes]] = Counter()

    def records(self, rows: pa.Table, event: Event) -> Records:
        """The rows as records of one event; for all but gps only rows with something in a field of that event alone."""
        if event is not GPS:
            rows = rows.filter(_concerned(rows, event))
        columns = _measured(rows, event)
        measured = _encoded(rows, event, columns)
        times = columns["timestamp"].cast(pa.int64()).fill_null(0).to_numpy()
        ids = self._ids(event, rows[FILE].to_pylist(), measured, times)
        complete = _encoded(rows, event, columns | _derived(rows, columns)) if event is GPS else measured
        values = [value[: ID.start] + made + value[ID.stop :] for made, value in zip(ids, complete, strict=True)]
        return Records(event, [(device or "").encode() for device in columns["deviceId"].to_pylist()], values)

    def _ids(self, event: Event, files: Sequence[int], measured: Sequence[bytes], times: np.ndarray) -> list[bytes]:
        digests = bytearray()
        for file, content in zip(files, measured, strict=True):
            digest = hashlib.blake2b(content, digest_size=10, key=event.topic.encode()).digest()
            occurrence = self._seen[file, digest]
            self._seen[file, digest] += 1
            digests += hashlib.blake2b(digest, digest_size=10, salt=occurrence.to_bytes(16)).digest() if occurrence else digest
        rest = np.frombuffer(bytes(digests), np.uint8).reshape(-1, 10)
        ids: list[bytes] = lay_out(np.clip(times, 0, 2**48 - 1), rest, version=UUID_VERSION).tolist()
        return ids


def events_of(rows: pa.Table) -> list[Event]:
    """The events the rows have columns for."""
    return [event for event in EVENTS if value_of(event.kind, "timestamp") in rows.column_names]


def _concerned(rows: pa.Table, event: Event) -> np.ndarray:
    """Where a row has something in a field that makes it this event; where no such field is mapped, anything asked of it at all."""
    names = own_fields(event)
    columns = [
        name for field in names for name in (value_of(event.kind, field), text_of(event.kind, field)) if name in rows.column_names
    ]
    concerned = np.zeros(rows.num_rows, bool) if columns else np.ones(rows.num_rows, bool)
    for column in columns:
        concerned |= rows[column].is_valid().to_numpy()
    return concerned


def _measured(rows: pa.Table, event: Event) -> dict[str, pa.Array]:
    """What was recorded, as wire columns. A direction is the recorded heading's, unless there is one of its own."""
    columns: dict[str, pa.Array] = {"id": pa.repeat(pa.scalar(NO_ID), rows.num_rows)}
    for field in event.fields:
        name = value_of(event.kind, field.name)
        if field.type is Type.LOCATION:
            latitude, longitude = (rows[value_of(event.kind, part)].combine_chunks().cast(pa.float64()) for part in POSITION)
            absent = pc.or_(pc.is_null(latitude), pc.is_null(longitude))
            columns[field.name] = pa.StructArray.from_arrays(
                [_null_where(absent, part) for part in (latitude, longitude)], list(POSITION)
            )
        elif name in rows.column_names:
            columns[field.name] = rows[name].combine_chunks()
    if "heading" in columns and "direction" not in columns:
        columns["direction"] = _direction(columns["heading"])
    return columns


def _derived(rows: pa.Table, columns: dict[str, pa.Array]) -> dict[str, pa.Array]:
    """The gps columns that change when the derived values are put in."""
    parts = {name: rows[derived(name)].combine_chunks() for name in DERIVABLE}
    nothing = pa.nulls(rows.num_rows, pa.float64())
    full = {name: pc.coalesce(columns.get(name, nothing).cast(pa.float64()), part) for name, part in parts.items()}
    which = sum(part.is_valid().to_numpy(zero_copy_only=False).astype(np.int8) << bit for bit, part in enumerate(parts.values()))
    direction = pc.coalesce(columns.get("direction", pa.nulls(rows.num_rows, pa.string())), _direction(full["heading"]))
    return {**full, "direction": direction, "derived": DERIVED_NAMES.take(pa.array(which))}


def _direction(heading_deg: pa.Array) -> pa.Array:
    good = pc.and_(pc.greater_equal(heading_deg, 0), pc.less_equal(heading_deg, 360)).fill_null(False)
    index = compass_index(pc.if_else(good, heading_deg, 0.0).to_numpy(zero_copy_only=False))
    return _null_where(pc.invert(good), pa.array(COMPASS).take(pa.array(index)))


def _null_where(condition: pa.Array, values: pa.Array) -> pa.Array:
    return pc.if_else(condition, pa.scalar(None, values.type), values)


def _encoded(rows: pa.Table, event: Event, columns: dict[str, pa.Array]) -> list[bytes]:
    """The records' bytes; what was not understood goes out as the text it is, so that the quarantine shows it.

    What a text field has of several lines goes out as the list of them, which is no text: the contract takes any text for an id.
    """
    values = encode(event, columns)
    texts_of_lines = {field.name for field in event.fields if field.type is Type.STRING}
    for field in (*(field.name for field in event.fields if field.name != "location"), MALFORMED):
        texts = text_of(event.kind, field)
        if texts in rows.column_names:
            seen = rows[texts].to_pylist()
            for row in np.flatnonzero(rows[texts].is_valid().to_numpy()):
                values[row] = _with_member(values[row], field, seen[row].splitlines() if field in texts_of_lines else seen[row])
    for row in np.flatnonzero(columns["location"].field(0).is_null().to_numpy(zero_copy_only=False)):
        place = [_as_recorded(rows, event, part, int(row)) for part in POSITION]
        if place != [None, None]:
            values[row] = _with_member(values[row], "location", place)
    return values


def _as_recorded(rows: pa.Table, event: Event, name: str, row: int) -> object:
    """A cell's value, its text if it was not understood, None if there is none."""
    columns = [rows[column] for column in (value_of(event.kind, name), text_of(event.kind, name)) if column in rows.column_names]
    return next((column[row].as_py() for column in columns if column[row].is_valid), None)


def _with_member(value: bytes, name: str, seen: object) -> bytes:
    return value[:-1] + f',"{name}":{json.dumps(seen, ensure_ascii=False)}}}'.encode()
