"""Whose a rejected record is: it has no device_id, so its payload is asked, be it whole JSON, cut off or in another encoding."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from fleetlake.maintain.erase_fields import DEVICE_FIELD, KEY_FIELD
from fleetlake.maintain.erase_name import JOINTS, MASK, DeviceName, readings_of, written

# Matches at every quote, so that it never goes back: of a lone backslash at the end, too. Else a payload of escaped quotes takes the
# square of its length.
TOKEN = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)("|\\?\Z)', re.DOTALL)
COLON, NUMBER = re.compile(r"\s*:\s*"), re.compile(r"-?[0-9][0-9.eE+-]*")
OPENING, CLOSING = re.compile(r"[{\[]"), re.compile(r"[}\]]")


class Named(IntEnum):
    """other: it does not name the device. mentioned: it does, but is not, or not surely, its own. own: it is its own."""

    OTHER = 0
    MENTIONED = 1
    OWN = 2


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a JSON object. is_whole: its value ends where it should, not where the text was cut off."""

    name: str
    value: str
    depth: int
    is_whole: bool = True


def judge_payload(payload: bytes, device: DeviceName) -> Named:
    """Says whose a reject is.

    Its own: its deviceId has the id as value; or it has no deviceId, and its event id is the id, a joint and one more part, as
    `veh-9-000123`. Mentioned: another member called deviceId has it, a cut or doubtful one may have; or, for an id that is looked
    for in texts, it stands there as a whole name (of a record without a deviceId also joined to others by - or _).
    """
    return max(_judge(text, device) for text, _ in readings_of(payload))


def mask_payload(payload: bytes, device: DeviceName) -> bytes:
    """Returns the payload with MASK where it names the device; MASK alone if that does not rid it of it."""
    for text, codec in readings_of(payload):
        if _judge(text, device) is Named.OTHER:
            continue
        made = device.member.sub(lambda found: found[1] + MASK, text)
        if device.is_sought_in_texts:
            made = (device.word if _owner_is_known(text) else device.joined).sub(MASK, made)
        if written(text, codec) != payload or _judge(made, device) is not Named.OTHER:
            return MASK.encode()
        payload = written(made, codec)
    return payload if judge_payload(payload, device) is Named.OTHER else MASK.encode()


def names_no_device(payload: bytes | None) -> bool:
    """Whether nothing in the payload says whose it is."""
    return payload is None or not any(_owner_is_known(text) for text, _ in readings_of(payload))


def _judge(text: str, device: DeviceName) -> Named:
    members = _members(text)
    top = [member for member in members if member.depth == 1]
    devices = [member for member in top if member.name == DEVICE_FIELD and member.value]
    if devices and all(member.value == device.id and member.is_whole for member in devices):
        return Named.OWN
    if not devices:
        for member in (member for member in top if member.name == KEY_FIELD and member.is_whole):
            begin, rest = member.value[: len(device.id)], member.value[len(device.id) :]
            if begin == device.id and rest[:1] and rest[0] in JOINTS and rest[1:] and not set(rest[1:]) & set(JOINTS):
                return Named.OWN
    if any(member.name == DEVICE_FIELD and member.value == device.id for member in members) or device.member.search(text):
        return Named.MENTIONED
    pattern = device.word if devices else device.joined
    return Named.MENTIONED if device.is_sought_in_texts and pattern.search(text) else Named.OTHER


def _owner_is_known(text: str) -> bool:
    return any(member.name == DEVICE_FIELD and member.value and member.depth == 1 for member in _members(text))


def _members(text: str) -> list[Member]:
    """The members called deviceId or id with a text or a number as value: exactly where it is JSON, else as far as quotes tell."""
    try:
        document = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_Pairs, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return list(_scanned(text))
    return list(_of_document(document)) if isinstance(document, list) else []


class _Pairs(list[tuple[str, object]]):
    """An object's members in their order, with those that stand there twice."""


def _of_document(document: object) -> Iterator[Member]:
    pending: list[tuple[object, int]] = [(document, 1)]
    while pending:
        node, depth = pending.pop()
        if isinstance(node, _Pairs):
            for name, value in node:
                if name in (DEVICE_FIELD, KEY_FIELD) and isinstance(value, str):
                    yield Member(name, value, depth)
                pending.append((value, depth + 1))
        elif isinstance(node, list):
            pending += [(item, depth + 1) for item in node]


def _scanned(text: str) -> Iterator[Member]:
    at = depth = 0
    while token := TOKEN.search(text, at):
        between = text[at : token.start()]
        depth += len(OPENING.findall(between)) - len(CLOSING.findall(between))
        at = token.end()
        colon = COLON.match(text, at)
        if colon and _unescaped(token[1]) in (DEVICE_FIELD, KEY_FIELD):
            name, at = _unescaped(token[1]), colon.end()
            if value := TOKEN.match(text, at):
                yield Member(name, _unescaped(value[1]), max(depth, 1), is_whole=bool(value[2]))
                at = value.end()
            elif number := NUMBER.match(text, at):
                yield Member(name, number[0], max(depth, 1), is_whole=number.end() < len(text))


def _unescaped(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return text
