"""The events as JSON Schema, draft 2020-12. It accepts what validation.parse accepts, as far as JSON Schema can say it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fleetlake.contracts.columns import Column, Field, Type
from fleetlake.contracts.events import Event
from fleetlake.contracts.validation import TIMESTAMP

DIALECT = "https://json-schema.org/draft/2020-12/schema"
JSON_TYPES = {
    Type.STRING: "string", Type.DOUBLE: "number", Type.INTEGER: "integer", Type.BOOLEAN: "boolean", Type.TIMESTAMP: "string",
}  # fmt: skip
SCHEMA_SUFFIX = ".schema.json"
TIME_OF_ANY_YEAR = "^" + TIMESTAMP.pattern.replace(r"\d", "[0-9]") + "$"  # \d of a JSON Schema would take any script's digits
YEARS = "(19[7-9][0-9]|20[0-9]{2})"  # FIRST_YEAR to LAST_YEAR
TIME_PATTERN = TIME_OF_ANY_YEAR.replace("[0-9]{4}", YEARS, 1)


def schema_id(event: Event) -> str:
    """A name, not an address: there is no server behind it."""
    return f"urn:fleetlake:schema:{event.kind}:{event.version}"


def json_schema(event: Event) -> dict[str, Any]:
    """The schema of one event. A field that is not required may be null; unknown fields are allowed.

    x-unit is a field's unit, x-vss its path in the COVESA Vehicle Signal Specification, x-column its table column.
    """
    return {
        "$schema": DIALECT,
        "$id": schema_id(event),
        "title": event.topic,
        "description": event.description,
        "type": "object",
        "properties": {field.name: _property(field) for field in event.fields},
        "required": [field.name for field in event.fields if field.required],
        "additionalProperties": True,
    }


def _property(field: Field) -> dict[str, Any]:
    rules: dict[str, Any] = {"description": field.description}
    if field.type is Type.LOCATION:
        items = [{"description": column.description, "type": "number"} | _limits(column) for column in field.columns]
        rules |= {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
    else:
        rules |= {"type": JSON_TYPES[field.type]} | _limits(field.column)
    if field.type is Type.TIMESTAMP:
        rules |= {"format": "date-time", "pattern": TIME_PATTERN}
    if field.required and field.type is Type.STRING and not field.column.choices:
        rules["minLength"] = 1
    return rules if field.required else _or_null(rules)


def _limits(column: Column) -> dict[str, Any]:
    rules: dict[str, Any] = {
        "minimum": column.minimum, "maximum": column.maximum, "enum": list(column.choices),
        "x-unit": column.unit, "x-vss": column.vss, "x-column": column.name,
    }  # fmt: skip
    return {name: rule for name, rule in rules.items() if rule not in (None, "", [])}


def _or_null(rules: Mapping[str, Any]) -> dict[str, Any]:
    choices = {"enum": [*rules["enum"], None]} if "enum" in rules else {}
    return {**rules, "type": [rules["type"], "null"], **choices}
