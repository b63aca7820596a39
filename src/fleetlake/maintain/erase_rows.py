"""Rows of a device, and rows of others that name it: which go, and what the others look like without its id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fleetlake.maintain.erase_fields import Role, plain_type, role_of, role_of_field
from fleetlake.maintain.erase_name import MASK, DeviceName
from fleetlake.maintain.erase_rejects import Named, judge_payload, mask_payload, names_no_device, owner_of_payload

REASON_PARTS = ": "  # rule: field: what was seen
UNKNOWN_DEVICE = ""  # of a record that does not say whose it is
Values = dict[int, Any]


@dataclass(frozen=True, slots=True)
class Examined:
    """own: which rows are the device's. masked: by column, the rows of others that name it, by number, and what they hold then.

    owners: how many of those rows are of which device.
    """

    own: pa.Array
    own_rows: int
    masked: Mapping[str, Values] = field(default_factory=dict)
    owners: Mapping[str, int] = field(default_factory=dict)

    @property
    def numbers(self) -> list[int]:
        """The rows that are masked."""
        return sorted({number for values in self.masked.values() for number in values})


def searchable(schema: pa.Schema) -> list[str]:
    """Returns the columns that have to be read to tell whose a row is and what it names."""
    return [column.name for column in schema if role_of(column.name, column.type) not in (Role.NONE, Role.KEY)]


def examine(rows: pa.Table | pa.RecordBatch, device: DeviceName) -> Examined:
    """Looks through rows. A row is the device's if its device_id is the id, or if it has none and its payload says so.

    A row of another device is never the device's, whatever stands in it.
    """
    rows = _plain(rows)
    roles = {column.name: role_of(column.name, column.type) for column in rows.schema}
    owners = [name for name, role in roles.items() if role is Role.DEVICE]
    own, known = _false(rows), _false(rows)
    for name in owners:
        own = pc.or_(own, pc.fill_null(pc.equal(rows.column(name), device.id), False))
        known = pc.or_(known, pc.is_valid(rows.column(name)))
    own, known = _array(own), _array(known)
    masked = dict[str, Values]()
    for name, role in roles.items():
        if role is Role.PAYLOAD:
            taken, masked[name] = _payloads(rows.column(name), own, known, device)
            own = pc.or_(own, taken)
    payloads = [rows.column(name) for name, role in roles.items() if role is Role.PAYLOAD]
    for name, role in roles.items():
        if role in (Role.TEXT, Role.REASON) and device.is_sought_in_texts:
            masked[name] = _texts(rows.column(name), own, payloads if role is Role.REASON else [], device)
        if role is Role.NESTED:
            masked[name] = _nested(rows.column(name), own, device)
    masked = {name: values for name, values in masked.items() if values}
    examined = Examined(own, pc.sum(own).as_py() or 0, masked)
    columns = [rows.column(name) for name in owners[:1]]
    return replace(examined, owners=Counter(_owner(number, columns, payloads, device) for number in examined.numbers))


def without(rows: pa.Table, examined: Examined) -> pa.Table:
    """Returns the rows of others, with the device's id masked in them."""
    for name, values in examined.masked.items():
        column = rows.column(name)
        plain = without_times(column.type)
        cells = column.cast(plain).to_pylist()
        for number, value in values.items():
            cells[number] = value
        at = rows.schema.get_field_index(name)
        rows = rows.set_column(at, rows.schema.field(at), pa.array(cells, plain).cast(column.type))
    return rows.filter(pc.invert(examined.own))


def without_views(schema: pa.Schema) -> pa.Schema:
    """Returns the schema with texts and bytes that Arrow keeps as views in types whose rows it can filter."""
    return pa.schema([one.with_type(plain_type(one.type)) if _is_view(one.type) else one for one in schema], schema.metadata)


def without_times(type: pa.DataType) -> pa.DataType:
    """Returns the type with whole numbers for the times within: Python has no time of the year 10000, nor of nanoseconds."""
    if pa.types.is_struct(type):
        return pa.struct([field.with_type(without_times(field.type)) for field in type])
    if pa.types.is_map(type):
        return pa.map_(without_times(type.key_type), without_times(type.item_type))
    if pa.types.is_large_list(type):
        return pa.large_list(type.value_field.with_type(without_times(type.value_type)))
    if pa.types.is_list(type):
        return pa.list_(type.value_field.with_type(without_times(type.value_type)))
    if pa.types.is_date32(type) or pa.types.is_time32(type):
        return pa.int32()
    return pa.int64() if pa.types.is_temporal(type) else type


def _is_view(type: pa.DataType) -> bool:
    return type in (pa.string_view(), pa.binary_view())


def candidates(column: pa.Array | pa.ChunkedArray, pattern: bytes) -> pa.Array:
    """Returns which of n texts or byte strings the pattern is found in: n booleans, false for null."""
    return _array(pc.fill_null(pc.match_substring_regex(column, pattern.decode()), False))


def parts_of_reason(reason: str) -> tuple[str, str]:
    """Returns the rule and the field, which are words of the format, and what was seen."""
    seen = reason.split(REASON_PARTS, 2)[-1]
    return reason[: len(reason) - len(seen)], seen


def _owner(
    number: int, devices: list[pa.Array | pa.ChunkedArray], payloads: list[pa.Array | pa.ChunkedArray], device: DeviceName
) -> str:
    """Whose a row is, by its device_id or what its payload says."""
    owners = [column[number].as_py() for column in devices]
    owners += [owner_of_payload(column[number].as_py(), device) for column in payloads if not any(owners)]
    return next(filter(None, owners), UNKNOWN_DEVICE)


def _payloads(column: pa.Array | pa.ChunkedArray, own: pa.Array, known: pa.Array, device: DeviceName) -> tuple[pa.Array, Values]:
    """Which rows are the device's by their payload, and what the payloads that only mention it become."""
    may_name = pc.or_(candidates(column, device.beginning), _array(pc.fill_null(pc.match_substring(column, b"\0"), False)))
    if device.beginning_in_latin_bytes:
        may_name = pc.or_(may_name, candidates(column, device.beginning_in_latin_bytes))
    taken, masked = [False] * len(own), Values()
    for number in _numbers(pc.and_not(may_name, own)):
        payload: bytes = column[number].as_py()
        named = judge_payload(payload, device)
        taken[number] = named is Named.OWN and not known[number].as_py()
        if named is not Named.OTHER and not taken[number]:
            masked[number] = mask_payload(payload, device)
    return pa.array(taken, pa.bool_()), masked


def _texts(
    column: pa.Array | pa.ChunkedArray, own: pa.Array, payloads: list[pa.Array | pa.ChunkedArray], device: DeviceName
) -> Values:
    """What the texts of others that name the device become. payloads: of rejected records, whose reasons the texts are then.

    Of a reason, only what was seen is changed, not the rule and the field it begins with.
    """
    masked = Values()
    for number in _numbers(pc.and_not(candidates(column, device.beginning), own)):
        text: str = column[number].as_py()
        if not payloads:
            made = device.mask_text(text, device.word)
        else:
            rule, seen = parts_of_reason(text)
            is_anyones = all(names_no_device(payload[number].as_py(), device) for payload in payloads)
            made = rule + device.mask_text(seen, device.joined if is_anyones else device.word)
        if made != text:
            masked[number] = made
    return masked


def _plain(rows: pa.Table | pa.RecordBatch) -> pa.Table | pa.RecordBatch:
    """The rows with texts and bytes in the types that are looked through, however their writer kept them."""
    for at, column in enumerate(rows.schema):
        plain = plain_type(column.type)
        if plain != column.type and not _is_looked_through(column.type):
            rows = rows.set_column(at, column.with_type(plain), rows.column(at).cast(plain))
    return rows


def _is_looked_through(type: pa.DataType) -> bool:
    return type in (pa.string(), pa.binary())


def _nested(column: pa.Array | pa.ChunkedArray, own: pa.Array, device: DeviceName) -> Values:
    """What the lists, structs and maps of others that name the device become."""
    cells = enumerate(zip(column.cast(without_times(column.type)).to_pylist(), own.to_pylist(), strict=True))
    made = {number: (value, _without_name(value, device)) for number, (value, is_own) in cells if not is_own and value is not None}
    return {number: after for number, (before, after) in made.items() if after != before}


def _without_name(value: Any, device: DeviceName, name: object = "") -> Any:
    """A value within another, without the device. name: what the struct's field or the map's key is called, if it is in one."""
    if isinstance(value, dict):
        return {field: _without_name(inner, device, field) for field, inner in value.items()}
    if isinstance(value, tuple):  # a key of a map and what it has
        return tuple(_without_name(inner, device, value[0] if at else "") for at, inner in enumerate(value))
    if isinstance(value, list):
        return [_without_name(inner, device, name) for inner in value]
    if isinstance(value, bytes):
        return value if judge_payload(value, device) is Named.OTHER else mask_payload(value, device)
    if not isinstance(value, str):
        return value
    if isinstance(name, str) and role_of_field(name) is Role.DEVICE:
        return MASK if value == device.id else value
    return device.mask_text(value, device.word) if device.is_sought_in_texts else value


def _numbers(mask: pa.Array) -> list[int]:
    return list(pc.indices_nonzero(mask).to_pylist())


def _false(rows: pa.Table | pa.RecordBatch) -> pa.Array:
    return pa.repeat(pa.scalar(False), rows.num_rows)


def _array(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
