"""Columns to JSON, a batch at a time, with Arrow's string kernels: no object per event before the bytes themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fleetlake.contracts.columns import Field, Type
from fleetlake.contracts.events import Event

NEEDS_ESCAPE = r'["\\\x00-\x1f]'


def encode(event: Event, columns: Mapping[str, pa.Array]) -> list[bytes]:
    """n events as JSON: fields in the contract's order, no white space, nulls and absent columns left out.

    columns: wire field name to n values: strings (dictionary-encoded or not), finite numbers, booleans, timestamps; `location` as
    a struct of latitude and longitude. The first field, the id, must not be null. Numbers come out in their shortest form that
    reads back the same.
    """
    members = [
        _member(field, columns[field.name], first=field is event.fields[0]) for field in event.fields if field.name in columns
    ]
    text = pc.binary_join_element_wise("{", *members, "}", "", null_handling="replace", null_replacement="")
    encoded: list[bytes] = text.cast(pa.binary()).to_pylist()
    return encoded


def _member(field: Field, values: pa.Array, *, first: bool) -> pa.Array:
    """`"name":value` with the comma before it; null where the value is."""
    name = f'{"" if first else ","}"{field.name}":'
    if field.type is Type.LOCATION:
        latitude, longitude = (_number(pc.struct_field(values, [i])) for i in (0, 1))
        return pc.binary_join_element_wise(f"{name}[", latitude, ",", longitude, "]", "")
    if field.type is Type.TIMESTAMP:
        return pc.binary_join_element_wise(f'{name}"', _timestamp(values), '"', "")
    if field.type is Type.STRING:
        return pc.binary_join_element_wise(name, _string(values), "")
    return pc.binary_join_element_wise(name, _number(values), "")


def _number(values: pa.Array) -> pa.Array:
    return pc.cast(values, pa.string())


def _string(values: pa.Array) -> pa.Array:
    """Quoted and escaped; a value that occurs often is escaped once."""
    if pa.types.is_dictionary(values.type):
        return _string(values.dictionary.cast(pa.string())).take(values.indices)
    if pc.any(pc.match_substring_regex(values, NEEDS_ESCAPE)).as_py():
        coded = values.dictionary_encode()
        return pa.array([json.dumps(text, ensure_ascii=False) for text in coded.dictionary.to_pylist()], pa.string()).take(
            coded.indices
        )
    return pc.binary_join_element_wise('"', values, '"', "")


def _timestamp(values: pa.Array) -> pa.Array:
    """ISO 8601 with milliseconds and Z; each time is spelled out once."""
    coded = values.cast(pa.timestamp("ms")).dictionary_encode() if not pa.types.is_dictionary(values.type) else values
    texts = np.datetime_as_string(coded.dictionary.to_numpy(zero_copy_only=False).astype("datetime64[ms]"))
    return pa.array([f"{text}Z" for text in texts], pa.string()).take(coded.indices)
