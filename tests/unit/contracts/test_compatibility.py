"""Two versions of the contracts compared: every kind of difference, and what a validator of JSON Schema says of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from tests.event_documents import plausible

from fleetlake.contracts.asyncapi import asyncapi
from fleetlake.contracts.columns import Column, Field, Type
from fleetlake.contracts.compatibility import Class, Difference, compare, verdict
from fleetlake.contracts.events import EVENTS, GPS, Event
from fleetlake.contracts.json_schema import TIME_OF_ANY_YEAR, TIME_PATTERN, json_schema
from fleetlake.contracts.published import Contract, read_contracts
from fleetlake.foundation.errors import BadInput


def published(*events: Event) -> dict[str, Contract]:
    return read_contracts(json.loads(json.dumps({event.topic: json_schema(event) for event in events})), where="test")


def changed(name: str, make: Callable[[Field], Field]) -> Event:
    return replace(GPS, fields=tuple(make(field) if field.name == name else field for field in GPS.fields))


def with_column(**changes: object) -> Callable[[Field], Field]:
    return lambda field: replace(field, columns=(replace(field.column, **changes),))  # type: ignore[arg-type]


def field(name: str, type: Type, *, required: bool = False, **rules: object) -> Field:
    return Field(name, type, (Column(name.lower(), type, "", required=required, **rules),), required)  # type: ignore[arg-type]


def without(*names: str) -> Event:
    return replace(GPS, fields=tuple(f for f in GPS.fields if f.name not in names))


def of(type: Type) -> Callable[[Field], Field]:
    return lambda f: replace(f, type=type, columns=(replace(f.column, type=type, minimum=None, maximum=None),))


OPTIONAL, REQUIRED = field("battery", Type.DOUBLE), field("battery", Type.DOUBLE, required=True)
CASES: list[tuple[str, Event, Class, str]] = [
    ("optional field added", replace(GPS, fields=(*GPS.fields, OPTIONAL)), Class.FULL, "battery: added at the end"),
    ("required field added", replace(GPS, fields=(*GPS.fields, REQUIRED)), Class.FORWARD, "battery: added at the end"),
    ("optional field removed", without("altitude"), Class.FULL, "altitude_m: stays with what it has"),
    ("required field removed", without("deviceId"), Class.BACKWARD, "device_id: stays with what it has"),
    ("optional field renamed", changed("speed", lambda f: replace(f, name="velocity")), Class.FULL, "speed_kmh: stays"),
    ("a field required", changed("speed", lambda f: replace(f, required=True)), Class.FORWARD, "unchanged"),
    ("a field optional", changed("deviceId", lambda f: replace(f, required=False)), Class.BACKWARD, "device_id: may be null"),
    ("a larger range", changed("speed", with_column(maximum=400)), Class.BACKWARD, "unchanged"),
    ("a smaller range", changed("speed", with_column(maximum=200)), Class.FORWARD, "unchanged"),
    ("another range", changed("speed", with_column(minimum=10, maximum=400)), Class.BREAKING, "unchanged"),
    ("no range", changed("speed", with_column(minimum=None, maximum=None)), Class.BACKWARD, "unchanged"),
    ("more choices", changed("direction", with_column(choices=(*GPS.field("direction").column.choices, "Up"))), Class.BACKWARD, ""),
    ("other choices", changed("direction", with_column(choices=("North", "Up"))), Class.BREAKING, "unchanged"),
    ("any text", changed("direction", with_column(choices=())), Class.BACKWARD, "unchanged"),
    ("a list of choices", changed("vehicleType", with_column(choices=("bus",))), Class.FORWARD, "unchanged"),
    ("a whole number to any", changed("satellites", of(Type.DOUBLE)), Class.BREAKING, "can't be"),
    ("a text for a number", changed("speed", of(Type.STRING)), Class.BREAKING, "can't be"),
    ("a text for a time", changed("timestamp", of(Type.STRING)), Class.BREAKING, "can't be"),
    ("another unit", changed("speed", with_column(unit="mph")), Class.BREAKING, "two units"),
    ("another column", changed("speed", with_column(name="velocity")), Class.BREAKING, "velocity: a new column"),
    ("described otherwise", changed("speed", lambda f: replace(f, description="Speed")), Class.FULL, "its comment stays"),
    ("a new version", replace(GPS, version=2), Class.FULL, "unchanged"),
]


@pytest.mark.parametrize(("event", "kind", "table"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_a_change_is(event: Event, kind: Class, table: str) -> None:
    differences = compare(published(GPS), published(event))
    assert verdict(differences) is kind
    assert any(table in difference.table for difference in differences)


def test_every_class_is_among_them_and_backward_is_forward_the_other_way() -> None:
    assert {kind for _, _, kind, _ in CASES} == set(Class)
    turned = {Class.BACKWARD: Class.FORWARD, Class.FORWARD: Class.BACKWARD}
    for name, event, kind, _ in CASES:
        assert verdict(compare(published(event), published(GPS))) is turned.get(kind, kind), name


def test_what_becomes_of_the_records_is_told() -> None:
    wider = compare(published(GPS), published(changed("speed", with_column(maximum=400))))
    assert wider == [
        Difference(
            "gps_data", "speed", "maximum 300 -> 400",
            new_records="rejected where it does not keep the old rule (out_of_range); row and bytes are kept in bronze",
            reads_new=False,
        )
    ]  # fmt: skip
    (unknown,) = compare(published(GPS), published(replace(GPS, fields=(*GPS.fields, OPTIONAL))))
    assert unknown.new_records == "accepted; the field is passed over: Kafka has it, the lake does not"
    assert compare(published(GPS), published(without("altitude")))[0].old_records == "accepted; the field is passed over"


def test_topics_come_and_go() -> None:
    (added,) = compare(published(GPS), published(*EVENTS[:2]))
    (removed,) = compare(published(*EVENTS[:2]), published(GPS))
    assert (added.topic, added.kind, removed.kind) == ("vehicle_data", Class.BACKWARD, Class.FORWARD)
    assert verdict([added, removed]) is Class.BREAKING


def test_all_exports_say_the_same() -> None:
    assert read_contracts(asyncapi("fleetlake", "1"), where="asyncapi") == published(*EVENTS)
    assert read_contracts(json_schema(GPS), where="one") == published(GPS)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ([], "an object of JSON"),
        ({}, "an object of JSON"),
        ({"gps_data": 1}, "an object was expected"),
        ({"properties": {}}, "title"),
        ({"title": "t", "type": "object", "properties": {}, "additionalProperties": False}, "additional properties"),
        ({"title": "t", "type": "object", "properties": {}, "oneOf": []}, "keyword oneOf"),
        ({"title": "t", "type": "object", "properties": {"a": {"type": "string", "not": {}}}}, "keyword not"),
        ({"title": "t", "type": "object", "properties": {"a": {}}}, "its type is missing"),
        ({"title": "t", "type": "object", "properties": {"a": {"type": "object"}}}, "type object"),
        ({"title": "t", "type": "object", "properties": {"a": {"type": "array"}}}, "type array"),
        ({"title": "t", "type": "object", "properties": {"a": {"type": "number", "minimum": "1"}}}, "minimum has to be"),
        ({"title": "t", "type": "object", "properties": {"a": {"type": "string", "enum": [1]}}}, "enum has to be"),
        ({"title": "t", "type": "object", "properties": {}, "required": ["a"]}, "required names a"),
        ({"asyncapi": "3.0.0"}, "an object was expected"),
    ],
)
def test_what_is_no_contract(document: object, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        read_contracts(document, where="file")


NAMES = ("id", "a", "b", "c")


@st.composite
def contract_events(draw: st.DrawFn, names: Iterable[str] = NAMES) -> Event:
    """An event of a few fields of any kind and rules."""
    fields = []
    for name in draw(st.sets(st.sampled_from(sorted(names)))):
        kind = draw(st.sampled_from([Type.STRING, Type.DOUBLE, Type.INTEGER, Type.BOOLEAN, Type.TIMESTAMP]))
        rules: dict[str, object] = {}
        if kind in (Type.DOUBLE, Type.INTEGER):
            low, high = sorted((draw(st.integers(-3, 3)), draw(st.integers(-3, 3))))
            rules = {"minimum": low, "maximum": high}
        elif kind is Type.STRING and draw(st.booleans()):
            rules = {"choices": tuple(sorted(draw(st.sets(st.sampled_from("xyz"), min_size=1))))}
        fields.append(field(name, kind, required=draw(st.booleans()), **rules))
    return Event("any", "any_data", "", tuple(fields))


@given(st.tuples(contract_events(), contract_events()), st.data())
@settings(max_examples=150, deadline=None)
def test_what_is_called_compatible_is_so_to_a_validator(made: tuple[Event, Event], data: st.DataObject) -> None:
    """A record that keeps one version, of that version's fields alone, keeps the other wherever we say it is read there."""
    old, new = made
    found = compare(published(old), published(new))
    for writer, reader, reads in (
        (old, new, all(difference.reads_old for difference in found)),
        (new, old, all(difference.reads_new for difference in found)),
    ):
        document = {f.name: data.draw(plausible(f)) for f in writer.fields if f.required or data.draw(st.booleans())}
        assert Draft202012Validator(json_schema(writer)).is_valid(document)
        if reads:
            assert Draft202012Validator(json_schema(reader)).is_valid(document)


@given(contract_events())
@settings(deadline=None)
def test_a_contract_is_compatible_with_itself_and_with_one_optional_field_more(event: Event) -> None:
    assert compare(published(event), published(event)) == []
    assert verdict(compare(published(event), published(replace(event, fields=(*event.fields, OPTIONAL))))) is Class.FULL


@given(st.tuples(contract_events(), contract_events(), contract_events()))
@settings(max_examples=300, deadline=None)
def test_steps_that_are_compatible_add_up(made: tuple[Event, Event, Event]) -> None:
    """Unless the one between lacks a name that both others have: it may come back as anything."""
    first, between, last = (published(event) for event in made)
    names = [set(contracts["any_data"].fields) for contracts in (first, between, last)]
    one, two, both = compare(first, between), compare(between, last), compare(first, last)
    if names[0] & names[2] <= names[1]:
        for reads in ("reads_old", "reads_new"):
            if all(getattr(difference, reads) for difference in (*one, *two)):
                assert all(getattr(difference, reads) for difference in both)


def test_times_of_any_year_were_taken_once() -> None:
    """An export from before times had a range: its records may be rejected now, those of today are taken there."""
    text = json.dumps({GPS.topic: json_schema(GPS)})
    before = read_contracts(
        json.loads(text.replace(*(json.dumps(pattern) for pattern in (TIME_PATTERN, TIME_OF_ANY_YEAR)))), where="before"
    )
    (narrower,), (wider,) = compare(before, published(GPS)), compare(published(GPS), before)
    assert (narrower.field, narrower.change, narrower.kind) == ("timestamp", "years 1970 to 2099 only", Class.FORWARD)
    assert "(out_of_range)" in narrower.old_records
    assert (wider.change, wider.kind) == ("any year", Class.BACKWARD)
