"""The members of a JSON text that say whose it is, and where its names are: exactly where it is JSON, else as far as quotes tell.

One scanner for both, so that an erasure knows where in the text each value stands.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cached_property

from fleetlake.maintain.erase_fields import DEVICE_FIELD, KEY_FIELD
from fleetlake.maintain.erase_name import JOINTS

# Matches at every quote, also before a lone backslash at the end, so that it never goes back: a payload of escaped quotes would
# take the square of its length.
TOKEN = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)("|\\?\Z)', re.DOTALL)
COLON, NUMBER = re.compile(r"\s*:\s*"), re.compile(r"-?[0-9][0-9.eE+-]*")
OPENING, CLOSING, AFTER_VALUE = re.compile(r"[{\[]"), re.compile(r"[}\]]"), re.compile(r"\s*[,}\]]")
DEVICE_NAMES = re.compile("device_?id", re.IGNORECASE)
GOES_ON = re.compile(r"[0-9A-Za-z_-]")  # after a quote that closes no value: two texts that were joined where one was cut off
UNDECODED = re.compile("[\ud800-\udfff\ufffd]")


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a JSON object whose name may say that its value is a device's id or its own. Its value is text[begin:end].

    is_closed: the value ends with a quote, or a number before a comma or bracket. is_certain: it also holds nothing that could not
    be decoded, and what comes after it is no part of it, so that the value is what its writer wrote.
    """

    name: str
    value: str
    depth: int
    begin: int
    end: int
    is_closed: bool
    is_certain: bool
    is_number: bool = False

    @property
    def is_of_device(self) -> bool:
        return self.name != KEY_FIELD


@dataclass(frozen=True, slots=True)
class Name:
    """The name of a member of a JSON object: text[begin:end]. Its value, if it has one, begins at value_begin."""

    name: str
    begin: int
    end: int
    value_begin: int

    @property
    def is_of_device(self) -> bool:
        return bool(DEVICE_NAMES.fullmatch(self.name))


@dataclass(frozen=True)
class Scanned:
    """members: those called deviceId (in any spelling of that) or id that have a text or a number as value. names: of all."""

    members: list[Member] = field(default_factory=list)
    names: list[Name] = field(default_factory=list)

    @cached_property
    def devices(self) -> list[Member]:
        """The members that say whose the record is."""
        return [member for member in self.members if member.depth == 1 and member.name == DEVICE_FIELD and member.value]

    @cached_property
    def keys(self) -> frozenset[Member]:
        """The event ids that say it if nothing else does."""
        if self.devices:
            return frozenset()
        return frozenset(member for member in self.members if member.depth == 1 and member.name == KEY_FIELD and member.is_closed)

    @cached_property
    def owner(self) -> str | None:
        """The device whose record it is, by a deviceId that is certain; None if there is none or they differ."""
        values = {member.value if member.is_certain and not UNDECODED.search(member.value) else "" for member in self.devices}
        return (values.pop() or None) if len(values) == 1 else None


def owner_of_key(event_id: str) -> str | None:
    """Returns what an event id without a deviceId beside it says of its device: all before the last joint, as in `veh-9-000123`."""
    at = max(event_id.rfind(joint) for joint in JOINTS)
    return event_id[:at] if 0 < at < len(event_id) - 1 else None


def scan(text: str) -> Scanned:
    """Reads a text as JSON, whole or broken. Never raises, and takes time in proportion to its length."""
    found = Scanned()
    at = depth = 0
    while token := TOKEN.search(text, at):
        between = text[at : token.start()]
        depth += len(OPENING.findall(between)) - len(CLOSING.findall(between))
        at = token.end()
        if not (colon := COLON.match(text, at)):
            continue
        name, at = _unescaped(token[1]), colon.end()
        found.names.append(Name(name, *token.span(1), at))
        if name != KEY_FIELD and not found.names[-1].is_of_device:
            continue
        if value := TOKEN.match(text, at):
            found.members.append(_text_member(text, name, max(depth, 1), value))
            at = value.end()
        elif number := NUMBER.match(text, at):
            ends = bool(AFTER_VALUE.match(text, number.end()))
            begin, end = number.span()
            found.members.append(Member(name, number[0], max(depth, 1), begin, end, ends, ends, is_number=True))
    return found


def _text_member(text: str, name: str, depth: int, value: re.Match[str]) -> Member:
    is_closed = bool(value[2]) and value[2] != "\\"
    is_certain = is_closed and not GOES_ON.match(text, value.end()) and not UNDECODED.search(value[1]) and _is_json(value[1])
    return Member(name, _unescaped(value[1]), depth, *value.span(1), is_closed, is_certain)


def _is_json(text: str) -> bool:
    try:
        json.loads(f'"{text}"', strict=False)
    except ValueError:
        return False
    return True


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return text
