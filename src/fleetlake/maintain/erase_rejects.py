"""Whose a rejected record is: it has no device_id, so its payload is asked, be it whole JSON, cut off or in another encoding."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum

from fleetlake.maintain.erase_fields import words_of_the_format
from fleetlake.maintain.erase_members import Scanned, owner_of_key, scan
from fleetlake.maintain.erase_name import MASK, ROUNDS, DeviceName, Spans, read, readings_of, ways_to_read

Edit = tuple[int, int, str]  # begin and end of what is replaced, and by what


class Named(IntEnum):
    """other: it does not name the device. mentioned: it does, but is not, or not surely, its own. own: it is its own."""

    OTHER = 0
    MENTIONED = 1
    OWN = 2


def judge_payload(payload: bytes, device: DeviceName) -> Named:
    """Says whose a reject is.

    Its own: its deviceId has the id as value; or it has no deviceId, and its event id is the id, a joint and one more part, as
    `veh-9-000123`. Mentioned: another member called deviceId has it, a cut or doubtful one may have; or, for an id that is looked
    for in texts, it stands there as a whole name (of a record without a deviceId also joined to others by - or _). A deviceId that
    ends where it should is compared as a whole: `acme:veh-1` does not mention veh-1.
    """
    return max(_judge(reading.text, device) for reading in readings_of(payload, device))


def mask_payload(payload: bytes, device: DeviceName) -> bytes:
    """Returns the payload with MASK where it names the device, and MASK alone if that does not rid it of the device.

    What it returns does not name the device, so that masking it again changes nothing.
    """
    for way in ways_to_read(payload, device):
        reading = read(payload, way)
        made = _masked(reading.text, device)
        if made == reading.text:
            continue
        if reading.written(reading.text) != payload:
            return MASK.encode()
        payload = reading.written(made)
    return payload if judge_payload(payload, device) is Named.OTHER else MASK.encode()


def names_no_device(payload: bytes | None, device: DeviceName) -> bool:
    """Whether nothing in the payload says whose it is."""
    return payload is None or not any(scan(reading.text).devices for reading in readings_of(payload, device))


def owner_of_payload(payload: bytes | None, device: DeviceName) -> str | None:
    """Returns the device that the payload's deviceId names without doubt; None if there is none."""
    owners = (scan(reading.text).owner for reading in readings_of(payload or b"", device))
    return next((owner for owner in owners if owner and MASK not in owner), None)


def _judge(text: str, device: DeviceName) -> Named:
    if not device.fits_into(text):
        return Named.OTHER
    scanned = scan(text)
    devices = scanned.devices
    if devices and all(member.value == device.id and member.is_closed for member in devices):
        return Named.OWN
    if any(owner_of_key(member.value) == device.id for member in scanned.keys):
        return Named.OWN
    return Named.MENTIONED if _edits(text, scanned, device) else Named.OTHER


def _masked(text: str, device: DeviceName) -> str:
    for _ in range(ROUNDS):
        edits = _edits(text, scan(text), device)
        if not edits:
            return text
        parts, at = list[str](), 0
        for begin, end, made in edits:
            parts += (text[at:begin], made)
            at = end
        text = "".join([*parts, text[at:]])
    return MASK


def _edits(text: str, scanned: Scanned, device: DeviceName) -> list[Edit]:
    """What masking replaces, in its order. Values of deviceIds are replaced whole or not at all, fields' names never."""
    kept, edits = _kept(scanned, device), list[Edit]()
    for member in scanned.members:
        if _is_its(member.value, device, is_key=member in scanned.keys, is_device=member.is_of_device):
            edits.append((member.begin, member.end, f'"{MASK}"' if member.is_number else MASK))
    masks = Spans(device.masks_in(text))
    named = [(found.end(1), found.end()) for found in device.member.finditer(text)]
    if device.is_sought_in_texts:
        named += [found.span() for found in (device.word if scanned.devices else device.joined).finditer(text)]
    edits += [(begin, end, MASK) for begin, end in named if not kept.meet(begin, end) and not masks.meet(begin, end)]
    return list(_apart(text, sorted(edits, key=lambda edit: edit[0])))


def _apart(text: str, edits: list[Edit]) -> Iterator[Edit]:
    """Those that begin after the one before ends and change something."""
    at = 0
    for begin, end, made in edits:
        if begin >= at and text[begin:end] != made:
            yield begin, end, made
            at = end


def _kept(scanned: Scanned, device: DeviceName) -> Spans:
    """Where nothing is looked for but the whole value: in deviceIds and event ids that say without doubt whose they are.

    And in names of fields: in those that the contracts know, and, if the id may be a word of the format, in all.
    """
    values = [
        (member.begin, member.end)
        for member in scanned.members
        if member.is_certain and (member.is_of_device or (member in scanned.keys and owner_of_key(member.value)))
    ]
    fields = [
        (name.begin, name.value_begin if name.is_of_device else name.end)  # a blank between may be an id
        for name in scanned.names
        if name.is_of_device or not device.is_sought_in_metadata or name.name in words_of_the_format()
    ]
    return Spans(values + fields)


def _is_its(value: str, device: DeviceName, *, is_key: bool, is_device: bool) -> bool:
    if is_key:
        return owner_of_key(value) == device.id or (value == device.id and device.is_sought_in_texts)
    return is_device and value == device.id
