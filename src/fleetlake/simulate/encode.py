"""Columns to JSON, a batch at a time, with Arrow's string kernels: no object per event before the bytes themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fleetlake.contracts.columns import Field, Type
from fleetlake.contracts.events import Event

NEEDS_ESCAPE = r'["\\\x00-\x1f]'
Part: TypeAlias = str | pa.Array  # text that is the same in every event, or one for each


def encode(event: Event, columns: Mapping[str, pa.Array]) -> list[bytes]:
    """n events as JSON: fields in the contract's order, no white space, nulls and absent columns left out.

    columns: wire field name to n values: strings (dictionary-encoded or not), finite numbers, booleans, timestamps; `location` as
    a struct of latitude and longitude. The first field, the id, must not be null. Numbers come out in their shortest form that
    reads back the same.
    """
    parts: list[Part] = ["{"]
    for field in event.fields:
        if field.name in columns:
            name = f'{"" if field is event.fields[0] else ","}"{field.name}":'
            parts += _member([name, *_value(field, columns[field.name])])
    text = pc.binary_join_element_wise(*_merged([*parts, "}"]), "", null_handling="replace", null_replacement="")
    encoded: list[bytes] = text.cast(pa.binary()).to_pylist()
    return encoded


def _member(parts: Sequence[Part]) -> Sequence[Part]:
    """Parts of one field, as they are if every event has it; else joined, and null where a part is."""
    if any(not isinstance(part, str) and part.null_count for part in parts):
        return [pc.binary_join_element_wise(*_merged(parts), "")]
    return parts


def _merged(parts: Sequence[Part]) -> Iterator[Part]:
    """With neighbouring texts made one: each part costs the join a copy per event."""
    for is_text, neighbours in groupby(parts, lambda part: isinstance(part, str)):
        if is_text:
            yield "".join(neighbours)
        else:
            yield from neighbours


def _value(field: Field, values: pa.Array) -> Sequence[Part]:
    if field.type is Type.LOCATION:
        latitude, longitude = (pc.struct_field(values, [i]).cast(pa.string()) for i in (0, 1))
        return "[", latitude, ",", longitude, "]"
    if field.type is Type.TIMESTAMP:
        return '"', _timestamp(values), '"'
    if field.type is Type.STRING:
        return _string(values)
    return (values.cast(pa.string()),)


def _string(values: pa.Array) -> Sequence[Part]:
    """Quoted and escaped; a value that occurs often is spelled out once."""
    if pa.types.is_dictionary(values.type):
        spelled = pc.binary_join_element_wise(*_string(values.dictionary.cast(pa.string())), "")
        return (spelled.take(values.indices),)
    if pc.any(pc.match_substring_regex(values, NEEDS_ESCAPE)).as_py():
        coded = values.dictionary_encode()
        texts = [json.dumps(text, ensure_ascii=False) for text in coded.dictionary.to_pylist()]
        return (pa.array(texts, pa.string()).take(coded.indices),)
    return '"', values, '"'


def _timestamp(values: pa.Array) -> pa.Array:
    """ISO 8601 with milliseconds and Z; each time is spelled out once."""
    coded = values.cast(pa.timestamp("ms")).dictionary_encode() if not pa.types.is_dictionary(values.type) else values
    texts = np.datetime_as_string(coded.dictionary.to_numpy(zero_copy_only=False).astype("datetime64[ms]"))
    return pa.array([f"{text}Z" for text in texts], pa.string()).take(coded.indices)
