"""Contracts as they were published: exported JSON Schemas read back into what two of them are compared by.

Only what `json_schema` writes is understood. A keyword it does not write is refused, not passed over: it might narrow what is
accepted. Absent and null mean the same here, as they do to every engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fleetlake.contracts.columns import Type
from fleetlake.contracts.json_schema import JSON_TYPES, SCHEMA_SUFFIX
from fleetlake.foundation.errors import BadInput

DOCUMENT_KEYWORDS = {"$schema", "$id", "title", "description", "type", "properties", "required", "additionalProperties", "$comment"}
RULE_KEYWORDS = {
    "description", "title", "$comment", "type", "minimum", "maximum", "enum", "pattern", "minLength", "format", "prefixItems",
    "minItems", "maxItems", "x-unit", "x-vss", "x-column",
}  # fmt: skip
NULL, ARRAY = "null", "array"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a field's value has to be, and what it becomes.

    types: of JSON, without null. choices: None for any. items: of an array, in their order. column: the table's; empty for a field
    that has none of its own. vss, description: said, not checked.
    """

    types: frozenset[str]
    minimum: float | None = None
    maximum: float | None = None
    choices: frozenset[str] | None = None
    pattern: str | None = None
    min_length: int = 0
    is_time: bool = False
    items: tuple[Rule, ...] = ()
    unit: str = ""
    column: str = ""
    vss: str = ""
    description: str = ""

    @property
    def column_type(self) -> Type | None:
        """The type of its table column; None for a field that has none of its own, or takes values of several types."""
        if self.is_time:
            return Type.TIMESTAMP
        kinds = [kind for kind, name in JSON_TYPES.items() if {name} == self.types and kind is not Type.TIMESTAMP]
        return kinds[0] if self.column and kinds else None


@dataclass(frozen=True, slots=True)
class Contract:
    """One topic's: its fields by name, and which of them every record has to have. schema_id: with the version."""

    topic: str
    schema_id: str
    fields: Mapping[str, Rule]
    required: frozenset[str]


def read_contracts(document: object, *, where: str) -> dict[str, Contract]:
    """The contracts of a document, by topic: one schema, schemas by topic, or AsyncAPI, as `fleetlake contracts export` has them.

    where: its name, for errors. BadInput, with the place in the document, if it is none of these.
    """
    if not isinstance(document, dict) or not document:
        raise _not_a_contract("an object of JSON was expected", where)
    if "asyncapi" in document:
        messages = _object(_object(document.get("components"), f"{where}: components").get("messages"), f"{where}: messages")
        schemas = {name: _object(message, f"{where}: {name}").get("payload") for name, message in messages.items()}
    elif "properties" in document:
        schemas = {"": document}
    else:
        schemas = dict(document)
    made = [_contract(schema, f"{where}: {name}".removesuffix(": ")) for name, schema in schemas.items()]
    return {contract.topic: contract for contract in made}


def _contract(schema: object, where: str) -> Contract:
    known = _object(schema, where)
    _only(known, DOCUMENT_KEYWORDS, where)
    topic, required = known.get("title"), known.get("required", [])
    if not isinstance(topic, str) or not topic:
        raise _not_a_contract("its title has to be the topic", where)
    if known.get("type") != "object" or known.get("additionalProperties", True) is not True:
        raise _not_a_contract("type object with any additional properties was expected", where)
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise _not_a_contract("required has to be a list of names", where)
    properties = _object(known.get("properties"), f"{where}: properties")
    fields = {name: _rule(rule, f"{where}: {name}") for name, rule in properties.items()}
    nullable = {name for name, rule in properties.items() if NULL in _types(rule, where)}
    if unknown := sorted(set(required) - fields.keys()):
        raise _not_a_contract(f"required names {', '.join(unknown)}, which it does not describe", where)
    return Contract(topic, str(known.get("$id", "")), fields, frozenset(required) - nullable)


def _rule(schema: object, where: str) -> Rule:
    known = _object(schema, where)
    _only(known, RULE_KEYWORDS, where)
    items = known.get("prefixItems", [])
    if not isinstance(items, list) or any(known.get(bound, len(items)) != len(items) for bound in ("minItems", "maxItems")):
        raise _not_a_contract("an array has a rule for each of its items, and no others", where)
    types = _types(known, where) - {NULL}
    if not types <= {*JSON_TYPES.values(), ARRAY} or (ARRAY in types) != bool(items):
        raise _not_a_contract(f"type {', '.join(sorted(types)) or 'null'} is no field's", where)
    choices = known.get("enum")
    if choices is not None and (not isinstance(choices, list) or not all(isinstance(c, str) or c is None for c in choices)):
        raise _not_a_contract("enum has to be a list of texts", where)
    return Rule(
        types,
        _number(known, "minimum", where),
        _number(known, "maximum", where),
        None if choices is None else frozenset(choice for choice in choices if choice is not None),
        _text(known, "pattern", where) or None,
        int(_number(known, "minLength", where) or 0),
        _text(known, "format", where) == "date-time",
        tuple(_rule(item, f"{where}[{position}]") for position, item in enumerate(items)),
        *(_text(known, name, where) for name in ("x-unit", "x-column", "x-vss", "description")),
    )


def _types(schema: object, where: str) -> frozenset[str]:
    named = _object(schema, where).get("type")
    listed = [named] if isinstance(named, str) else named
    if not isinstance(listed, list) or not listed or not all(isinstance(name, str) for name in listed):
        raise _not_a_contract("its type is missing", where)
    return frozenset(listed)


def _number(schema: Mapping[str, Any], keyword: str, where: str) -> float | None:
    value = schema.get(keyword)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise _not_a_contract(f"{keyword} has to be a number", where)
    return value


def _text(schema: Mapping[str, Any], keyword: str, where: str) -> str:
    value = schema.get(keyword, "")
    if not isinstance(value, str):
        raise _not_a_contract(f"{keyword} has to be a text", where)
    return value


def _object(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _not_a_contract("an object was expected", where)
    return value


def _only(schema: Mapping[str, Any], keywords: set[str], where: str) -> None:
    if strange := sorted(schema.keys() - keywords):
        raise _not_a_contract(f"keyword {strange[0]} is not understood", where)


def _not_a_contract(what: str, where: str) -> BadInput:
    return BadInput(
        f"this is no contract of fleetlake's: {what}",
        where=where,
        allowed=f"a folder of *{SCHEMA_SUFFIX} files, one of them, or one file of all",
        hint="fleetlake contracts export --format json-schema --out DIR writes them",
    )
