"""The columnar decoder agrees with the reference rules, whatever a record holds."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.event_documents import batches, check_rows

from fleetlake.contracts.events import VEHICLE, Event
from fleetlake.ingest.decode import RAW_SCHEMA, Decoder

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    con = duckdb.connect(config={"threads": 1})
    con.execute("SET TimeZone = 'UTC'")
    yield con
    con.close()


def raw(payloads: Sequence[bytes | None]) -> pa.Table:
    n = len(payloads)
    return pa.table([[0] * n, list(range(n)), [NOW] * n, list(payloads)], schema=RAW_SCHEMA)


def check(connection: duckdb.DuckDBPyConnection, event: Event, payloads: Sequence[bytes | None]) -> list[dict[str, Any]]:
    """Decodes both ways and compares every row with the reference; returns the rows in the order of their offsets."""
    careful = Decoder(event, connection, quickly=False).decode(raw(payloads), NOW)
    check_rows(event, payloads, careful, NOW)
    return check_rows(event, payloads, Decoder(event, connection).decode(raw(payloads), NOW), NOW)


@given(batches(1, 12))
@settings(max_examples=100, deadline=None)
def test_decoder_and_reference_agree(connection: duckdb.DuckDBPyConnection, made: tuple[Event, list[bytes]]) -> None:
    check(connection, *made)


@given(st.lists(st.none() | st.binary(max_size=40) | st.text(max_size=40).map(str.encode), min_size=1, max_size=12))
@settings(max_examples=40, deadline=None)
def test_no_bytes_break_a_batch(connection: duckdb.DuckDBPyConnection, payloads: list[bytes | None]) -> None:
    check(connection, VEHICLE, payloads)


def test_a_batch_of_every_kind(connection: duckdb.DuckDBPyConnection) -> None:
    good = {"id": "a", "deviceId": "d", "timestamp": "2026-01-01T00:00:00.000Z", "location": [51.5, -0.1], "speed": 12.5}
    variants: list[bytes | None] = [
        json.dumps(good).encode(),
        json.dumps(good, indent=2).encode(),
        json.dumps(good | {"unknown": [1, {"speed": "x"}]}).encode(),
        json.dumps(good | {"speed": "12.5"}).encode(),
        json.dumps(good | {"make": 5}).encode(),
        json.dumps(good | {"make": "5"}).encode(),
        json.dumps(good | {"year": 2024.0}).encode(),
        json.dumps(good)[:-1].encode() + b",}",
        json.dumps(good).encode() + b"x",
        b'{"snapshot":"' + b"A" * 1_000_000 + b'",' + json.dumps(good).encode()[1:],
        b"{}", b"[]", b"null", b"", b"\xff", None,
    ]  # fmt: skip
    rows = check(connection, VEHICLE, variants)
    assert [row["reject_reason"] is None for row in rows] == [True] * 3 + [False] * 2 + [True] * 2 + [False] * 2 + [True] + [
        False
    ] * 6


def test_rows_keep_their_own_offsets_when_many_chunks_are_decoded_by_many_threads() -> None:
    chunks, size = 60, 4000
    good = b'{"id":"a%d","deviceId":"d","timestamp":"2026-01-01T00:00:00.000Z","location":[1,2]}'
    payloads = [b"{poison %d" % i if i % 7 == 0 else good % i for i in range(chunks * size)]
    parts = [raw(payloads[first : first + size]) for first in range(0, chunks * size, size)]
    offsets = pa.chunked_array([pa.array(range(first, first + size)) for first in range(0, chunks * size, size)])
    table = pa.concat_tables(parts).set_column(1, RAW_SCHEMA.field("kafka_offset"), offsets)
    with duckdb.connect(config={"threads": 4}) as con:
        con.execute("SET TimeZone = 'UTC'")
        for _ in range(5):
            decoded = Decoder(VEHICLE, con, quickly=False).decode(table, NOW)
            seen = {row["kafka_offset"]: row["payload"] or b"" for row in decoded.select(["kafka_offset", "payload"]).to_pylist()}
            ids = dict(zip(decoded["kafka_offset"].to_pylist(), decoded["event_id"].to_pylist(), strict=True))
            assert len(seen) == len(payloads)
            assert all(seen[i] == b"{poison %d" % i if i % 7 == 0 else ids[i] == f"a{i}" for i in range(len(payloads)))


def test_an_empty_batch(connection: duckdb.DuckDBPyConnection) -> None:
    assert Decoder(VEHICLE, connection).decode(raw([]), NOW).num_rows == 0
