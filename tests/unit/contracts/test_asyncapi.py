"""The AsyncAPI document is whole: five channels, and no reference that leads nowhere."""

from collections.abc import Iterator

from fleetlake.contracts.asyncapi import asyncapi
from fleetlake.contracts.events import EVENTS
from fleetlake.contracts.json_schema import json_schema


def references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (target for name, target in node.items() if name == "$ref")
        for child in node.values():
            yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)


def look_up(document: object, reference: str) -> object:
    assert reference.startswith("#/")
    for name in reference.removeprefix("#/").split("/"):
        assert isinstance(document, dict)
        document = document[name]
    return document


def test_five_topics_with_their_schemas_headers_and_keys() -> None:
    document = asyncapi("fleetlake", "1.2.3")
    assert document["asyncapi"] == "3.0.0"
    assert document["info"]["title"] == "fleetlake"
    assert document["info"]["version"] == "1.2.3"
    assert {name: channel["address"] for name, channel in document["channels"].items()} == {
        topic: topic for topic in ("vehicle_data", "gps_data", "traffic_data", "weather_data", "emergency_data")
    }
    for event in EVENTS:
        message = document["components"]["messages"][event.topic]
        assert message["payload"] == json_schema(event)
        assert message["headers"]["properties"]["schema"]["const"] == f"{event.kind}/{event.version}"
        assert message["bindings"]["kafka"]["key"]["type"] == "string"


def test_every_reference_leads_somewhere() -> None:
    document = asyncapi("fleetlake", "1")
    found = list(references(document))
    assert len(found) == 3 * len(EVENTS)
    for reference in found:
        assert look_up(document, reference)
    for operation in document["operations"].values():
        channel = look_up(document, operation["channel"]["$ref"])
        assert isinstance(channel, dict)
        assert operation["messages"][0]["$ref"].rpartition("/")[2] in channel["messages"]
