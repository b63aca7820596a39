"""Iceberg's manifests and manifest lists with other paths in them: every other byte stays what it was.

An Avro file says in its header what its records are made of. They are walked through by that, and only the values of the named
fields are written anew, so that what this program does not know of (columns of newer versions, statistics) is kept as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from pyiceberg.avro.codecs import KNOWN_CODECS
from pyiceberg.avro.codecs.codec import Codec

MAGIC, SYNC_BYTES = b"Obj\x01", 16
FLOAT_BYTES = {"null": 0, "boolean": 1, "float": 4, "double": 8}
CODECS: Mapping[str, type[Codec] | None] = {str(name): codec for name, codec in KNOWN_CODECS.items()}
Value = str | int
Change = Callable[[Value], Value]


def with_changes(content: bytes, changes: Mapping[str, Change]) -> bytes:
    """The Avro file with the values of some fields changed.

    changes: name of a field of strings or integers, at any depth, to what makes the new value of the old one; called in the order
    of the file, but not for null. ValueError if the content is no Avro file.
    """
    walk = _Walk(content)
    if walk.take(len(MAGIC)) != MAGIC:
        raise ValueError("no Avro file")
    header = _read_header(walk)
    sync = walk.take(SYNC_BYTES)
    schema, codec = json.loads(header["avro.schema"]), CODECS[header.get("avro.codec", b"null").decode()]
    parts = [content[: walk.at]]
    while walk.at < len(content):
        records, packed = walk.long(), walk.take(walk.long())
        block = _Walk(codec.decompress(packed) if codec else packed)
        changed = _Rewriter(block, changes).block(schema, records)
        if codec:
            changed, _ = codec.compress(changed)
        parts += [_long(records), _long(len(changed)), changed, sync]
        if walk.take(SYNC_BYTES) != sync:
            raise ValueError("an Avro file that was cut off or overwritten")
    return b"".join(parts)


class _Walk:
    """Bytes, and a place in them."""

    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def take(self, count: int) -> bytes:
        found = self.content[self.at : self.at + count]
        if count < 0 or len(found) < count:
            raise ValueError("an Avro file that was cut off")
        self.at += count
        return found

    def long(self) -> int:
        number = shift = 0
        while True:
            byte = self.take(1)[0]
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return (number >> 1) ^ -(number & 1)
            shift += 7


def _long(number: int) -> bytes:
    zigzag, found = (number << 1) ^ (number >> 63), bytearray()
    while zigzag > 0x7F:
        found.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    found.append(zigzag)
    return bytes(found)


def _read_header(walk: _Walk) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    while count := walk.long():
        if count < 0:
            walk.long()
        for _ in range(abs(count)):
            name = walk.take(walk.long()).decode()
            found[name] = walk.take(walk.long())
    return found


class _Rewriter:
    """One block of records, copied with changes."""

    def __init__(self, walk: _Walk, changes: Mapping[str, Change]) -> None:
        self._walk, self._changes = walk, changes
        self._named: dict[str, Any] = {}
        self._parts: list[bytes] = []
        self._copied = 0

    def block(self, schema: Any, records: int) -> bytes:
        for _ in range(records):
            self._value(schema, None)
        if self._walk.at != len(self._walk.content):
            raise ValueError("an Avro block with more in it than its records")
        self._parts.append(self._walk.content[self._copied :])
        return b"".join(self._parts)

    def _value(self, schema: Any, change: Change | None) -> None:
        kind = schema
        if isinstance(schema, dict):
            kind = schema["type"]
            if "name" in schema:
                self._named[schema["name"]] = schema
            if isinstance(kind, (dict, list)):
                return self._value(kind, change)
        if isinstance(kind, list):
            return self._value(kind[self._walk.long()], change)
        if kind in self._named and not isinstance(schema, dict):
            return self._value(self._named[kind], change)
        return self._of_kind(kind, schema, change)

    def _of_kind(self, kind: str, schema: Any, change: Change | None) -> None:
        walk = self._walk
        if kind == "record":
            for field in schema["fields"]:
                self._value(field["type"], self._changes.get(field["name"]))
        elif kind in ("string", "bytes", "int", "long", "enum"):
            self._number_or_text(kind, change)
        elif kind in FLOAT_BYTES:
            walk.take(FLOAT_BYTES[kind])
        elif kind == "fixed":
            walk.take(schema["size"])
        elif kind in ("array", "map"):
            self._items(kind, schema["items" if kind == "array" else "values"])
        else:
            raise ValueError(f"an Avro file with a type {kind}")

    def _number_or_text(self, kind: str, change: Change | None) -> None:
        began = self._walk.at
        number = self._walk.long()
        text = self._walk.take(number) if kind in ("string", "bytes") else None
        if change is None:
            return
        new = change(number if text is None else text.decode())
        encoded = new.encode() if isinstance(new, str) else None
        self._parts.append(self._walk.content[self._copied : began])
        self._parts.append(_long(int(new or 0)) if encoded is None else _long(len(encoded)) + encoded)
        self._copied = self._walk.at

    def _items(self, kind: str, item: Any) -> None:
        while count := self._walk.long():
            if count < 0:  # then the size in bytes follows, which changes make wrong
                parts = len(self._parts)
                self._walk.long()
                self._each(kind, item, -count)
                if len(self._parts) != parts:
                    raise ValueError("an Avro array with sizes, with a value to change in it")
            else:
                self._each(kind, item, count)

    def _each(self, kind: str, item: Any, count: int) -> None:
        for _ in range(count):
            if kind == "map":
                self._walk.take(self._walk.long())
            self._value(item, None)
