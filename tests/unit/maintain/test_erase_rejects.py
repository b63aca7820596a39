"""Whose a rejected record is, however broken it is, and what it becomes if it only mentions the device."""

from __future__ import annotations

import json
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetlake.maintain.erase_members import scan
from fleetlake.maintain.erase_name import DeviceName
from fleetlake.maintain.erase_rejects import Named, judge_payload, mask_payload, owner_of_payload

OWN, MENTIONED, OTHER = Named.OWN, Named.MENTIONED, Named.OTHER


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b'{"deviceId": "veh-9", "speed": "fast"}', OWN), (b'{"deviceId": "v\\u0065h-9"', OWN), (b'{"deviceId":"veh-9","a":{', OWN),
        (b'{"d\\u0065viceId": "veh-9"}', OWN),
        # cut before its deviceId: an event id that begins with a device's, and another part
        (b'{"id":"veh-9-000123","lat":51.5,"lon":-0.1,"dev', OWN), (b'{"id":"veh-9/123","lat":', OWN),
        (b'{"id":"veh-9-1-000123","lat":', OTHER), (b'{"id":"veh-9-00', OTHER), (b'{"id":"veh-90-1","lat":', OTHER),
        # it may go on: veh-90
        (b'{"deviceId":"veh-9', MENTIONED), (b'{"deviceId":"ve\\u0068-9\xff"', MENTIONED),
        # another device's, which is never deleted
        (b'{"id":"veh-9-000123","deviceId":"other","x":', OTHER), (b'{"deviceId":"veh-9_trailer","bad', OTHER),
        (b'{"meta":{"deviceId":"veh-9"},"deviceId":"12","x":', MENTIONED),
        (b'{"meta":{"deviceId":"veh-9"},"deviceId":"12"}', MENTIONED), (b'{"deviceId":"12","deviceId":"veh-9"}', MENTIONED),
        (b'[{"deviceId":"veh-9"}]', MENTIONED), (b"{'deviceId': 'veh-9'}", MENTIONED), (b"device_id=veh-9;", MENTIONED),
        (b'{"note":"veh-9","deviceId":"12"}', OTHER), (b"", OTHER), (b'"veh-9"', OTHER),
    ],
)  # fmt: skip
def test_a_short_id_is_sought_where_ids_are(payload: bytes, expected: Named) -> None:
    device = DeviceName("veh-9")
    for content in (payload, payload.decode(errors="ignore").encode("utf-16"), payload.decode(errors="ignore").encode("utf-32-be")):
        if b"\xff" not in payload or content is payload:
            assert judge_payload(content, device) is expected, content
        if expected is MENTIONED:
            assert judge_payload(mask_payload(payload, device), device) is OTHER


@pytest.mark.parametrize(
    ("payload", "expected", "masked"),
    [
        (b'{"deviceId":"12","note":"sim1-00007 was here, \xff"}', MENTIONED, b'{"deviceId":"12","note":"[erased] was here, \xff"}'),
        (b'{"deviceId":"12","note":"sim1-00007-b"}', OTHER, b""),
        (b'["sim1-00007-000123", 51.5]', MENTIONED, b'["[erased]-000123", 51.5]'),
        (b"trip_sim1-00007", MENTIONED, b"trip_[erased]"),
        (b"asim1-00007 sim1-000071", OTHER, b""),
        ('{"note":"sim1-00007"'.encode("utf-16-le"), MENTIONED, '{"note":"[erased]"'.encode("utf-16-le")),
        ('{"note":"sim1-00007"'.encode("utf-16-le") + b"\0", MENTIONED, '{"note":"[erased]"'.encode("utf-16-le") + b"\0"),
        # an event id without a deviceId is of the device before its last joint
        (b'{"id":"acme:sim1-00007-1","lat":', OTHER, b""), (b'{"id":"sim1-00007-1-000123","lat":', OTHER, b""),
        (b'{"id":"acme:sim1-00007-1', MENTIONED, b'{"id":"acme:[erased]-1'),
        (b'{"id":"at sim1-00007","lat":', OTHER, b""), (b'{"id":"sim1-00007","lat":', MENTIONED, b'{"id":"[erased]","lat":'),
    ],
)  # fmt: skip
def test_a_long_id_in_texts_too_and_the_rest_stays_as_it_is(payload: bytes, expected: Named, masked: bytes) -> None:
    device = DeviceName("sim1-00007")
    assert judge_payload(payload, device) is expected
    if expected is MENTIONED:
        assert mask_payload(payload, device) == masked


@given(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=8),
    st.binary(max_size=20), st.binary(max_size=20), st.sampled_from(["utf-8", "utf-16", "utf-16-le", "utf-32-be"]),
    st.integers(0, 40),
)  # fmt: skip
def test_what_is_masked_does_not_name_it(device_id: str, before: bytes, after: bytes, codec: str, cut: int) -> None:
    device = DeviceName(device_id)
    for document in ({"deviceId": device_id}, {"a": {"deviceId": device_id}}, {"id": device_id + "-1"}):
        written = json.dumps(document).encode().decode().encode(codec)
        for payload in (before + written + after, written[: len(written) - cut]):
            if judge_payload(payload, device) is not OTHER:
                assert judge_payload(mask_payload(payload, device), device) is OTHER, payload


def test_a_number_is_an_id_too() -> None:
    assert judge_payload(b'{"deviceId":7,"speed":"fast"}', DeviceName("7")) is OWN
    assert judge_payload(b'{"deviceId":"12","speed":7}', DeviceName("7")) is OTHER


NEIGHBOURS = [
    ("veh-1234", "acme:veh-1234"), ("veh-1234", "veh-1234 "), ("veh-1234", " veh-1234"), ("veh-1234", "veh-1234/trailer"),
    ("veh-1234", "veh-1234é"), ("veh-1234", 'veh-1234"'), ("veh-1234", "veh-1234\n"), ("veh-1234", "x veh-1234 y"), ("7", "7.5"),
    ("7", "7 b"), ("7", "-7"), ("00", "00:1a:2b:33"), ("véh-1234", "véh-1234 b"), ("erased", "[erased]"),
    ("deviceId", "a:deviceId"), (" ", "veh-1 "), (": ", "veh-1: "),
]  # fmt: skip


@pytest.mark.parametrize(("erased", "owner"), NEIGHBOURS)
def test_a_device_id_that_ends_where_it_should_is_compared_as_a_whole(erased: str, owner: str) -> None:
    codecs, ends, names = (
        ("utf-8", "utf-16", "utf-16-be", "utf-32"),
        ("}", ',"lat":51.5', ""),
        ("deviceId", "device_id", "DeviceID"),
    )
    for codec, end, name, ascii_only in product(codecs, ends, names, (True, False)):
        text = f'{{"id":"e-1","{name}": {json.dumps(owner, ensure_ascii=ascii_only)}{end}'
        payload, device = text.encode(codec), DeviceName(erased)
        assert judge_payload(payload, device) is OTHER
        assert mask_payload(payload, device) == payload
        if name == "deviceId":
            assert judge_payload(payload, DeviceName(owner)) is OWN
            assert owner_of_payload(payload, device) == (None if owner == "[erased]" else owner)


def test_a_number_that_is_a_device_id_too_and_one_that_is_cut_off_may_be_any() -> None:
    for payload, expected in {
        b'{"deviceId":7.5,"lat":1}': OTHER, b'{"deviceId":77,"lat":1}': OTHER, b'{"deviceId":7 }': OWN, b'{"deviceId":7': MENTIONED,
        b'{"deviceId":7-b,': OTHER, b'{"a":{"deviceId":7},"deviceId":12}': MENTIONED,
    }.items():  # fmt: skip
        assert judge_payload(payload, DeviceName("7")) is expected, payload
    assert mask_payload(b'{"a":{"deviceId":7},"deviceId":12}', DeviceName("7")) == b'{"a":{"deviceId":"[erased]"},"deviceId":12}'


def test_a_device_id_in_doubt_is_looked_through() -> None:
    device = DeviceName("veh-1234")
    for payload in (
        b'{"deviceId":"acme:veh-1234', b'{"deviceId":"veh-1234 ', b'{"deviceId":"veh-1234\xff"}',
        b'{"deviceId":"veh-1234{"id":"x"}',
        b'{"deviceId":"veh-1234 \\x"}', b"{'deviceId':'acme:veh-1234'}",
    ):  # fmt: skip
        assert judge_payload(payload, device) is MENTIONED, payload
        assert owner_of_payload(payload, device) is None


@pytest.mark.parametrize("name", ["deviceId", "timestamp", "location", "device_id", "event_time", "id", "speed"])
def test_names_of_fields_stay(name: str) -> None:
    whole = b'{"id":"e-1","deviceId":"veh-2","timestamp":"x","location":[1,2],"device_id":3,"event_time":4,"speed":"fast"}'
    for payload in (whole, whole[:-1], whole.decode().encode("utf-16"), b"\xff" + whole):
        assert judge_payload(payload, DeviceName(name)) is OTHER
        assert mask_payload(payload, DeviceName(name)) == payload
    assert mask_payload(b'{"deviceId":"2","note":"timestamp"}', DeviceName("timestamp")) == b'{"deviceId":"2","note":"[erased]"}'


def test_a_name_that_is_no_field_s_may_be_a_device() -> None:
    payload = b'{"deviceId":"2","speeds":{"veh-1234":5,"broken":1}}'
    assert mask_payload(payload, DeviceName("veh-1234")) == payload.replace(b"veh-1234", b"[erased]")
    assert mask_payload(payload, DeviceName("broken")) == payload


def test_latin_1_and_what_lost_its_first_bytes() -> None:
    text = '{"id":"e-1","deviceId":"véh-1234","lat":9}'
    cut = [text.encode("utf-32")[lost:] for lost in range(7)]
    for payload in (text.encode("latin-1"), text.replace("v", "\\u0076").encode("latin-1"), *cut):
        assert judge_payload(payload, DeviceName("véh-1234")) is OWN, payload
    assert judge_payload(text.encode("latin-1"), DeviceName("vÉh-1234")) is OTHER
    noted = text.replace("véh", "x").replace("9}", '"véh-1234"}')
    for payload in (noted.encode("latin-1"), noted.encode("utf-32")[2:]):
        assert judge_payload(mask_payload(payload, DeviceName("véh-1234")), DeviceName("véh-1234")) is OTHER
        assert len(mask_payload(payload, DeviceName("véh-1234"))) == len(payload)


ODD_IDS = [
    "erased", "[erased]", "erased]", "[erased", "[", "]", "x [erased]", "[erased]x", "[erased]!", "!![erased]",
    "[erased][erased]",
    "deviceId", "veh-1!", "!veh-1", "veh-1234", "7", "a\\b-c-d", 'a"b-c-d', "veh-1\x00", "[[erased]]",
    "\u00e9\u00e9\u00e9-veh",
]  # fmt: skip
PIECES = st.sampled_from([
    '{"', '":"', '","', '"}', '"', "{", "}", ":", ",", "\\", " ", "deviceId", "id", "note", "[erased]", "erased", "-", "!", "7",
    '"deviceId":"', '"deviceId":7', '{"deviceId":"other","note":"', '{"id":"', "\x00", "\n",
])  # fmt: skip


@given(
    st.sampled_from(ODD_IDS) | st.text(st.characters(codec="utf-8"), min_size=1, max_size=9),
    st.data(), st.sampled_from(["utf-8", "utf-16-le", "utf-32-be", "latin-1"]),
)  # fmt: skip
def test_masking_ends_and_masks_no_more_the_second_time(device_id: str, data: st.DataObject, codec: str) -> None:
    device = DeviceName(device_id)
    text = "".join(data.draw(st.lists(PIECES | st.just(device_id), max_size=12)))
    payload = text.encode(codec, "replace")
    masked = mask_payload(payload, device)
    assert judge_payload(masked, device) is OTHER or (masked == payload and judge_payload(payload, device) is OWN)
    assert mask_payload(masked, device) == masked
    for pattern in (device.word, device.joined):
        once = device.mask_text(text, pattern)
        assert device.mask_text(once, pattern) == once


@given(st.sampled_from(ODD_IDS) | st.text(st.characters(codec="utf-8"), min_size=1, max_size=9), st.data(), st.booleans())
def test_a_record_of_another_stays_its_own(device_id: str, data: st.DataObject, ascii_only: bool) -> None:
    device = DeviceName(device_id)
    pieces = st.sampled_from(["acme:", " ", "/b", ".", "é", "[erased]", "x", '"']) | st.just(device_id)
    around = st.lists(pieces, min_size=1, max_size=4)
    owner = "".join(data.draw(around))
    note = "".join(data.draw(around))
    if owner == device_id:
        return
    payload = json.dumps({"id": "e-1", "deviceId": owner, "note": note, "speed": "fast"}, ensure_ascii=ascii_only).encode()
    masked = mask_payload(payload, device)
    assert judge_payload(masked, DeviceName(owner)) is OWN, masked
    assert [name.name for name in scan(masked.decode()).names] == ["id", "deviceId", "note", "speed"], masked


JSON = st.recursive(
    st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "deviceId", '"', "\\"]), inner, max_size=4),
)


@given(JSON, st.booleans(), st.sampled_from([None, 1]))
def test_the_scanner_finds_in_json_what_a_parser_finds(document: object, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(document, ensure_ascii=ascii_only, indent=indent)
    expected = list[tuple[str, str, int]]()

    def walk(node: object, depth: int) -> None:
        for name, value in node.items() if isinstance(node, dict) else []:
            if name in ("id", "deviceId") and isinstance(value, str | int | float):
                expected.append((name, value if isinstance(value, str) else json.dumps(value), depth))
            walk(value, depth + 1)
        for value in node if isinstance(node, list) else []:
            walk(value, depth + 1)

    walk(document, 1)
    found = scan(text).members
    assert [(member.name, member.value, member.depth) for member in found] == expected
    assert all(member.is_closed for member in found)
    for member in found:
        assert text[member.begin : member.end] in (member.value, json.dumps(member.value, ensure_ascii=ascii_only)[1:-1])
