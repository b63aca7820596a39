"""What producers of other versions of the contract send: changes of a good vehicle event, and what becomes of each."""

import json

from tests.event_documents import GOOD

ABSENT = object()
CHANGES: dict[str, dict[str, object]] = {
    "a new optional field": {"batteryVoltage": 12.5},
    "a new field that is an object": {"battery": {"volts": 12.5, "speed": "x"}},
    "a removed optional field": {"speed": ABSENT},
    "a whole number sent as a double": {"year": 2024.0},
    "a whole number that became a double": {"year": 2024.5},
    "a double sent as a whole number": {"speed": 50},
    "a bigger range": {"speed": 420},
    "a required field removed": {"location": ABSENT},
    "a required field renamed": {"deviceId": ABSENT, "device_id": "d"},
    "an optional field renamed": {"speed": ABSENT, "speedKmh": 12.5},
    "a text instead of a number": {"speed": "12.5"},
    "a number instead of a text": {"make": 5},
    "times in milliseconds": {"timestamp": 1767225600000},
    "a new value of a list": {"direction": "Up"},
}
# By the change's name, the reason it is rejected for; None if it is taken.
EXPECTED: dict[str, str | None] = {
    **dict.fromkeys(CHANGES),
    "a whole number that became a double": "wrong_type: year: number, expected whole number",
    "a bigger range": "out_of_range: speed: 420, allowed 0 to 300",
    "a required field removed": "missing_field: location: absent",
    "a required field renamed": "missing_field: deviceId: absent",
    "a text instead of a number": "wrong_type: speed: string, expected number",
    "a number instead of a text": "wrong_type: make: number, expected string",
    "times in milliseconds": "wrong_type: timestamp: number, expected string",
    "a new value of a list": "not_allowed: direction: Up",
}


def records_of_other_producers() -> list[bytes]:
    """A record for each of the changes, in their order."""
    changed = [{name: value for name, value in (GOOD | change).items() if value is not ABSENT} for change in CHANGES.values()]
    return [json.dumps(document).encode() for document in changed]
