"""The contract's rules, one record at a time: the reference every engine's columnar decoder has to agree with.

A reject reason reads `rule: field: what was seen`. Engines send the few records their fast path is not sure of
through here, so that the reasons are the same whoever reads the topic.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from fleetlake.contracts.columns import FIRST_YEAR, LAST_YEAR, Column, Field, Type
from fleetlake.contracts.events import Event

Value = str | float | int | bool | datetime | None
TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?Z", re.ASCII)
SEEN_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Parsed:
    """A record as its event's columns (name to value, null where absent), or the reason it was rejected."""

    values: Mapping[str, Value]
    reject_reason: str | None


def parse(event: Event, payload: bytes | None) -> Parsed:
    """Checks one record's bytes against `event`. Never raises: a bad record is a value with a reason."""
    try:
        return Parsed(_columns(event, _document(payload)), None)
    except _RejectedError as rejected:
        return Parsed({}, str(rejected))


class _RejectedError(Exception):
    def __init__(self, rule: str, field: str, seen: object) -> None:
        text = seen if isinstance(seen, str) else json.dumps(seen, ensure_ascii=True, default=str)
        storable = text[:SEEN_CHARACTERS].encode(errors="backslashreplace").decode()  # a lone surrogate is none
        super().__init__(f"{rule}: {field}: {storable}")


def _document(payload: bytes | None) -> dict[str, object]:
    if payload is None:
        raise _RejectedError("null_value", "-", "a record without a value")
    if not payload.strip(b" \t\r\n"):
        raise _RejectedError("empty", "-", f"{len(payload)} bytes")
    try:
        text = payload.decode()
    except UnicodeDecodeError as error:
        raise _RejectedError("not_utf8", "-", f"byte {error.start}") from None
    try:
        document = json.loads(text, object_pairs_hook=_first_wins)
    except (ValueError, RecursionError) as error:
        raise _RejectedError("not_json", "-", getattr(error, "msg", type(error).__name__)) from None
    if not isinstance(document, dict):
        raise _RejectedError("not_object", "-", _json_type(document))
    return document


def _first_wins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    return dict(reversed(pairs))


def _columns(event: Event, document: Mapping[str, object]) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for field in event.fields:
        seen = document.get(field.name)
        if seen is None:
            if field.required:
                raise _RejectedError("missing_field", field.name, "null" if field.name in document else "absent")
            values |= {column.name: None for column in field.columns}
        elif field.type is Type.LOCATION:
            values |= _location(field, seen)
        else:
            values[field.column.name] = _PARSERS[field.type](field, seen)
    return values


def _location(field: Field, seen: object) -> dict[str, Value]:
    if not isinstance(seen, list) or len(seen) != len(field.columns):
        raise _wrong_type(field, seen)
    numbers = [_number(field, coordinate) for coordinate in seen]
    return {column.name: _in_range(field, column, number) for column, number in zip(field.columns, numbers, strict=True)}


def _double(field: Field, seen: object) -> float:
    return _in_range(field, field.column, _number(field, seen))


def _integer(field: Field, seen: object) -> int:
    number = _number(field, seen)
    if not number.is_integer() and math.isfinite(number):
        raise _wrong_type(field, seen)
    return int(_in_range(field, field.column, number))


def _boolean(field: Field, seen: object) -> bool:
    if not isinstance(seen, bool):
        raise _wrong_type(field, seen)
    return seen


def _string(field: Field, seen: object) -> str:
    if not isinstance(seen, str):
        raise _wrong_type(field, seen)
    if field.required and not seen:
        raise _RejectedError("missing_field", field.name, "empty")
    if field.column.choices and seen not in field.column.choices:
        raise _RejectedError("not_allowed", field.name, seen)
    try:
        seen.encode()
    except UnicodeEncodeError:
        raise _RejectedError("not_utf8", field.name, "a lone surrogate") from None
    return seen


def _timestamp(field: Field, seen: object) -> datetime:
    if not isinstance(seen, str):
        raise _wrong_type(field, seen)
    try:
        if not TIMESTAMP.fullmatch(seen):
            raise ValueError
        time = datetime.fromisoformat(seen).astimezone(UTC)
    except ValueError:
        raise _RejectedError("bad_timestamp", field.name, seen) from None
    if not FIRST_YEAR <= time.year <= LAST_YEAR:
        raise _RejectedError("out_of_range", field.name, f"{seen}, allowed {FIRST_YEAR} to {LAST_YEAR}")
    return time


def _number(field: Field, seen: object) -> float:
    if isinstance(seen, bool) or not isinstance(seen, int | float):
        raise _wrong_type(field, seen)
    try:
        return float(seen)
    except OverflowError:
        return math.inf if seen > 0 else -math.inf


def _in_range(field: Field, column: Column, number: float) -> float:
    low = -math.inf if column.minimum is None else column.minimum
    high = math.inf if column.maximum is None else column.maximum
    if not (low <= number <= high) or math.isinf(number):
        raise _RejectedError("out_of_range", field.name, f"{number:g}, allowed {low:g} to {high:g}")
    return number


def _wrong_type(field: Field, seen: object) -> _RejectedError:
    return _RejectedError("wrong_type", field.name, f"{_json_type(seen)}, expected {_EXPECTED[field.type]}")


def _json_type(seen: object) -> str:
    names = {type(None): "null", bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return names[type(seen)]


_EXPECTED = {
    Type.STRING: "string", Type.DOUBLE: "number", Type.INTEGER: "whole number", Type.BOOLEAN: "boolean",
    Type.TIMESTAMP: "string", Type.LOCATION: "[latitude, longitude]",
}  # fmt: skip
_PARSERS: dict[Type, Callable[[Field, object], Value]] = {
    Type.STRING: _string, Type.DOUBLE: _double, Type.INTEGER: _integer, Type.BOOLEAN: _boolean, Type.TIMESTAMP: _timestamp,
}  # fmt: skip
