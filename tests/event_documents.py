"""What devices may send: payloads that are good, nearly good, and of every kind of bad."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from fleetlake.contracts.columns import FIRST_YEAR, LAST_YEAR, Field, Type
from fleetlake.contracts.events import EVENTS, Event
from fleetlake.contracts.tables import bronze_of
from fleetlake.contracts.validation import parse


def plausible(field: Field) -> st.SearchStrategy[object]:
    column = field.columns[0]
    if column.choices:
        return st.sampled_from(column.choices)
    if field.type is Type.LOCATION:
        return st.tuples(st.floats(-90, 90), st.floats(-180, 180)).map(list)
    if field.type is Type.TIMESTAMP:
        times = st.datetimes(datetime(FIRST_YEAR, 1, 1), datetime(LAST_YEAR, 12, 31, 23, 59, 59))
        return times.map(lambda t: t.isoformat(timespec="milliseconds") + "Z")
    if field.type is Type.INTEGER:
        return st.integers(int(column.minimum or 0), int(column.maximum or 0))
    if field.type is Type.DOUBLE:
        return st.floats(column.minimum, column.maximum)
    return st.booleans() if field.type is Type.BOOLEAN else st.text(min_size=1)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
    | st.sampled_from(["12", "1.5", "true", "null", "[1]", '{"a":1}', "2026-01-01", "NaN", "", " 7 "]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


def batches(fewest: int, most: int) -> st.SearchStrategy[tuple[Event, list[bytes]]]:
    """Any event and so many of its payloads: what a decoder costs is by the batch."""
    return st.sampled_from(EVENTS).flatmap(
        lambda event: st.tuples(st.just(event), st.lists(payloads(event), min_size=fewest, max_size=most))
    )


@st.composite
def payloads(draw: st.DrawFn, event: Event) -> bytes:
    """An event that is mostly good, with some fields replaced by anything, left out, or added."""
    document = {field.name: draw(plausible(field)) for field in event.fields}
    for name in draw(st.lists(st.sampled_from([field.name for field in event.fields]), max_size=2)):
        document[name] = draw(ANYTHING)
    for name in draw(st.lists(st.sampled_from([field.name for field in event.fields]), max_size=2)):
        document.pop(name, None)
    if draw(st.booleans()):
        document["extra"] = draw(ANYTHING)
    return json.dumps(document, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1]))).encode(
        errors="surrogatepass"
    )


GOOD = {
    "id": "a", "deviceId": "d", "timestamp": "2026-01-01T00:00:00.000Z", "location": [51.5, -0.1], "cameraId": "c", "type": "Fire",
    "status": "Active", "speed": 12.5,
}  # fmt: skip


def every_kind() -> list[bytes | None]:
    """Records good and bad, of every kind a topic may hold; the same for each event."""
    changed: list[dict[str, object]] = [
        {}, {"unknown": [1, {"speed": "x"}]}, {"speed": "12.5"}, {"speed": "fast"}, {"speed": 301}, {"speed": -1}, {"speed": 1e308},
        {"year": 2024.0}, {"year": 2024.5}, {"year": "2024"}, {"make": 5}, {"make": "5"}, {"make": True}, {"make": "true"},
        {"make": [1]}, {"make": {"a": 1}}, {"make": "[x\ny"}, {"make": "}"}, {"make": None}, {"make": "caf\u00e9 \u20ac"},
        {"make": "\ud800"}, {"id": None}, {"id": ""}, {"id": 7}, {"direction": "Nort"}, {"direction": "North"},
        {"ignition": "true"}, {"ignition": True}, {"location": [1]}, {"location": [1, None]}, {"location": ["1", 2]},
        {"location": "x"}, {"location": [91, 0]}, {"timestamp": "2026-02-30T00:00:00.000Z"}, {"timestamp": "2026-02-03T00:00:00Z"},
        {"timestamp": "2026-02-03 00:00:00"}, {"timestamp": 1767225600000}, {"timestamp": "2026-02-03T00:00:00.000Z\n"},
        {"type": "Flood"}, {"status": "?"}, {"cameraId": None}, {"humidity": 101}, {"snapshot": "A" * 999_000},
    ]  # fmt: skip
    good = json.dumps(GOOD).encode()
    absent = [json.dumps({name: value for name, value in GOOD.items() if name != left_out}).encode() for left_out in GOOD]
    return [
        *(json.dumps(GOOD | change).encode() for change in changed), *absent, json.dumps(GOOD, indent=2).encode(),
        json.dumps(GOOD | {"make": "caf\u00e9"}, ensure_ascii=False).encode(), b" " + good, good + b"\n", good + b"x", good + good,
        good[:-1], good[:-1] + b",}", good[:-1] + b', "id": "b"}', good[:-1] + b', "speed": NaN}', good[:-1] + b', "z": NaN}',
        good.replace(b'"', b"'"), good.replace(b'"id"', b"id"), b'{"id": "a\nb"}', b"[" + good + b"]", b"{}", b"[]", b"null", b"7",
        b"not JSON", b"", b"   ", b"\xff\xfe", b"\xef\xbb\xbf" + good, None,
    ]  # fmt: skip


def check_rows(event: Event, records: Sequence[bytes | None], decoded: pa.Table, ingested_at: datetime) -> list[dict[str, Any]]:
    """Asserts that each bronze row is what the reference rules make of its record; returns the rows by their offsets."""
    assert decoded.schema.names == [column.name for column in bronze_of(event).columns]
    rows: list[dict[str, Any]] = decoded.sort_by("kafka_offset").to_pylist()
    assert [row["kafka_offset"] for row in rows] == list(range(len(records)))
    for payload, row in zip(records, rows, strict=True):
        expected = parse(event, payload)
        assert row["reject_reason"] == expected.reject_reason, payload
        assert row["payload"] == (payload if expected.reject_reason else None)
        for column in event.columns:
            assert row[column.name] == expected.values.get(column.name), (payload, column.name)
        assert row["ingested_at"] == ingested_at
    return rows
