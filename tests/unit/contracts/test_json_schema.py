"""JSON Schema and the reference rules agree, wherever JSON Schema can express a rule."""

import json
import re

import pytest
from jsonschema import Draft202012Validator

from fleetlake.contracts.columns import FIRST_YEAR, LAST_YEAR, Type
from fleetlake.contracts.events import EMERGENCY, EVENTS, GPS, TRAFFIC, VEHICLE, WEATHER, Event
from fleetlake.contracts.json_schema import TIME_PATTERN, json_schema
from fleetlake.contracts.validation import parse

GOOD = {
    "id": "a", "deviceId": "veh-1", "timestamp": "2026-01-01T00:00:00.000Z", "location": [51.5, -0.12],
    "cameraId": "cam-1", "type": "None", "status": "Active",
}  # fmt: skip
CHANGES: list[dict[str, object]] = [
    {},
    {"extra": {"nested": 1}},
    {"id": ...},
    {"id": None},
    {"id": ""},
    {"id": 5},
    {"deviceId": ["x"]},
    {"location": ...},
    {"location": None},
    {"location": [1]},
    {"location": [1, 2, 3]},
    {"location": "51,0"},
    {"location": ["51", "0"]},
    {"location": [90, 180]},
    {"location": [90.1, 0]},
    {"location": [0, -180.5]},
    {"timestamp": "2026-01-01T00:00:00Z"},
    {"timestamp": "2026-01-01T00:00:00.123456Z"},
    {"timestamp": "2026-01-01 00:00:00Z"},
    {"timestamp": "2026-01-01T00:00:00+00:00"},
    {"timestamp": "२०२६-01-01T00:00:00Z"},
    {"timestamp": "yesterday"},
    {"timestamp": 1767225600},
    {"type": "Flood"},
    {"type": ...},
    {"status": None},
    {"cameraId": ...},
]


def variants(event: Event) -> list[dict[str, object]]:
    """CHANGES, and for each field of the event its bounds, just beyond them, wrong types and null."""
    changes = list(CHANGES)
    for field in (field for field in event.fields if field.type is not Type.LOCATION):
        column = field.column
        values = [None, "text", 1, 1.5, True, [], {}, *column.choices, "Neither"]
        for bound, beyond in ((column.minimum, -1), (column.maximum, 1)):
            values += [bound, bound + beyond] if bound is not None else []
        changes += [{field.name: value} for value in values]
    return [{name: value for name, value in (GOOD | change).items() if value is not ...} for change in changes]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_the_schema_and_the_rules_agree(event: Event) -> None:
    validator = Draft202012Validator(json_schema(event))
    verdicts = []
    for document in variants(event):
        reason = parse(event, json.dumps(document).encode()).reject_reason
        verdicts.append(reason is None)
        assert validator.is_valid(document) == (reason is None), (document, reason)
    assert True in verdicts
    assert False in verdicts


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_it_is_a_schema_of_its_dialect_and_names_itself(event: Event) -> None:
    schema = json_schema(event)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:fleetlake:schema:{event.kind}:{event.version}"
    assert list(schema["properties"]) == [field.name for field in event.fields]
    assert schema["additionalProperties"] is True


def test_units_names_and_ranges_are_carried_over() -> None:
    speed = json_schema(VEHICLE)["properties"]["speed"]
    assert (speed["minimum"], speed["maximum"], speed["x-unit"], speed["x-vss"]) == (0, 300, "km/h", "Vehicle.Speed")
    assert speed["x-column"] == "speed_kmh"
    condition = json_schema(WEATHER)["properties"]["weatherCondition"]
    assert condition["enum"] == ["Sunny", "Cloudy", "Rain", "Snow", "Fog", None]
    assert "location" in json_schema(TRAFFIC)["required"]
    assert "location" not in json_schema(GPS)["required"]
    assert json_schema(EMERGENCY)["properties"]["type"]["enum"] == ["Accident", "Fire", "Medical", "Police", "None"]


def test_the_years_of_a_time_are_those_of_the_contract() -> None:
    taken = [year for year in range(10_000) if re.search(TIME_PATTERN, f"{year:04}-01-05T06:05:00.000Z")]
    assert taken == list(range(FIRST_YEAR, LAST_YEAR + 1))
