"""The quick decoder takes what is plain, and nothing that only looks as if it were."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from tests.event_documents import GOOD, check_rows

from fleetlake.contracts.events import EVENTS, VEHICLE, Event
from fleetlake.ingest.decode import CAREFUL_BATCHES, RAW_SCHEMA, Decoder
from fleetlake.ingest.plain import PlainDecoder
from fleetlake.simulate.run import SimulationSettings, simulate_journey

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PLAIN = {name: GOOD[name] for name in ("id", "deviceId", "timestamp", "location", "speed")} | {"make": "Ford", "ignition": True}


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as con:
        con.execute("SET TimeZone = 'UTC'")
        yield con


def raw(payloads: Sequence[bytes | None]) -> pa.Table:
    n = len(payloads)
    return pa.table([[0] * n, list(range(n)), [NOW] * n, list(payloads)], schema=RAW_SCHEMA)


def quickly(connection: duckdb.DuckDBPyConnection, event: Event, payloads: Sequence[bytes]) -> pa.Table | None:
    texts = pa.array([payload.decode() for payload in payloads])
    return PlainDecoder(event, connection).decode(raw(payloads).append_column("text", texts))


def documents(*changes: dict[str, Any]) -> list[bytes]:
    return [json.dumps(PLAIN | change).encode() for change in changes]


def test_what_the_simulator_sends_is_plain(connection: duckdb.DuckDBPyConnection) -> None:
    sent: dict[Event, list[bytes]] = {event: [] for event in EVENTS}
    for tick in simulate_journey(SimulationSettings(10, datetime(2026, 1, 5, 6, tzinfo=UTC), seed=3)):
        for batch in tick:
            sent[batch.event] += batch.values
        if all(sent.values()):
            break
    for event, payloads in sent.items():
        rows = quickly(connection, event, payloads)
        assert rows is not None
        assert rows["ok"].to_pylist() == [True] * len(payloads)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param([{"speed": "12"}], id="a string for a number"),
        pytest.param([{"speed": "12", "make": 5}], id="and a number for a string, which evens the books out"),
        pytest.param([{"speed": "12"}, {"make": 5}], id="the same in two records"),
        pytest.param([{"location": ["51.5", "-0.1"]}, {"make": 5, "id": 7}], id="strings in a place"),
        pytest.param([{"location": ["51.5", -0.1], "make": [True]}], id="a list for a string"),
        pytest.param([{"speed": "12", "make": True}], id="true for a string"),
        pytest.param([{"ignition": "true"}], id="a string for a boolean"),
        pytest.param([{"ignition": 1}, {"ignition": 0}], id="a number for a boolean"),
        pytest.param([{"speed": True}], id="true for a number beside a true"),
        pytest.param([{"speed": False, "ignition": False}], id="false for a number beside a false"),
        pytest.param([{"speed": False}], id="false for a number beside a true"),
        pytest.param([{"speed": True, "heading": False, "ignition": None}], id="literals for numbers alone"),
        pytest.param([{"location": [True, False]}], id="literals in a place"),
        pytest.param([{"location": [51.5, None]}, {"location": [1]}, {"location": [1, 2, 3]}, {"location": {}}], id="places"),
        pytest.param([{"speed": [1]}, {"speed": {"a": 1}}], id="more than a number"),
        pytest.param([{"make": None}, {"z": 1}, {"z": {"speed": "1"}}, {"make": 'a"b'}], id="good but not plain"),
        pytest.param([{"speed": 301}, {"year": 2024.5}, {"direction": "north"}, {"id": ""}], id="out of range"),
        pytest.param([{"timestamp": "2026-01-31T12:30:45+0100"}, {"timestamp": "2026-01-31T12:30:45.1+01"}], id="another zone"),
        pytest.param([{"timestamp": "2026-01-31 12:30:45.123Z"}, {"timestamp": "2026-01-31T12:30:45Z"}], id="another shape"),
        pytest.param([{"timestamp": "0000-01-31T12:30:45.123Z"}, {"timestamp": "2026-02-30T12:30:45.123Z"}], id="no such day"),
    ],
)  # fmt: skip
def test_what_only_looks_plain_is_judged_by_the_reference(
    connection: duckdb.DuckDBPyConnection, changes: list[dict[str, Any]]
) -> None:
    payloads = documents({}, *changes, {})
    rows = quickly(connection, VEHICLE, payloads)
    assert rows is None or rows["ok"].to_pylist() == [True] + [False] * len(changes) + [True]
    assert quickly(connection, VEHICLE, documents({}, {})) is not None
    check_rows(VEHICLE, payloads, Decoder(VEHICLE, connection).decode(raw(payloads), NOW), NOW)


def test_ones_and_zeros_beside_a_boolean_are_plain(connection: duckdb.DuckDBPyConnection) -> None:
    payloads = documents({"speed": 1}, {"speed": 0, "ignition": False}, {"speed": 0, "maxBraking": 1, "ignition": True})
    rows = quickly(connection, VEHICLE, payloads)
    assert rows is not None
    assert rows["ok"].to_pylist() == [True] * 3


def test_a_member_twice_is_not_plain(connection: duckdb.DuckDBPyConnection) -> None:
    (payload,) = documents({})
    assert quickly(connection, VEHICLE, [payload[:-1] + b',"speed":13}']) is None


def test_after_a_batch_that_was_not_plain_the_quick_way_is_left_for_a_while(connection: duckdb.DuckDBPyConnection) -> None:
    decoder, tried = Decoder(VEHICLE, connection), []
    quick = decoder._plain.decode
    decoder._plain.decode = lambda texts: tried.append(texts) or quick(texts)  # type: ignore[method-assign,func-returns-value]
    (good,), (odd,) = documents({}), documents({"make": None})
    for payload in [good, odd, *[good] * CAREFUL_BATCHES]:
        decoder.decode(raw([payload]), NOW)
    assert len(tried) == 2
    decoder.decode(raw([good]), NOW)
    assert len(tried) == 3
