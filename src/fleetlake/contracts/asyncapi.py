"""The topics as an AsyncAPI 3.0 document."""

from __future__ import annotations

from typing import Any

from fleetlake.contracts.events import EVENTS, Event
from fleetlake.contracts.json_schema import json_schema

VERSION = "3.0.0"
KAFKA_BINDING = "0.5.0"
KEY = "deviceId"


def asyncapi(title: str, version: str) -> dict[str, Any]:
    """The document: a channel, a message and an operation for each of the five topics. version: of the application."""
    return {
        "asyncapi": VERSION,
        "info": {
            "title": title,
            "version": version,
            "description": "JSON, UTF-8, one event a message, keyed by deviceId: the events of one vehicle stay in order.",
        },
        "defaultContentType": "application/json",
        "channels": {event.topic: _channel(event) for event in EVENTS},
        "operations": {f"receive_{event.topic}": _operation(event) for event in EVENTS},
        "components": {"messages": {event.topic: _message(event) for event in EVENTS}},
    }


def _channel(event: Event) -> dict[str, Any]:
    return {
        "address": event.topic,
        "description": event.description,
        "messages": {event.topic: {"$ref": f"#/components/messages/{event.topic}"}},
        "bindings": {"kafka": {"topic": event.topic, "bindingVersion": KAFKA_BINDING}},
    }


def _operation(event: Event) -> dict[str, Any]:
    channel = f"#/channels/{event.topic}"
    return {"action": "receive", "channel": {"$ref": channel}, "messages": [{"$ref": f"{channel}/messages/{event.topic}"}]}


def _message(event: Event) -> dict[str, Any]:
    header = {"type": "string", "const": event.schema_header}
    key = {"type": "string", "description": event.field(KEY).description}
    return {
        "name": event.topic,
        "title": event.description,
        "contentType": "application/json",
        "headers": {"type": "object", "properties": {"schema": header}},
        "payload": json_schema(event),
        "bindings": {"kafka": {"key": key, "bindingVersion": KAFKA_BINDING}},
    }
