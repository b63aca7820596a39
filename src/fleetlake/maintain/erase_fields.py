"""What a column of the lake may say of a device, derived from the contracts: the only place where fields are classified."""

from __future__ import annotations

from enum import StrEnum
from functools import cache

import pyarrow as pa

from fleetlake.contracts.columns import Type
from fleetlake.contracts.events import EVENTS
from fleetlake.contracts.tables import ERASED, PAYLOAD, RAW, REJECT_REASON, SOURCE_FILE, all_tables

DEVICE_FIELD, KEY_FIELD = "deviceId", "id"  # of an event on the wire
ENCODED_ENDING = "_base64"


class Role(StrEnum):
    """device: a row is the device's if this equals its id. key: the row's own id, never changed, whatever it reads like.

    text: words of a device or a person; another device's id in it is cut out. reason, payload: of a rejected record.
    nested: a list, struct or map with texts or bytes in it, as only other tools make: masked like a text, a value called device_id
    if it is the id. none: fixed words, names out of reference files, encoded pictures, places of files, numbers: no device is
    looked for in them.
    """

    DEVICE = "device"
    KEY = "key"
    TEXT = "text"
    REASON = "reason"
    PAYLOAD = "payload"
    NESTED = "nested"
    NONE = "none"


def role_of(name: str, type: pa.DataType) -> Role:
    """Returns the role of a column; one that no contract has (another version's or engine's) is text or a payload by its type."""
    if pa.types.is_nested(type):
        return Role.NESTED if _has_texts(type) else Role.NONE
    is_bytes = plain_type(type) == pa.large_binary()
    if not is_bytes and plain_type(type) != pa.large_string():
        return Role.NONE
    return _roles().get(name, Role.PAYLOAD if is_bytes else Role.TEXT)


def plain_type(type: pa.DataType) -> pa.DataType:
    """Returns the type that a column is looked through as: writers may keep texts and bytes in several, which hold the same."""
    if pa.types.is_dictionary(type):
        return plain_type(type.value_type)
    if isinstance(type, pa.BaseExtensionType):
        return plain_type(type.storage_type)
    if pa.types.is_string(type) or pa.types.is_string_view(type):
        return pa.large_string()
    return pa.large_binary() if pa.types.is_binary(type) or pa.types.is_binary_view(type) else type


def _has_texts(type: pa.DataType) -> bool:
    if pa.types.is_nested(type):
        return any(_has_texts(type.field(number).type) for number in range(type.num_fields))
    return plain_type(type) in (pa.large_string(), pa.large_binary())


def role_of_field(name: str) -> Role:
    """Returns the role of a text column that is known by its name only, as in a manifest."""
    return _roles().get(name, Role.TEXT)


@cache
def words_of_the_format() -> frozenset[str]:
    """Returns the names of fields, columns and tables. A device that is called like one is not looked for in names and metadata."""
    columns = (name for table in all_tables() for name in (*table.name.split("."), *(column.name for column in table.columns)))
    return frozenset([*columns, *(field.name for event in EVENTS for field in event.fields)])


@cache
def _roles() -> dict[str, Role]:
    """Roles by column name. A text column that only computed tables have is made of fixed words and names of reference files."""
    computed = {
        column.name: Role.NONE
        for table in all_tables()
        for column in table.columns
        if not table.event and column.type is Type.STRING
    }
    keys = {table.columns[0].name: Role.KEY for table in all_tables() if not table.event and table is not ERASED}
    of_events = {
        field.column.name: _role_on_the_wire(field.name, field.column.name, bool(field.column.choices))
        for event in EVENTS
        for field in event.fields
        if field.type is Type.STRING
    }
    arrival = {REJECT_REASON.name: Role.REASON, PAYLOAD.name: Role.PAYLOAD, SOURCE_FILE.name: Role.NONE}
    known = {column.name for table in RAW for column in table.columns}
    places = {column.name: Role.NONE for column in ERASED.columns if column.name not in known}
    return computed | keys | of_events | arrival | places


def _role_on_the_wire(field: str, column: str, has_choices: bool) -> Role:
    if field in (DEVICE_FIELD, KEY_FIELD):
        return Role.DEVICE if field == DEVICE_FIELD else Role.KEY
    return Role.NONE if has_choices or column.endswith(ENCODED_ENDING) else Role.TEXT
