"""Which column of a recording becomes which field of which event: what the user says, and names that speak for themselves."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleetlake.contracts.columns import Column
from fleetlake.contracts.events import EVENTS, GPS, Event
from fleetlake.foundation.errors import BadInput

LISTED_CHARACTERS = 1000
COMPUTED = ("id", "location", "derived")  # made from other fields, so nothing can be mapped to them
POSITION = ("latitude", "longitude")
NEEDED = ("timestamp", *POSITION)
UNITS: dict[str, dict[str, tuple[float, float]]] = {  # the contract's unit: other unit: value = factor * seen + offset
    "km/h": {"km/h": (1, 0), "mph": (1.609344, 0), "m/s": (3.6, 0), "kn": (1.852, 0)},
    "km": {"km": (1, 0), "mi": (1.609344, 0), "m": (0.001, 0)},
    "m": {"m": (1, 0), "ft": (0.3048, 0)},
    "degC": {"degC": (1, 0), "degF": (5 / 9, -160 / 9)},
}
ALL_UNITS = {unit for units in UNITS.values() for unit in units}
# Columns taken without being asked, the likeliest first. A direction is not among them: it may be a route's "outbound".
RECOGNISED: dict[str, tuple[str, ...]] = {
    "deviceId": ("device_id", "deviceid", "vehicle_id", "vehicleid", "device", "vehicle"),
    "timestamp": ("timestamp", "event_time", "time", "datetime", "date_time"),
    "latitude": ("latitude", "lat", "latitude_deg"),
    "longitude": ("longitude", "lon", "lng", "long", "longitude_deg"),
    "speed": ("speed_kmh", "speed_kph", "speed_mph:mph", "speed_ms:m/s", "speed_mps:m/s", "speed"),
    "heading": ("heading", "heading_deg", "bearing", "course"),
    "altitude": ("altitude", "altitude_m", "elevation", "ele"),
    "accuracy": ("accuracy", "accuracy_m", "horizontal_accuracy"),
    "satellites": ("satellites", "sat"),
    "vehicleType": ("vehicletype", "vehicle_type"),
}


@dataclass(frozen=True, slots=True)
class ColumnSource:
    """A column of a recording; unit: what it is measured in, empty for the contract's own."""

    column: str
    unit: str = ""


Plan = Mapping[
    str, Mapping[str, ColumnSource]
]  # kind of event: field (latitude and longitude for the location): where it comes from


def target(event: Event, name: str) -> Column:
    """The table column a mappable name of an event ends up in; it has the type, unit and range."""
    if name in POSITION:
        return event.field("location").columns[POSITION.index(name)]
    return event.field(name).column


def mappable(event: Event) -> tuple[str, ...]:
    """The names that can be mapped for an event."""
    return (*(field.name for field in event.fields if field.name not in COMPUTED), *POSITION)


def own_fields(event: Event) -> frozenset[str]:
    """The fields no other event has."""
    others = {name for other in EVENTS if other is not event for name in mappable(other)}
    return frozenset(mappable(event)) - others


def parse_assignments(assignments: Sequence[str]) -> dict[str, str]:
    """From `field=column` or `field=column:unit`. BadInput for anything else or a field twice."""
    mapping: dict[str, str] = {}
    for text in assignments:
        name, equals, column = (part.strip() for part in text.partition("="))
        if not (name and equals and column):
            raise BadInput(f"--map {text} is not understood", allowed="event_field=column, for example speed=velocity:mph")
        if name in mapping:
            raise BadInput(f"{name} is mapped twice", where=f"--map {text}")
        mapping[name] = column
    check_names(mapping)
    return mapping


def read_mapping(path: Path) -> dict[str, str]:
    """From a TOML file of `field = "column"`; a table [weather_data] is for that event only. BadInput for anything else."""
    try:
        document = tomllib.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(
            f"the mapping can't be read: {error}", where=str(path), allowed='TOML lines such as speed = "velocity:mph"'
        ) from error
    mapping: dict[str, str] = {}
    topics = [event.topic for event in EVENTS]
    for name in (name for name, value in document.items() if isinstance(value, dict) and name not in topics):
        raise BadInput(f"there is no event [{name}]", where=str(path), allowed=", ".join(topics), hint='fields as field = "column"')
    for name, value in document.items():
        mapping |= {f"{name}.{inner}": column for inner, column in value.items()} if isinstance(value, dict) else {name: value}
    for name, column in mapping.items():
        if not isinstance(column, str):
            raise BadInput(f"{name} is mapped to {column!r}", where=str(path), allowed="the name of a column, in quotes")
    check_names(mapping)
    return mapping


def check_names(mapping: Mapping[str, str]) -> None:
    """BadInput for a name that is no field of any event."""
    for name in mapping:
        if not _events_of(name):
            topic = name.rpartition(".")[0]
            events = [event for event in EVENTS if event.topic == topic] or EVENTS
            names = dict.fromkeys(field for event in events for field in mappable(event))
            raise BadInput(
                f"no event has a field {name}",
                allowed=", ".join(names),
                hint="--map weather_data.temperature=COLUMN for one event only",
            )


def resolve(mapping: Mapping[str, str], columns: Sequence[str], where: str) -> Plan:
    """The plan for a recording with these columns: gps always, another event if the mapping has a field only that event has.

    BadInput: a mapped column or unit that does not exist; no column for time or position; an event's required field not mapped.
    """
    check_names(mapping)
    chosen: dict[str, dict[str, ColumnSource]] = {event.kind: {} for event in EVENTS}
    asked = {GPS.kind}
    for name, text in sorted(mapping.items(), key=lambda item: "." in item[0]):  # a qualified name overrides
        for event in _events_of(name):
            field = name.rpartition(".")[2]
            chosen[event.kind][field] = _source(text, target(event, field), columns, where)
            if "." in name or field in own_fields(event):
                asked.add(event.kind)
    for field, names in RECOGNISED.items():
        if (found := _recognise(names, columns)) is not None:
            for event in (event for event in EVENTS if field in mappable(event)):
                chosen[event.kind].setdefault(field, found)
    plan = {event.kind: chosen[event.kind] for event in EVENTS if event.kind in asked}
    _check_complete(plan, columns, where)
    return plan


def _events_of(name: str) -> list[Event]:
    topic, _, field = name.rpartition(".")
    return [event for event in EVENTS if topic in ("", event.topic) and field in mappable(event)]


def _source(text: str, column: Column, columns: Sequence[str], where: str) -> ColumnSource:
    if text in columns:
        return ColumnSource(text)
    name, _, unit = text.rpartition(":")
    if name in columns and unit not in ALL_UNITS:
        known = ", ".join(UNITS.get(column.unit, {})) or f"none, {column.name} is without"
        raise BadInput(f"{text}: there is no unit {unit}", where=where, allowed=known)
    if unit in ALL_UNITS and unit not in UNITS.get(column.unit, {}):
        raise BadInput(f"{text}: not a unit of {column.name}", where=where, allowed=", ".join(UNITS.get(column.unit, {})) or "none")
    if name not in columns or unit not in ALL_UNITS:
        raise BadInput(f"no column {name if unit in ALL_UNITS else text}", where=where, allowed=_listed(columns))
    return ColumnSource(name, unit)


def _listed(columns: Sequence[str]) -> str:
    names = ", ".join(columns)
    return names if len(names) <= LISTED_CHARACTERS else f"{names[:LISTED_CHARACTERS]}... ({len(columns)} columns)"


def _recognise(names: Sequence[str], columns: Sequence[str]) -> ColumnSource | None:
    lowered = {column.strip().lower(): column for column in reversed(columns)}
    for name, _, unit in (text.partition(":") for text in names):
        if name in lowered:
            return ColumnSource(lowered[name], unit)
    return None


def _check_complete(plan: Plan, columns: Sequence[str], where: str) -> None:
    for name in NEEDED:
        if name not in plan[GPS.kind]:
            raise BadInput(
                f"no column is known to be the {name}", where=where, allowed=_listed(columns), hint=f"--map {name}=COLUMN"
            )
    for event in (event for event in EVENTS if event.kind in plan):
        for field in event.fields:
            if field.required and field.name not in (*COMPUTED, "deviceId", *plan[event.kind]):
                named = ", ".join(sorted(own_fields(event) & set(plan[event.kind])))
                raise BadInput(
                    f"{named} makes {event.topic}, which needs {field.name} too", where=where, hint=f"--map {field.name}=COLUMN"
                )
