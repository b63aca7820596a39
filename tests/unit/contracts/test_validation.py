"""The reference rules, case by case."""

import json
from datetime import UTC, datetime

import pytest

from fleetlake.contracts.events import EMERGENCY, GPS, VEHICLE, WEATHER, Event
from fleetlake.contracts.validation import parse

GOOD = {"id": "a", "deviceId": "veh-1", "timestamp": "2026-01-01T00:00:00.000Z", "location": [51.5, -0.12]}


def reason(event: Event, **changes: object) -> str | None:
    document = {name: value for name, value in (GOOD | changes).items() if value is not ...}
    return parse(event, json.dumps(document).encode()).reject_reason


def test_a_good_event_becomes_its_columns() -> None:
    payload = json.dumps(GOOD | {"speed": 50, "year": 2024.0, "ignition": True, "extra": {"speed": "x"}}).encode()
    parsed = parse(VEHICLE, payload)
    assert parsed.reject_reason is None
    seen = {name: value for name, value in parsed.values.items() if value is not None}
    assert seen == {
        "event_id": "a", "device_id": "veh-1", "event_time": datetime(2026, 1, 1, tzinfo=UTC), "latitude": 51.5, "longitude": -0.12,
        "speed_kmh": 50.0, "model_year": 2024, "ignition": True,
    }  # fmt: skip
    assert set(parsed.values) == {column.name for column in VEHICLE.columns}


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (None, "null_value: -: a record without a value"),
        (b"", "empty: -: 0 bytes"),
        (b" \n", "empty: -: 2 bytes"),
        (b"\xff{}", "not_utf8: -: byte 0"),
        (b"speed=1", "not_json: -: Expecting value"),
        (b'{"id": "a",}', "not_json: -: Illegal trailing comma before end of object"),
        (b"[1]", "not_object: -: array"),
        (b"null", "not_object: -: null"),
        (b"12", "not_object: -: number"),
        (b'{"id":"a"} {"id":"b"}', "not_json: -: Extra data"),
        (b"[" * 100_000, "not_json: -: RecursionError"),
    ],
)
def test_what_is_not_an_object(payload: bytes | None, expected: str) -> None:
    seen = parse(VEHICLE, payload).reject_reason or ""
    assert seen.split(":")[0] == expected.split(":")[0]
    if expected.startswith(("null", "empty", "not_utf8", "not_object")):
        assert seen == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"id": ...}, "missing_field: id: absent"),
        ({"id": None}, "missing_field: id: null"),
        ({"id": ""}, "missing_field: id: empty"),
        ({"id": 5}, "wrong_type: id: number, expected string"),
        ({"location": ...}, "missing_field: location: absent"),
        ({"location": [1]}, "wrong_type: location: array, expected [latitude, longitude]"),
        ({"location": "51,0"}, "wrong_type: location: string, expected [latitude, longitude]"),
        ({"location": ["51", "0"]}, "wrong_type: location: string, expected [latitude, longitude]"),
        ({"location": [91, 0]}, "out_of_range: location: 91, allowed -90 to 90"),
        ({"speed": "fast"}, "wrong_type: speed: string, expected number"),
        ({"speed": True}, "wrong_type: speed: boolean, expected number"),
        ({"speed": -1}, "out_of_range: speed: -1, allowed 0 to 300"),
        ({"speed": 10**400}, "out_of_range: speed: inf, allowed 0 to 300"),
        ({"year": 2024.5}, "wrong_type: year: number, expected whole number"),
        ({"ignition": "on"}, "wrong_type: ignition: string, expected boolean"),
        ({"direction": "Up"}, "not_allowed: direction: Up"),
        ({"timestamp": "yesterday"}, "bad_timestamp: timestamp: yesterday"),
        ({"timestamp": "2026-02-30T00:00:00.000Z"}, "bad_timestamp: timestamp: 2026-02-30T00:00:00.000Z"),
        ({"timestamp": "1970-01-01T00:00:00.000Z"}, None),
        ({"timestamp": "2099-12-31T23:59:59.999Z"}, None),
        ({"timestamp": "1969-12-31T23:59:59.999Z"}, "out_of_range: timestamp: 1969-12-31T23:59:59.999Z, allowed 1970 to 2099"),
        ({"timestamp": "2100-01-01T00:00:00.000Z"}, "out_of_range: timestamp: 2100-01-01T00:00:00.000Z, allowed 1970 to 2099"),
        ({"timestamp": "2026-01-01T00:00:00"}, "bad_timestamp: timestamp: 2026-01-01T00:00:00"),
        ({"make": "\ud800"}, "not_utf8: make: a lone surrogate"),
        ({"direction": "\ud800"}, r"not_allowed: direction: \ud800"),
        ({"timestamp": "\udfff"}, r"bad_timestamp: timestamp: \udfff"),
        ({"speed": None, "make": None}, None),
        ({"timestamp": "2026-01-01T00:00:00Z"}, None),
    ],
)
def test_the_rules_of_a_field(changes: dict[str, object], expected: str | None) -> None:
    assert reason(VEHICLE, **changes) == expected


def test_rules_differ_between_events() -> None:
    assert reason(GPS, location=...) is None
    assert reason(WEATHER, weatherCondition="Hail") == "not_allowed: weatherCondition: Hail"
    assert reason(EMERGENCY) == "missing_field: type: absent"


def test_the_first_of_two_equal_keys_counts() -> None:
    payload = b'{"id":"a","id":"b","deviceId":"d","timestamp":"2026-01-01T00:00:00.000Z","location":[1,2]}'
    assert parse(VEHICLE, payload).values["event_id"] == "a"
