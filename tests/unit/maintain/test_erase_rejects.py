"""Whose a rejected record is, however broken it is, and what it becomes if it only mentions the device."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetlake.maintain.erase_name import DeviceName
from fleetlake.maintain.erase_rejects import Named, judge_payload, mask_payload

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
        ('{"note":"sim1-00007"'.encode("utf-16-le") + b"\0", MENTIONED, b"[erased]"),
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
